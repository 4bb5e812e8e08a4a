"""Feature networks: the right weights in the right layers, and honest words where they cannot be had."""

import io
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from compress.artifact import file_fingerprint
from compress.errors import UnusableModel, UsageError
from compress.images import list_images, read_image
from eval.features import fetched, networks, weights
from eval.features.graphs import efficientnet_lite0, squeezenet
from eval.features.weights import find_weights, inception_path, read_weights

PACKAGED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(find_weights()[name] is None, reason="the extra `score` is not installed"),  # type: ignore[index]
    )
    for name in ("efficientnet-lite0", "squeezenet")
]
needs_packages = pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed")
# ImageNet's class of zebras.
ZEBRA = 340


def load_weights(name: Any) -> dict[str, np.ndarray]:
    return read_weights(name, weights.require_weights(name))


@needs_packages
def test_lite0_has_the_published_number_of_parameters() -> None:
    trained = [array for name, array in load_weights("efficientnet-lite0").items() if name.endswith(("weight", "bias"))]
    # 4.65 M in the table of the TensorFlow original.
    assert sum(array.size for array in trained) == 4_652_008


@needs_packages
def test_lite0_knows_a_zebra(material: Path) -> None:
    photos = [read_image(path) for path in list_images(material / "data" / "horse2zebra" / "testB")[:6]]
    features = networks.choose_network("efficientnet-lite0", None).extractor.features(photos)
    state = load_weights("efficientnet-lite0")
    classes = (features @ state["_fc.weight"].T + state["_fc.bias"]).argmax(axis=1)
    assert (classes == ZEBRA).mean() > 0.8


@needs_packages
def test_squeezenet_knows_a_zebra(material: Path) -> None:
    photos = [read_image(path) for path in list_images(material / "data" / "horse2zebra" / "testB")[:6]]
    *_, last = networks.choose_network("squeezenet", None).extractor.activations(photos)
    state = load_weights("squeezenet")
    kernel, bias = state["classifier.1.weight"][:, :, 0, 0], state["classifier.1.bias"]
    logits = np.maximum(np.einsum("nhwi,oi->nhwo", last, kernel) + bias, 0).mean(axis=(1, 2))
    assert (logits.argmax(axis=1) == ZEBRA).mean() > 0.8


@pytest.mark.parametrize("name", PACKAGED)
def test_features_tell_images_apart_and_not_where_they_stand(name: Any) -> None:
    extractor = networks.choose_network(name, None).extractor
    noise = list(np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8))
    first, second, again = extractor.features([*noise, noise[0]])
    width = {"efficientnet-lite0": efficientnet_lite0.FEATURES, "squeezenet": squeezenet.FEATURES}[name]
    assert first.shape == (width,)
    assert first.dtype == np.float32
    assert min(first.min(), second.min()) >= 0.0
    assert np.abs(first - second).max() > 0.1
    assert np.array_equal(first, again)


def test_inception_weights_do_not_go_with_another_network(tmp_path: Path) -> None:
    for name in ("efficientnet-lite0", "squeezenet"):
        with pytest.raises(UsageError, match=f"--inception-weights belongs to --network inception, but got {name}"):
            networks.choose_network(name, tmp_path / "weights.pth")


def test_missing_inception_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"nothing\.pth does not exist"):
        networks.choose_network("auto", tmp_path / "nothing.pth")


