"""Training of peers: for as long as a student was, with their own shape and losses and all its other settings."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import pytest

from benchmarks.published import methods, training
from benchmarks.published.config import PeerMethod
from compress.artifact import TEACHER_READING, Artifact, Cost, ImageSpec, Manifest, open_artifact, write_manifest
from compress.config import to_mapping
from compress.distill.config import DistillConfig
from compress.errors import UnusableArtifact, UsageError
from compress.files.atomic import atomic_dir
from compress.models import mobile_resnet_generator, resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.resnet_generator import ResnetConfig
from compress.teachers.reading.config import ReadingConfig

CONFIG = DistillConfig(
    image_size_px=32, width=8, blocks=1, batch_size=2, steps=6, sample_every=6, holdout=1, discriminator_filters=4,
    l1_final_scale=0.1, discriminator_crop_px=32, learning_rate=5e-3, precision="float32",
)  # fmt: skip
SMALL = MobileResnetConfig(down=(4, 4, 8), inner=(4, 4), up=(4, 4))


def _student(folder: Path, images_per_s: float | None, **manifest: Any) -> Path:
    """Write the parts of a student's artifact that the training of a peer reads."""
    with atomic_dir(folder) as scratch:
        (scratch / "model.keras").touch()
        (scratch / "training.json").write_text(json.dumps({"history": [], "images_per_s": images_per_s}))
        # As a distilled student's: with how its teacher was read.
        reading = {TEACHER_READING: {"said": {"padding": "reflect"}, "conventions": []}}
        record = {"stage": "distill", "config": to_mapping(CONFIG) | reading} | manifest
        size = Cost(params=1, macs=1, size_bytes=4)
        spec = ImageSpec(shape=(32, 32, 3))
        write_manifest(scratch, Manifest(name="s", format="keras", parent=None, input=spec, cost=size, **record))
    return folder


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch, eagerly: None) -> None:
    """Few steps, small nets, and a trial that found a pace of four photos a second."""
    monkeypatch.setattr(training, "TRIAL_STEPS", 2)
    monkeypatch.setattr(training, "NARROW_FILTERS", 2)
    monkeypatch.setattr(training, "NARROW_BLOCKS", 1)
    for name in ("gan_compression", "omgd"):
        monkeypatch.setitem(
            methods.DISTILLED, name, dataclasses.replace(methods.DISTILLED[name], shape=SMALL)  # pyright: ignore[reportArgumentType]
        )  # fmt: skip


def _train(method: PeerMethod, like: Path, teacher: Path, data: Path, out: Path) -> Artifact:
    return training.train_peer(method, like, teacher, data, out)


