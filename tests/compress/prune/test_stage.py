"""`compress prune` end to end on a tiny student: the contract that every stage keeps."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import artifact
from compress.artifact import Artifact, ImageSpec, Manifest
from compress.config import to_mapping
from compress.distill.config import DistillConfig, FitConfig
from compress.errors import UnusableArtifact, UsageError
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.files.atomic import atomic_dir
from compress.files.training_folder import make_training_folder
from compress.prune.config import PruneConfig
from compress.prune.stage import prune
from compress.teachers.student import load_student

SIZE_PX = 16
CONFIG = PruneConfig(
    max_bytes=17_000,
    steps=4,
    batch_size=2,
    sample_every=2,
    checkpoint_every=2,
    calibration_images=4,
    domain="both",
    precision="float32",
)
"""The student below is predicted to take 18.7 kB."""
TEMPLATE = AlignmentTemplate(eyes_y=0.4)
"""Where its faces lay."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def student(make_student, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A student as `distill` writes it, with random weights."""
    from compress.models import cost

    model, out = make_student(blocks=1, side=SIZE_PX), tmp_path_factory.mktemp("prune") / "student"
    with atomic_dir(out) as scratch:
        model.save(scratch / "model.keras")
        spec, measured = ImageSpec(shape=(SIZE_PX, SIZE_PX, 3)), cost.measure_cost(model)
        manifest = Manifest(
            name="student", format="keras", stage="distill", parent=None, input=spec, cost=measured,
            config={"domain": "B", **record_template(TEMPLATE)},
        )  # fmt: skip
        artifact.write_manifest(scratch, manifest)
    return artifact.open_artifact(out)


@pytest.fixture(scope="module")
def run(student: Artifact, teacher_file: Path, photo_folders: Path):
    """Prune the student."""

    def call(out: Path, config: PruneConfig = CONFIG, **options: Any) -> Artifact:
        return prune(student.path, teacher_file, photo_folders, config, out, **options)

    return call


