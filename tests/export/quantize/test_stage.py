"""`compress quantize` end to end on a tiny student: the contract of every stage, and what the export makes of it."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import layers

from compress import artifact
from compress.artifact import Artifact
from compress.errors import UnusableArtifact, UsageError
from compress.files.ownership import mark_folder
from compress.images import list_images, read_images, to_float
from compress.teachers.student import load_student
from export.config import TfliteConfig
from export.inspect.stage import format_report, read_facts
from export.interpreter.litert import TfliteGenerator
from export.quantize.config import QuantizeConfig
from export.quantize.stage import quantize
from export.tflite import stage as export_stage

CONFIG = QuantizeConfig(
    steps=4, batch_size=2, warmup_steps=1, sample_every=2, checkpoint_every=2, calibration_images=4, domain="both"
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(small_artifact: Path, teacher_file: Path, photo_folders: Path):
    """Quantize the student."""

    def call(out: Path, config: QuantizeConfig = CONFIG, **options: Any) -> Artifact:
        return quantize(small_artifact, teacher_file, photo_folders, config, out, **options)

    return call


@pytest.fixture(scope="module")
def quantized(run, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    config = dataclasses.replace(CONFIG, sensitivity=True)
    return run(tmp_path_factory.mktemp("quantize") / "quantized", config)


def test_a_quantized_student_is_a_folded_model_with_the_scale_of_every_tensor(quantized: Artifact) -> None:
    assert quantized.manifest.float_ops == []
    assert sorted(path.name for path in quantized.path.glob("[!.]*")) == [
        "manifest.json", "model.keras", "samples.png", "sensitivity.json", "sensitivity.png",
    ]  # fmt: skip
    manifest = quantized.manifest
    assert manifest.stage == "quantize"
    assert manifest.config["method"] == "qat"
    model = load_student(quantized.model_path)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in model.layers)
    assert manifest.cost.params == model.count_params()
    assert manifest.quantization is not None
    assert manifest.quantization["generated"] == {"scale": 1 / 128, "zero_point": 0}
    assert not (quantized.path.parent / "quantized.training").exists()


def test_the_best_candidate_is_named_and_all_have_their_scores(quantized: Artifact) -> None:
    scores = quantized.manifest.scores
    methods = {method: scores[f"held_back_psnr_db_{method}"] for method in ("ptq", "control", "qat")}
    assert scores["best_method"] == max(methods, key=lambda method: methods[method])
    assert scores["held_back_psnr_db"] == max(methods.values())
    # Four steps move the student a little, with rounding nearly as without.
    assert methods["ptq"] not in (methods["control"], methods["qat"])
    assert scores["file_to_graph_psnr_db_qat"] > 40
    assert abs(scores["held_back_psnr_db_float"] - methods["ptq"]) < 1


def test_the_export_takes_the_scales_and_makes_the_pictures_that_were_measured(
    quantized: Artifact, photo_folders: Path, tmp_path: Path
) -> None:
    config = TfliteConfig(precision="int8", data=photo_folders)
    exported = export_stage.export_tflite(quantized.path, config, tmp_path / "exported")
    assert exported.manifest.quantization == quantized.manifest.quantization
    generator = TfliteGenerator.open(exported.model_path)
    model = load_student(quantized.model_path)
    photos = [photo for _, photo in read_images(list_images(photo_folders / "trainA")[:3], (32, 32))]
    for photo in photos:
        float_picture = np.asarray(model(to_float(photo)[np.newaxis]))[0]
        assert np.abs(generator.translate(photo) - float_picture).mean() < 0.05


def test_scales_of_another_model_are_refused(quantized: Artifact, photo_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(quantized.path, tmp_path / "mixed")
    path = tmp_path / "mixed" / artifact.MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest["quantization"]["nowhere"] = manifest["quantization"].pop("generated")
    path.write_text(json.dumps(manifest))
    with pytest.raises(UnusableArtifact, match="quantize it anew"):
        export_stage.export_tflite(
            tmp_path / "mixed", TfliteConfig(precision="int8", data=photo_folders), tmp_path / "out"
        )


def test_post_training_trains_nothing(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.distill import fit

    monkeypatch.setattr(fit, "fit", lambda *_, **__: pytest.fail("trained"))
    config = dataclasses.replace(CONFIG, method="ptq", ranges="minmax", symmetric=True)
    made = run(tmp_path / "made", config)
    assert made.manifest.scores["best_method"] == "ptq"
    assert "held_back_psnr_db_qat" not in made.manifest.scores


def test_a_student_that_is_too_large_is_refused_before_anything_is_trained(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.distill import fit

    monkeypatch.setattr(fit, "fit", lambda *_, **__: pytest.fail("trained"))
    config = dataclasses.replace(CONFIG, max_bytes=1000)
    with pytest.raises(UsageError, match=r"max_bytes = 1000, but the int8 file takes \d+.*compress prune"):
        run(tmp_path / "large", config)
    assert not (tmp_path / "large").exists()


def test_losses_are_those_of_the_distillation_but_for_the_discriminator_and_hints(
    as_artifact, small_student, teacher_file: Path, photo_folders: Path, tmp_path: Path, caplog: Any
) -> None:
    distilled = {"steps": 100, "l1_weight": 2.0, "hint_weight": 1.0, "adversarial_weight": 1.0, "matching_weight": 0.5}
    student = as_artifact(small_student, **distilled, adversarial_from_step=50, l1_final_scale=0.1)
    # Without a discriminator no real images are needed, either.
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/trainA").symlink_to(photo_folders / "trainA")
    config = dataclasses.replace(CONFIG, method="ptq", ranges="minmax", domain=None)
    with caplog.at_level("INFO"):
        made = quantize(student, teacher_file, tmp_path / "photos", config, tmp_path / "out")
    found = made.manifest.config
    assert (found["l1_weight"], found["l1_final_scale"], found["adversarial_from_step"]) == (2.0, 0.1, 0.5)
    assert [found[name] for name in ("adversarial_weight", "matching_weight", "hint_weight")] == [0.0, 0.0, 0.0]
    assert (found["steps"], found["method"], found["domain"]) == (4, "ptq", "A")
    assert "adversarial_weight = 1.0, matching_weight = 0.5, hint_weight = 1.0" in caplog.text


@pytest.fixture(scope="module")
def mixed(run, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    config = dataclasses.replace(CONFIG, method="ptq", ranges="photos", float_ops=3)
    return run(tmp_path_factory.mktemp("mixed") / "mixed", config)


def test_the_most_expensive_operators_compute_in_float_and_the_manifest_names_them(mixed: Artifact) -> None:
    manifest = mixed.manifest
    assert 1 <= len(manifest.float_ops) <= 3
    assert manifest.quantization is not None
    assert set(manifest.float_ops) < set(manifest.quantization)
    assert {path.name for path in mixed.path.iterdir()} >= {"sensitivity.json", "sensitivity.png"}
    scores = manifest.scores
    assert scores["best_method"] == "ptq"
    assert scores["held_back_psnr_db"] == scores["held_back_psnr_db_float_ops"]
    assert scores["file_to_graph_psnr_db_float_ops"] > scores["file_to_graph_psnr_db_ptq"]
    assert scores["file_bytes"] == scores["file_bytes_float_ops"] > scores["file_bytes_ptq"]


def test_the_export_keeps_the_same_operators_in_float(mixed: Artifact, photo_folders: Path, tmp_path: Path) -> None:
    config = TfliteConfig(precision="int8", data=photo_folders, io_type="uint8")
    exported = export_stage.export_tflite(mixed.path, config, tmp_path / "exported").manifest
    assert exported.float_ops == mixed.manifest.float_ops
    assert exported.quantization == mixed.manifest.quantization
    assert exported.scores["parity"]["share_within_a_step"] >= 0.999
    assert exported.scores["xnnpack"] == {**exported.scores["xnnpack"], "partitions": 1, "undelegated": {}}
    whole = tmp_path / "whole"
    shutil.copytree(mixed.path, whole)
    manifest = json.loads((whole / artifact.MANIFEST_NAME).read_text())
    (whole / artifact.MANIFEST_NAME).write_text(json.dumps(manifest | {"float_ops": []}))
    other = export_stage.export_tflite(whole, config, tmp_path / "int8").manifest
    assert other.float_ops == []
    assert exported.scores["parity"]["psnr_db"] > other.scores["parity"]["psnr_db"]
    assert exported.cost.size_bytes > other.cost.size_bytes


def test_inspect_tells_what_is_in_float_and_what_the_file_will_take(
    mixed: Artifact, quantized: Artifact, photo_folders: Path, tmp_path: Path
) -> None:
    for source in (mixed, quantized):
        report = read_facts(source.path)
        assert report["float_ops"] == source.manifest.float_ops
        config = TfliteConfig(precision="int8", data=photo_folders)
        written = export_stage.export_tflite(source.path, config, tmp_path / source.path.name)
        # It was measured with another description than the export's.
        size_bytes = written.manifest.cost.size_bytes
        assert report["predicted_size_bytes"]["int8"] == pytest.approx(size_bytes, rel=0.02)
        assert read_facts(written.path)["float_ops"] == source.manifest.float_ops
    assert f"in float     {', '.join(mixed.manifest.float_ops)}" in format_report(read_facts(mixed.path))


def test_more_operators_than_there_are_is_refused_before_the_teacher_runs(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.distill.inputs import StageInputs

    monkeypatch.setattr(StageInputs, "training_data", lambda *_: pytest.fail("translated"))
    with pytest.raises(UsageError, match=r"float_ops = 999, but the student has \d+ operators"):
        run(tmp_path / "out", dataclasses.replace(CONFIG, float_ops=999))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_goes_on_where_it_was(run, quantized: Artifact, tmp_path: Path, monkeypatch) -> None:
    """Killed between its two trainings: the first is not trained again, and the result is the same."""
    from compress.training import loop

    trained: list[str] = []
    original = loop.train

    def watched(*args: Any, **options: Any) -> Any:
        trained.append(options["work"].name)
        if trained == ["control", "qat"]:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(loop, "train", watched)
    config = dataclasses.replace(CONFIG, sensitivity=True)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "quantized", config)
    steps: list[int] = []
    monkeypatch.setattr(loop, "save_checkpoint", lambda *args: steps.append(args[3]))
    again = run(tmp_path / "quantized", config)
    assert steps == [2, 4]
    assert again.manifest.scores == quantized.manifest.scores
    assert again.manifest.quantization == quantized.manifest.quantization


def test_the_folder_of_another_stopped_run_is_left_as_it_is(run, tmp_path: Path) -> None:
    work = tmp_path / "quantized.training" / "qat"
    work.mkdir(parents=True)
    mark_folder(work.parent)
    np.savez(work / "checkpoint.npz", identity="of another run", step=2)
    with pytest.raises(UsageError, match="stopped at step 2"):
        run(tmp_path / "quantized")
    assert [path.name for path in work.parent.glob("[!.]*")] == ["qat"]


def test_what_cannot_work_is_refused_before_the_teacher_runs(run, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        run(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"calibration_images": 0}, "calibration_images = 0"),
        ({"float_ops": -1}, "float_ops = -1"),
        ({"max_bytes": 0}, "max_bytes = 0"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name_and_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        QuantizeConfig(**values)


def test_the_command_says_what_came_out(
    command, small_artifact: Path, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    places = ("--student", small_artifact, "--teacher", teacher_file, "--data", photo_folders)
    flags = ("--method", "ptq", "--calibration-images", 2, "--domain", "both", "--float-ops", 1, "--json")
    finished = command("quantize", *places, "--out", tmp_path / "out", *flags)
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout)
    assert printed["best_method"] == "ptq"
    assert len(printed["float_ops"]) == 1