@pytest.mark.parametrize("method", ["gan_compression", "omgd", "omgd_losses"])
def test_a_peer_differs_in_shape_and_losses_alone(
    method: PeerMethod, quickly: None, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    # At any pace of the peer's a student that was trained in no time leaves it a single step.
    like = _student(tmp_path / "like", 1e9)
    peer = _train(method, like, teacher_file, photo_folders, tmp_path / "peer")
    found, losses = peer.manifest.config, methods.DISTILLED[method].losses
    assert found["peer"] == method
    assert found["steps"] == 1
    for name, value in to_mapping(CONFIG).items():
        if name.endswith("_weight"):
            assert found[name] == losses.get(name, 0.0)
        elif name in ("learning_rate", "batch_size", "domain", "flip", "holdout", "discriminator_filters", "precision"):
            assert found[name] == value
    assert (found["l1_final_scale"], found["discriminator_crop_px"]) == (1.0, None)
    if method == "omgd_losses":
        assert (found["family"], found["width"]) == ("pixel_shuffle", 8)
    else:
        assert tuple(found["down"]) == SMALL.down
        assert peer.manifest.cost.params == mobile_resnet_generator.build_mobile_resnet(SMALL).count_params()
    assert keras.saving.load_model(peer.model_path, compile=False).input_shape == (None, 32, 32, 3)


def test_a_peer_without_a_teacher_learns_from_real_images_alone(
    quickly: None, photo_folders: Path, tmp_path: Path
) -> None:
    like = _student(tmp_path / "like", 1e9)
    peer = _train("narrow", like, tmp_path / "nowhere.h5", photo_folders, tmp_path / "peer")
    assert peer.manifest.config == {"peer": "narrow", "filters": 2, "blocks": 1, "steps": 1, "domain": "A"}
    assert peer.manifest.stage == "teach"
    assert keras.saving.load_model(peer.model_path, compile=False).input_shape == (None, 32, 32, 3)
    assert json.loads((peer.path / "teaching.json").read_text())["config"]["cycle_weight"] == 10.0


def test_the_narrow_peer_is_of_the_published_size() -> None:
    net = resnet_generator.build_resnet(ResnetConfig(filters=methods.NARROW_FILTERS, blocks=methods.NARROW_BLOCKS))
    assert net.count_params() == pytest.approx(0.137e6, rel=0.03)


def test_a_slow_net_gets_fewer_steps_in_the_same_time(
    monkeypatch: pytest.MonkeyPatch, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    # 6 steps of 2 photos at 4 a second: 3 seconds, in which half that pace is 3 steps.
    like, trial = _student(tmp_path / "like", 4.0), open_artifact(_student(tmp_path / "trial", 2.0))
    asked: list[DistillConfig] = []
    readings: list[ReadingConfig] = []

    def pretend(
        start: Any, recorded: Any, teacher: Any, data: Any, config: DistillConfig, *_: Any, **named: Any
    ) -> Artifact:
        asked.append(config)
        readings.append(named["reading"])
        return trial

    monkeypatch.setattr(training, "distill_into", pretend)
    _train("gan_compression", like, teacher_file, photo_folders, tmp_path / "peer")
    # The teacher is read as the student's was.
    assert readings == [ReadingConfig(padding="reflect")] * 2
    assert [config.steps for config in asked] == [training.TRIAL_STEPS, 3]
    assert asked[0].turning_step == 0


def test_a_killed_run_goes_on_with_the_steps_of_its_own_trial(
    monkeypatch: pytest.MonkeyPatch, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    like = _student(tmp_path / "like", 4.0)
    trials = iter(open_artifact(_student(tmp_path / name, pace)) for name, pace in (("a", 2.0), ("b", 1.0)))
    asked: list[int] = []

    def pretend(
        start: Any, recorded: Any, teacher: Any, data: Any, config: DistillConfig, *_: Any, **__: Any
    ) -> Artifact:
        asked.append(config.steps)
        if config.steps == training.TRIAL_STEPS:
            return next(trials)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "distill_into", pretend)
    for method in ("omgd", "omgd", "omgd_losses", "omgd"):
        with pytest.raises(KeyboardInterrupt):
            _train(method, like, teacher_file, photo_folders, tmp_path / "peer")
    # 3 steps in the student's time, half of them at the pace of what was asked for in between.
    assert asked == [training.TRIAL_STEPS, 3, 3, training.TRIAL_STEPS, 2, 3]


def test_a_narrow_run_that_was_killed_goes_on(
    monkeypatch: pytest.MonkeyPatch, quickly: None, photo_folders: Path, tmp_path: Path
) -> None:
    like, out = _student(tmp_path / "like", 1e9), tmp_path / "peer"

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "_write_narrow", die)
        with pytest.raises(KeyboardInterrupt):
            _train("narrow", like, tmp_path / "nowhere.h5", photo_folders, out)
    assert not out.exists()
    monkeypatch.setattr(training, "TRIAL_STEPS", 0)
    assert _train("narrow", like, tmp_path / "nowhere.h5", photo_folders, out).manifest.config["steps"] == 1
    assert not (tmp_path / "peer.training").exists()


@pytest.mark.parametrize(
    ("images_per_s", "manifest", "named"),
    [
        (None, {}, "images_per_s in training.json"),
        (4.0, {"stage": "prune"}, "comes from the stage prune"),
        (4.0, {"config": {"peer": "omgd"}}, "as compress distill writes it"),
    ],
)
def test_what_was_not_distilled_here_has_no_time_to_give(
    images_per_s: float | None, manifest: dict[str, Any], named: str, tmp_path: Path
) -> None:
    like = _student(tmp_path / "like", images_per_s, **manifest)
    with pytest.raises(UnusableArtifact, match=named):
        _train("omgd", like, tmp_path / "t.h5", tmp_path, tmp_path / "peer")
    assert not (tmp_path / "peer").exists()


def test_a_student_that_started_from_another_gives_its_time_as_any(tmp_path: Path) -> None:
    config = to_mapping(CONFIG) | {"init": "starter:unet", "init_fingerprint": "abc"}
    found, seconds = training._read_student(open_artifact(_student(tmp_path / "like", 4.0, config=config)))
    assert found == dataclasses.replace(CONFIG, init="starter:unet")
    assert seconds == CONFIG.steps * CONFIG.batch_size / 4.0


def test_a_peer_is_not_written_over_its_student(tmp_path: Path) -> None:
    like = _student(tmp_path / "like", 4.0)
    with pytest.raises(UsageError, match=r"is the same as .*which this command reads"):
        training.train_peer("omgd", like, tmp_path / "t.h5", tmp_path, like, overwrite=True)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"images_per_s": "fast"}'])
def test_a_damaged_record_of_a_students_training_is_named(damage: str, tmp_path: Path) -> None:
    like = _student(tmp_path / "like", 2.0)
    (like / "training.json").write_text(damage)
    with pytest.raises(UnusableArtifact, match=r"training\.json cannot be read|images_per_s in training\.json"):
        training._read_student(open_artifact(like))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"steps": "many"}'])
def test_a_damaged_pace_is_named_and_a_whole_one_kept(damage: str, tmp_path: Path) -> None:
    out = tmp_path / "peer"
    assert training._keep_steps(out, ["cyclegan"], lambda: 7) == 7
    assert training._keep_steps(out, ["cyclegan"], lambda: pytest.fail("tried anew")) == 7
    (record,) = (tmp_path / "peer.training").glob("pace-*.json")
    record.write_text(damage)
    with pytest.raises(UnusableArtifact, match=r"pace-.*\.json cannot be read.*to start anew"):
        training._keep_steps(out, ["cyclegan"], lambda: 7)
