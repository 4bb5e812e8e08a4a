"""`compress teach` end to end on tiny nets: what it writes, which step it keeps, when it ends, what it refuses."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress import cli, console, images, teachers
from compress.errors import UnusableData, UsageError
from compress.teach import fit
from compress.teach.batches import Batches
from compress.teach.config import TeachConfig
from compress.teach.convergence import DIRECTIONS, Direction, KidCheck
from compress.teach.stage import teach
from compress.training import kid
from compress.training.kid import Kid

TINY = TeachConfig(
    image_size_px=32,
    filters=4,
    blocks=1,
    steps=3,
    decay_steps=1,
    learning_rate=0.01,
    identity_weight=0.0,
    pool_size=2,
    ema_momentum=0.5,
    sample_every=2,
    checkpoint_every=2,
    watch_kid=False,
    precision="float32",
)
WATCHED = replace(
    TINY,
    image_size_px=64,
    half_size_steps=3,
    steps=20,
    checkpoint_every=3,
    watch_kid=True,
    patience=1,
    stop_when_converged=True,
)
CURVES: dict[Direction, dict[int, float]] = {
    "a2b": {0: 0.9, 4: 0.5, 6: 0.1, 8: 0.4},
    "b2a": {0: 0.9, 4: 0.1, 6: 0.4, 8: 0.3},
}
"""KID by step: A to B is best at 6, B to A at 4, and at 8 neither got better, so training ends there."""


@pytest.fixture(scope="module", autouse=True)
def _eager() -> Iterator[None]:
    """A handful of steps takes less time than compiling one."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def data(photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set whose test images cannot be read: one folder holds a torn file, the other is not there."""
    root = tmp_path_factory.mktemp("data")
    for folder in ("trainA", "trainB"):
        (root / folder).symlink_to(photo_folders / folder)
    (root / "testA").mkdir()
    (root / "testA" / "000.png").write_bytes(b"torn")
    return root


class _PretendedChecks:
    """In place of `kid.measure_directions`: KID from `CURVES`; the fake images are remembered by step."""

    def __init__(self) -> None:
        self.made: dict[int, dict[Direction, np.ndarray]] = {}
        self.held_back: dict[Direction, np.ndarray] = {}

    def __call__(self, step: int, *, fake_a: np.ndarray, fake_b: np.ndarray, real_a: Path, real_b: Path, **_: Any):
        self.made[step] = {"a2b": fake_b, "b2a": fake_a}
        for direction, real in zip(DIRECTIONS, (real_a, real_b), strict=True):
            self.held_back[direction] = np.stack([image for _, image in images.read_images(images.list_images(real))])
        return KidCheck(step, *(_kid(CURVES[direction][step]) for direction in DIRECTIONS))


def _kid(mean: float) -> Kid:
    return Kid(mean=mean, spread=0.05, metric="kid", network="inception")


@pytest.fixture(scope="module")
def checks() -> _PretendedChecks:
    return _PretendedChecks()