def _trust(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let a file pass for the Inception network's weights, so that what reads it is reached."""
    monkeypatch.setitem(weights.WEIGHTS_SHA256, "inception", file_fingerprint(path))


def test_weights_of_another_hash_are_refused_before_they_are_read(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_text("no weights")
    with pytest.raises(UnusableModel, match=r"SHA-256 is [0-9a-f]{64}, expected 6726825d"):
        networks.choose_network("inception", other)


@pytest.mark.parametrize("name", PACKAGED)
def test_a_damaged_package_is_refused(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.WEIGHTS_SHA256, name, "0" * 64)
    with pytest.raises(UnusableModel, match=f"weights of the {name} feature network"):
        networks.choose_network(name, None)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_weights", lambda: {"squeezenet": None})
    with pytest.raises(UsageError, match=r"needs the package ndf.*--extra score"):
        networks.choose_network("squeezenet", None)


def _with_another_shape(state: dict[str, np.ndarray]) -> None:
    state["_bn0.bias"] = state["_bn0.bias"][:-1]


@needs_packages
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state.pop("_blocks.3._bn1.running_var"), "no array named '_blocks.3._bn1.running_var'"),
        (_with_another_shape, r"an array of shape \(31,\) named '_bn0.bias'; expected \(32,\)"),
        (lambda state: state.update({"_bn2.bias": np.zeros(3)}), "hold '_bn2.bias', which it does not have"),
        (lambda state: state.update({"_bn0.bias": None}), "something else than arrays"),
    ],
    ids=["missing", "of another shape", "one too many", "no array"],
)
def test_other_weights_are_refused_by_name(
    spoil: Callable[[dict[str, Any]], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = load_weights("efficientnet-lite0")
    spoil(state)
    monkeypatch.setattr(weights, "read_state", lambda _: state)
    with pytest.raises(UnusableModel, match=said):
        _ = networks.choose_network("efficientnet-lite0", None).extractor


class Intruder:
    """The content of a malicious weights file: unpickling it runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("content", ["code", "text", "nothing"])
def test_a_file_that_holds_no_weights_is_refused_and_its_code_not_run(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "other.pth", tmp_path / "broken_into"
    file.write_bytes({"code": pickle.dumps(Intruder(target)), "text": b"no weights", "nothing": b""}[content])
    _trust(monkeypatch, file)
    with pytest.raises(UnusableModel, match="does not hold the weights of the inception feature network"):
        _ = networks.choose_network("inception", file).extractor
    assert not target.exists()


@pytest.mark.parametrize("content", ["code", "other arrays", "nothing"])
def test_a_pickle_of_something_else_than_squeezenet_is_refused_and_its_code_not_run(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "weights.pkl", tmp_path / "broken_into"
    held = {"code": {"conv1": Intruder(target)}, "other arrays": {"conv1": [np.zeros((1, 1, 1, 1)), np.zeros(1)]}}
    file.write_bytes(pickle.dumps(held[content]) if content in held else b"")
    monkeypatch.setattr(networks, "require_weights", lambda _: file)
    monkeypatch.setitem(weights.WEIGHTS_SHA256, "squeezenet", file_fingerprint(file))
    with pytest.raises(UnusableModel, match="squeezenet"):
        _ = networks.choose_network("squeezenet", None).extractor
    assert not target.exists()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """No network and an empty cache; the addresses that were asked for."""
    addresses: list[str] = []

    def fail(url: str, **_options: Any) -> None:
        addresses.append(url)
        raise URLError("no route")

    monkeypatch.setattr(fetched, "urlopen", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return addresses


@needs_packages
@pytest.mark.usefixtures("asked")
def test_without_internet_auto_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        network = networks.choose_network("auto", None)
    assert network.name == "efficientnet-lite0"
    assert "no route" in caplog.text
    assert "no FID" in caplog.text


@pytest.mark.usefixtures("asked")
def test_without_internet_inception_itself_is_refused() -> None:
    with pytest.raises(UnusableModel, match="--inception-weights"):
        networks.choose_network("inception", None)


@needs_packages
def test_weights_that_cannot_be_had_are_looked_for_once_an_hour(
    asked: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert networks.choose_network("auto", None).name == "efficientnet-lite0"
    assert len(asked) == 1
    with caplog.at_level(logging.INFO):
        networks.choose_network("auto", None)
    assert "could not be fetched 0 minutes ago" in caplog.text
    # Who asks for it by name has it looked for.
    with pytest.raises(UnusableModel):
        networks.choose_network("inception", None)
    assert len(asked) == 2
    (marker,) = inception_path().parent.iterdir()
    long_ago = marker.stat().st_mtime - fetched.RETRY_AFTER_S - 1
    os.utime(marker, (long_ago, long_ago))
    networks.choose_network("auto", None)
    assert len(asked) == 3
    inception_path().write_text("weights")
    _trust(monkeypatch, inception_path())
    assert networks.choose_network("auto", None).name == "inception"


@needs_packages
@pytest.mark.usefixtures("asked")
def test_a_cache_that_cannot_be_written_is_no_reason_to_stop() -> None:
    inception_path().parent.parent.mkdir(parents=True)
    inception_path().parent.write_text("a file where a folder should be")
    assert networks.choose_network("auto", None).name == "efficientnet-lite0"


def test_network_of_the_cache_is_used_without_fetching(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    inception_path().parent.mkdir(parents=True)
    inception_path().write_text("weights")
    _trust(monkeypatch, inception_path())
    assert networks.choose_network("auto", None).name == "inception"
    assert asked == []


class Answer(io.BytesIO):
    """What a server sends."""

    headers: dict[str, str] = {}  # noqa: RUF012


@pytest.mark.parametrize("sent", [b"weights", b"something else", b"too much of something else"])
def test_torn_network_of_the_cache_is_fetched_anew_and_taken_if_it_is_the_right_one(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(fetched, "_MOST_BYTES", 20)
    inception_path().parent.mkdir(parents=True)
    inception_path().write_bytes(b"weights")
    _trust(monkeypatch, inception_path())
    inception_path().write_bytes(b"torn")
    asked: list[str] = []
    monkeypatch.setattr(fetched, "urlopen", lambda url, **_: asked.append(url) or Answer(sent))
    if sent == b"weights":
        assert networks.choose_network("inception", None).weights.read_bytes() == b"weights"
    else:
        with pytest.raises(UnusableModel, match=r"expected [0-9a-f]{64}|gives more than"):
            networks.choose_network("inception", None)
        assert inception_path().read_bytes() == b"torn"
    assert asked == [weights.INCEPTION_URL]


_LOAD = """
import os, sys
from pathlib import Path
sys.modules["torch"] = None
from eval.features import networks
try:
    networks.choose_network("squeezenet", None, "torch-fidelity").extractor
except networks.UsageError as error:
    print(os.environ["OMP_WAIT_POLICY"], error)
"""


@needs_packages
@pytest.mark.parametrize(("set_by_user", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_without_torch_the_extra_is_named_and_its_threads_would_wait_quietly(
    set_by_user: dict[str, str], policy: str
) -> None:
    quiet = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    said = subprocess.run(
        [sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True, env=quiet | set_by_user
    ).stdout
    assert said.startswith(f"{policy} --extractor torch-fidelity needs more packages")
    assert "sync --inexact --no-default-groups --extra torch, or pip install -e '.[torch]'" in said