@pytest.fixture(scope="module")
def pruned(run, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return run(tmp_path_factory.mktemp("prune") / "pruned")


def test_a_pruned_student_is_one_model_with_a_manifest_that_reads_back(student: Artifact, pruned: Artifact) -> None:
    assert sorted(path.name for path in pruned.path.glob("[!.]*")) == [
        "manifest.json", "model.keras", "samples.png", "training.json",
    ]  # fmt: skip
    manifest = pruned.manifest
    assert (manifest.stage, manifest.parent, manifest.seed) == ("prune", student.fingerprint, 0)
    assert read_template(manifest.config, origin=pruned.path) == TEMPLATE
    assert manifest.config["predicted_int8_bytes"] <= CONFIG.max_bytes
    assert manifest.cost.params < student.manifest.cost.params
    assert manifest.cost.macs is not None
    assert manifest.cost.macs < (student.manifest.cost.macs or 0)
    model = load_student(pruned.model_path)
    for group in manifest.config["groups"]:
        assert 8 <= group["kept"] <= group["before"] or group["kept"] == group["before"]
        blocks = {model.get_layer(name).filters // group["kept"] for name in group["layers"]}
        assert blocks <= {1, 4}
    assert any(group["kept"] < group["before"] for group in manifest.config["groups"])
    assert set(manifest.scores) == {
        "held_back_photos", "held_back_psnr_db", "held_back_psnr_db_untuned", "held_back_psnr_db_unpruned",
    }  # fmt: skip
    assert not (pruned.path.parent / "pruned.training").exists()


def test_fine_tuning_is_measured_and_changes_the_student(pruned: Artifact) -> None:
    history = json.loads((pruned.path / "training.json").read_text())["history"]
    assert [point["step"] for point in history] == [2, 4]
    assert pruned.manifest.scores["held_back_psnr_db"] != pruned.manifest.scores["held_back_psnr_db_untuned"]


def test_the_same_command_gives_the_same_student_and_touches_no_input(
    run, student: Artifact, teacher_file: Path, tmp_path: Path
) -> None:
    # Without fine-tuning: that it repeats is what the tests of distill hold.
    config = dataclasses.replace(CONFIG, steps=0, importance="taylor")
    inputs = artifact.file_fingerprint(student.path), artifact.file_fingerprint(teacher_file)
    found = [run(tmp_path / name, config) for name in ("one", "same")]
    for one, same in zip(*(load_student(cut.model_path).get_weights() for cut in found), strict=True):
        np.testing.assert_array_equal(same, one)
    assert (artifact.file_fingerprint(student.path), artifact.file_fingerprint(teacher_file)) == inputs


def test_without_steps_the_student_is_cut_and_nothing_else(run, student: Artifact, tmp_path: Path) -> None:
    cut = run(tmp_path / "cut", dataclasses.replace(CONFIG, steps=0, importance="bn_scale", domain=None))
    scores = cut.manifest.scores
    assert scores["held_back_psnr_db"] == scores["held_back_psnr_db_untuned"]
    assert cut.manifest.config["domain"] == "B"
    whole = {value for weight in load_student(student.model_path).get_weights() for value in weight.ravel()}
    assert all(set(weight.ravel()) <= whole for weight in load_student(cut.model_path).get_weights())
    assert json.loads((cut.path / "training.json").read_text()) == {
        "history": [],
        "kid_to": None,
        "teacher_kid": None,
        "chosen": None,
        "stopped": None,
        "images_per_s": None,
        "precision": "float32",
        "teacher_images_precision": "float32",
    }


@pytest.fixture
def rival(make_student, tmp_path: Path) -> Artifact:
    """A student that was distilled against a discriminator, large enough for one."""
    from compress.models import cost

    model, out = make_student(blocks=1, side=32), tmp_path / "rival"
    distilled = DistillConfig(
        domain="B", image_size_px=32, l1_weight=2.0, hint_weight=1.0, adversarial_weight=1.0,
        discriminator="patch", adversarial_from_step=3000, discriminator_filters=4,
    )  # fmt: skip
    with atomic_dir(out) as scratch:
        model.save(scratch / "model.keras")
        manifest = Manifest(
            name="rival", format="keras", stage="distill", parent=None, input=ImageSpec(shape=(32, 32, 3)),
            cost=cost.measure_cost(model), config=to_mapping(distilled),
        )  # fmt: skip
        artifact.write_manifest(scratch, manifest)
    return artifact.open_artifact(out)


def test_a_student_is_fine_tuned_with_the_losses_and_the_discriminator_that_it_was_distilled_with(
    rival: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.distill import fit

    asked: list[tuple[FitConfig, Any]] = []
    original = fit.fit

    def watched(training_data: Any, config: FitConfig, *args: Any, **options: Any) -> Any:
        asked.append((config, training_data.real))
        return original(training_data, dataclasses.replace(config, steps=0), *args, **options)

    monkeypatch.setattr(fit, "fit", watched)
    config = dataclasses.replace(CONFIG, max_bytes=None, max_macs=1_000_000, domain=None)
    pruned = prune(rival.path, teacher_file, photo_folders, config, tmp_path / "pruned")
    (used, real), found = asked[0], pruned.manifest.config
    assert (used.l1_weight, used.adversarial_weight, used.hint_weight) == (2.0, 1.0, 1.0)
    assert (used.steps, used.learning_rate, used.turning_step) == (4, 1e-3, 2)
    assert real is not None
    assert (found["l1_weight"], found["adversarial_from_step"], found["hint_weight"]) == (2.0, 0.5, 1.0)
    assert (found["steps"], found["max_macs"], found["domain"]) == (4, 1_000_000, "B")


class _Killed(Exception):
    pass


def test_a_killed_run_goes_on_with_the_channels_it_chose(run, tmp_path: Path, monkeypatch) -> None:
    from compress.distill import fit
    from compress.prune import choice

    def killed(*_: Any, **__: Any) -> None:
        raise _Killed

    config, work = dataclasses.replace(CONFIG, steps=0), tmp_path / "pruned.training"
    with monkeypatch.context() as patch:
        patch.setattr(fit, "fit", killed)
        with pytest.raises(_Killed):
            run(tmp_path / "pruned", config)
    kept = json.loads((work / "pruning.json").read_text())["kept"]
    monkeypatch.setattr(choice, "choose", lambda *_: pytest.fail("chosen anew"))
    finished = run(tmp_path / "pruned", config)
    assert [group["kept"] for group in finished.manifest.config["groups"]] == [len(units) for units in kept]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"kept": [[0', '"kept": [[1'),
    ],
)
def test_a_damaged_choice_is_named(tmp_path: Path, damage: Callable[[str], str]) -> None:
    from compress.prune.choice import RECORD, Choice, load_or_choose

    made = load_or_choose(tmp_path, "run", lambda: Choice(((0, 2), (1,))))
    assert load_or_choose(tmp_path, "run", lambda: pytest.fail("chosen anew")) == made
    written = (tmp_path / RECORD).read_text()
    (tmp_path / RECORD).write_text(damage(written))
    assert (tmp_path / RECORD).read_text() != written
    with pytest.raises(UnusableArtifact, match=r"pruning\.json cannot be read.*to start anew"):
        load_or_choose(tmp_path, "run", lambda: made)


def test_the_choice_of_another_run_is_not_taken(tmp_path: Path) -> None:
    from compress.prune.choice import Choice, load_or_choose

    load_or_choose(tmp_path, "earlier", lambda: Choice(((0, 2),)))
    assert load_or_choose(tmp_path, "run", lambda: Choice(((1,),))) == Choice(((1,),))


def test_the_folder_of_another_stopped_run_is_left_as_it_is(run, tmp_path: Path) -> None:
    work = tmp_path / "pruned.training"
    make_training_folder(work)
    np.savez(work / "checkpoint.npz", identity="of another run", step=2)
    (work / "pruning.json").write_text("precious")
    with pytest.raises(UsageError, match="stopped at step 2"):
        run(tmp_path / "pruned")
    assert (work / "pruning.json").read_text() == "precious"
    assert sorted(path.name for path in work.glob("[!.]*")) == ["checkpoint.npz", "pruning.json"]


def test_what_cannot_work_is_refused_before_the_teacher_runs(
    run, student: Artifact, pruned: Artifact, photo_folders: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        run(tmp_path / "taken")
    with pytest.raises(UsageError, match="is the same as"):
        run(student.path, overwrite=True)
    with pytest.raises(UsageError, match=r"max_bytes = 500\b.*--max-bytes \d+"):
        run(out, dataclasses.replace(CONFIG, max_bytes=500))
    with pytest.raises(UsageError, match="fits max_bytes = 1,000,000 already"):
        run(out, dataclasses.replace(CONFIG, max_bytes=1_000_000))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


def test_a_teacher_of_another_size_is_refused(student: Artifact, make_student, photo_folders, tmp_path) -> None:
    make_student(width=8, blocks=1, side=20).save(tmp_path / "teacher.keras")
    with pytest.raises(UsageError, match=r"teacher\.keras takes 20x20 images, but .*16x16"):
        prune(student.path, tmp_path / "teacher.keras", photo_folders, CONFIG, tmp_path / "out")


def test_an_export_is_no_student(student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(student.path, tmp_path / "export")
    manifest = json.loads((tmp_path / "export" / "manifest.json").read_text()) | {"format": "tflite"}
    (tmp_path / "export" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "export" / "model.tflite").write_bytes(b"TFL3")
    with pytest.raises(UnusableArtifact, match=r"holds model\.tflite"):
        prune(tmp_path / "export", teacher_file, photo_folders, CONFIG, tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "--max-bytes"),
        ({"max_bytes": 0}, "max_bytes = 0"),
        ({"max_macs": 9, "channel_multiple": 0}, "channel_multiple = 0"),
        ({"max_macs": 9, "steps": -1}, "steps = -1"),
        ({"max_macs": 9, "batch_size": 0}, "batch_size = 0"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name_and_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        PruneConfig(**values)


def test_the_command_prunes_and_says_what_came_out(
    command, student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    places = ("--student", student.path, "--teacher", teacher_file, "--data", photo_folders, "--out", tmp_path / "out")
    finished = command("prune", *places, "--max-macs", 250_000, "--steps", 0, "--json")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["macs"] <= 250_000
    assert result["predicted_int8_bytes"] < 18_000
    assert result["held_back_psnr_db_unpruned"] > 0


def test_a_command_without_a_budget_is_refused_with_exit_code_2(command, tmp_path: Path) -> None:
    finished = command("prune", "--student", "s", "--teacher", "t", "--data", "d", "--out", tmp_path / "out")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "--max-bytes" in finished.stderr