@pytest.fixture(scope="module")
def run_folder(checks: _PretendedChecks, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One watched run that nothing disturbs."""
    out = tmp_path_factory.mktemp("stage") / "taught"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "measure_directions", checks)
        patch.setattr(kid, "check_scoring_available", lambda: None)
        teach(data, WATCHED, out)
    return out


def _record(out: Path) -> dict[str, Any]:
    return json.loads((out / "teaching.json").read_text())


def _weights(out: Path, direction: Direction) -> list[np.ndarray]:
    return keras.saving.load_model(out / f"g_{direction}.h5", compile=False).get_weights()


def test_both_directions_come_out_as_teachers_and_nothing_else_is_left(run_folder: Path) -> None:
    assert sorted(path.name for path in run_folder.glob("[!.]*")) == [
        "g_a2b.h5", "g_b2a.h5", "kid.png", "samples.png", "teaching.json",
    ]  # fmt: skip
    assert [path.name for path in run_folder.parent.glob("[!.]*")] == ["taught"]
    for direction in DIRECTIONS:
        assert teachers.load(run_folder / f"g_{direction}.h5").input_shape == (None, None, None, 3)
    # Four held-back images of each domain beside each other, in five named rows.
    height, width, _ = images.read_image(run_folder / "samples.png").shape
    assert (height, width > 4 * 68 + 4) == (5 * 68 + 4, True)


def test_training_is_measured_at_full_size_and_ends_when_neither_direction_gets_better(run_folder: Path) -> None:
    record = _record(run_folder)
    assert [check["step"] for check in record["history"]["checks"]] == [4, 6, 8]
    assert "Converged" in record["verdict"]


@pytest.mark.parametrize(("direction", "best", "others"), [("a2b", 6, (4, 8)), ("b2a", 4, (6, 8))])
def test_each_direction_is_kept_as_it_was_at_its_lowest_kid(
    direction: Direction, best: int, others: tuple[int, int], run_folder: Path, checks: _PretendedChecks
) -> None:
    record = _record(run_folder)[direction]
    assert (record["file"], record["step"]) == (f"g_{direction}.h5", best)
    assert record["kid"]["mean"] == CURVES[direction][best]
    generator = keras.saving.load_model(run_folder / record["file"], compile=False)
    made = images.to_uint8(np.asarray(generator(images.to_float(checks.held_back[direction]))))
    distances = {step: np.abs(made - checks.made[step][direction].astype(int)).mean() for step in (best, *others)}
    # Rounding to bytes may fall to the other side; another step's images differ by more than that everywhere.
    assert distances[best] < 0.01
    assert min(distances[step] for step in others) > 10 * distances[best] + 0.1


def test_what_teaching_json_says_is_the_run(run_folder: Path) -> None:
    record = _record(run_folder)
    assert record["config"]["image_size_px"] == 64
    assert record["history"]["control"]["a2b"]["mean"] == CURVES["a2b"][0]
    assert {"a2b", "b2a", "verdict", "history", "config"} <= set(record)


class _Killed(Exception):
    pass


def test_a_killed_run_goes_on_to_the_same_history_end_and_weights(
    run_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, seen = _PretendedChecks(), Batches.__call__

    def killed_in_a_step(batches: Batches, step: int) -> Any:
        if step == 5:
            raise _Killed
        return seen(batches, step)

    def killed_in_a_check(step: int, **others: Any) -> KidCheck:
        if step == 8:
            raise _Killed
        return checks(step, **others)

    monkeypatch.setattr(kid, "check_scoring_available", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "measure_directions", checks)
        patch.setattr(Batches, "__call__", killed_in_a_step)
        with pytest.raises(_Killed):
            teach(data, WATCHED, tmp_path / "out")
    # Its checkpoint is of step 3: the check at step 4 is made again.
    with monkeypatch.context() as patch:
        patch.setattr(fit, "measure_directions", killed_in_a_check)
        with pytest.raises(_Killed):
            teach(data, WATCHED, tmp_path / "out")
    monkeypatch.setattr(fit, "measure_directions", checks)
    teach(data, WATCHED, tmp_path / "out")
    one, other = _record(run_folder), _record(tmp_path / "out")
    for name in ("history", "verdict", "a2b", "b2a"):
        assert other[name] == one[name]
    for direction in DIRECTIONS:
        for whole, resumed in zip(_weights(run_folder, direction), _weights(tmp_path / "out", direction), strict=True):
            np.testing.assert_array_equal(resumed, whole)


def test_weights_that_a_killed_run_may_still_need_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time, the checks after the checkpoint fail: the best is then the one before it."""
    config = replace(TINY, steps=6, sample_every=1, checkpoint_every=2, watch_kid=True)
    curve = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6, 4: 0.5, 5: 0.4, 6: 0.3}

    def measured(step: int, **_: Any) -> KidCheck:
        if step == 6:
            raise _Killed
        return KidCheck(step, _kid(curve[step]), _kid(curve[step]))

    monkeypatch.setattr(kid, "check_scoring_available", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "measure_directions", measured)
        with pytest.raises(_Killed):
            teach(data, config, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out.training").glob("best_a2b-*")) == [
        "best_a2b-000000002.weights.h5", "best_a2b-000000004.weights.h5", "best_a2b-000000005.weights.h5",
    ]  # fmt: skip
    monkeypatch.setattr(fit, "measure_directions", lambda step, **_: KidCheck(step, None, None))
    teach(data, config, tmp_path / "out")
    assert _record(tmp_path / "out")["a2b"]["step"] == 4


def test_looking_changes_nothing_and_all_options_train_together(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "_STATISTICS_STEPS", 2)
    config = replace(
        TINY,
        image_size_px=36,
        image_width_px=44,
        normalization="batch",
        adversarial_loss="wasserstein",
        near_identity=True,
        anneal_steps=2,
    )
    teach(data, config, tmp_path / "one")
    teach(data, replace(config, sample_every=3), tmp_path / "other")
    assert (_record(tmp_path / "one")["a2b"]["step"], _record(tmp_path / "one")["a2b"]["file"]) == (3, "g_a2b.h5")
    assert not (tmp_path / "one" / "kid.png").exists()
    height, width, _ = images.read_image(tmp_path / "one" / "samples.png").shape
    assert (height, width > 4 * 48 + 4) == (5 * 40 + 4, True)
    for direction in DIRECTIONS:
        weights = _weights(tmp_path / "one", direction)
        assert all(np.isfinite(weight).all() for weight in weights)
        for one, other in zip(weights, _weights(tmp_path / "other", direction), strict=True):
            np.testing.assert_array_equal(other, one)


def test_paired_images_pull_the_images_towards_them(data: Path, tmp_path: Path) -> None:
    paired = tmp_path / "paired"
    for folder in ("trainA", "trainB"):
        (paired / f"{folder}_paired").mkdir(parents=True)
        (paired / folder).symlink_to(data / folder)
        for photo in images.list_images(data / folder):
            images.write_png(paired / f"{folder}_paired" / photo.name, np.full((32, 32, 3), 255, np.uint8))
    config = replace(TINY, filters=24, normalization="none", near_identity=True, steps=6, paired_weight=100.0)
    teach(paired, config, tmp_path / "taught")
    photos = images.to_float(np.stack([image for _, image in images.read_images(images.list_images(data / "trainA"))]))
    for direction in DIRECTIONS:
        generator = keras.saving.load_model(tmp_path / "taught" / f"g_{direction}.h5", compile=False)
        assert np.mean(generator(photos)) > photos.mean() + 0.1


def test_missing_paired_images_are_asked_for(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["teach", "--data", str(data), "--out", str(tmp_path / "out"), "--paired-weight", "100", "--no-watch-kid"]
    assert console.run(cli.app, line) == 3
    assert "compress data avatars --train-paired" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_work_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "half" / "trainA").mkdir(parents=True)
    (tmp_path / "half" / "trainA" / "000.png").write_bytes((data / "trainA" / "000.png").read_bytes())
    with pytest.raises(UsageError, match="--overwrite"):
        teach(data, TINY, tmp_path / "taken")
    with pytest.raises(UnusableData, match="nowhere"):
        teach(tmp_path / "nowhere", TINY, tmp_path / "out")
    with pytest.raises(UnusableData, match="trainB"):
        teach(tmp_path / "half", TINY, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "taken"]


def _kill_at(step: int, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, config: TeachConfig = TINY) -> None:
    """Start a run that is killed at a step; its checkpoints are of every second one."""
    seen = Batches.__call__

    def killed(batches: Batches, at: int) -> Any:
        if at == step:
            raise _Killed
        return seen(batches, at)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "__call__", killed)
        with pytest.raises(_Killed):
            teach(data, config, out)


def test_other_settings_beside_an_unfinished_run_are_refused_before_an_image_is_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    shutil.copytree(data, own)
    _kill_at(2, own, tmp_path / "out", monkeypatch)
    left = _contents(tmp_path / "out.training")
    for path in own.rglob("*.png"):
        path.write_bytes(b"torn")
    with pytest.raises(UsageError, match="stopped at step 2"):
        teach(own, replace(TINY, seed=1), tmp_path / "out")
    assert _contents(tmp_path / "out.training") == left
    # With its own settings the run would not go on either: its photos are others now.
    with pytest.raises(UsageError, match="other settings or photos"):
        teach(own, TINY, tmp_path / "out")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_taken_over_from_other_settings_that_never_reached_a_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, sample_every=1, watch_kid=True)
    monkeypatch.setattr(kid, "check_scoring_available", lambda: None)
    with monkeypatch.context() as patch:
        # Far better than the second run will ever be, and measured on other held-back images.
        patch.setattr(fit, "measure_directions", lambda step, **_: KidCheck(step, _kid(0.0), _kid(0.0)))
        _kill_at(1, data, tmp_path / "out", monkeypatch, config)
    assert (tmp_path / "out.training" / "kid.json").exists()
    monkeypatch.setattr(fit, "measure_directions", lambda step, **_: KidCheck(step, _kid(0.9), _kid(0.9)))
    teach(data, replace(config, seed=1, sample_every=2), tmp_path / "out")
    history = _record(tmp_path / "out")["history"]
    assert history["control"]["a2b"]["mean"] == 0.9
    assert [check["step"] for check in history["checks"]] == [2, 3]


def test_without_the_packages_that_score_the_way_on_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "lite0" in name else found("json"))
    assert console.run(cli.app, ["teach", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert "--extra score" in message
    assert "--no-watch-kid" in message
    assert list(tmp_path.iterdir()) == []
