"""`compress run`: which stages run, in which order, and which are left alone the second time."""

import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from compress.distill.config import DistillConfig
from compress.errors import UnusableData, UnusableModel, UsageError
from compress.prune.config import PruneConfig
from compress.run import pipeline, stages
from compress.run.recipe import MeasureConfig, Recipe
from compress.teach.config import TeachConfig
from compress.teachers.reading.config import ReadingConfig

RECIPE = Recipe(name="mine.toml", distill=DistillConfig())


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stages write an empty file in place of their work; the list holds the command lines that ran."""
    lines: list[list[str]] = []

    def pretend(command: list[str]) -> int:
        lines.append(command[4:])
        if "fail" in command[4:7]:
            return 4
        Path(command[command.index("--out") + 1]).write_text("done")
        return 0

    monkeypatch.setattr(stages, "_run_to_end", pretend)
    return lines


@pytest.fixture
def run(executed: list[list[str]], photo_folders: Path, tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Run a recipe in `tmp_path / "run"`, by a teacher `g.h5` unless told otherwise."""
    teacher = tmp_path / "g.h5"
    teacher.touch()

    def call(
        recipe: Recipe = RECIPE, teacher: Path | None = teacher, data: Path = photo_folders, **options: Any
    ) -> dict[str, object]:
        return pipeline.run_recipe(teacher, data, recipe, tmp_path / "run", **options)

    return call


def _outputs(lines: list[list[str]], tmp_path: Path) -> list[str]:
    return [str(Path(line[line.index("--out") + 1]).relative_to(tmp_path / "run")) for line in lines]


def _value(line: list[str], flag: str) -> str:
    return line[line.index(flag) + 1]


def test_a_run_goes_from_the_teacher_to_the_report(
    run, executed: list[list[str]], photo_folders: Path, tmp_path: Path
) -> None:
    result = run()
    assert _outputs(executed, tmp_path) == [
        "student", "teacher", "student_fp32", "student_int8",
        "images/inputs", "images/teacher", "images/student_fp32", "images/student_int8",
        "scores/inputs.json", "scores/student_fp32.json", "scores/student_int8.json", "bench.json", "report.html",
        "model_card.md",
    ]  # fmt: skip
    out = tmp_path / "run"
    assert result["report"] == str(out / "report.html")
    assert executed[0][:5] == ["distill", "--teacher", str(tmp_path / "g.h5"), "--data", str(photo_folders)]
    report, card = executed[-2:]
    assert f"--training=student={out / 'student'}" in report
    assert _value(report, "--title") == "run: g.h5 and its student"
    assert _value(card, "--model") == str(out / "student_int8")
    assert _value(card, "--scores") == str(out / "scores/student_int8.json")
    assert _value(card, "--teacher") == str(tmp_path / "g.h5")
    assert f"--student={out / 'student'}" in card
    # What doing nothing gets stands beside every score but its own.
    controls = [_value(line, "--control") if "--control" in line else None for line in executed[8:11]]
    assert controls == [None, *[str(out / "images/inputs")] * 2]
    # What a recipe leaves to the family is left to it on the command line, too.
    assert not {"None", "--kernel-size", "--upsampler"} & set(executed[0])


def test_without_a_teacher_one_is_trained_first(run, executed: list[list[str]], tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, teach=TeachConfig(flip=False), distill=DistillConfig(domain="B"))
    run(recipe, teacher=None)
    assert _outputs(executed, tmp_path)[:3] == ["cyclegan", "student", "teacher"]
    assert executed[0][0] == "teach"
    assert "--no-flip" in executed[0]
    trained = str(tmp_path / "run/cyclegan/g_b2a.h5")
    assert (_value(executed[1], "--teacher"), executed[2][2]) == (trained, trained)
    assert f"--training=teacher={tmp_path / 'run/cyclegan'}" in executed[-2]


def test_a_teacher_that_is_there_is_taken_whatever_the_recipe_could_train(run, executed: list[list[str]]) -> None:
    run(dataclasses.replace(RECIPE, teach=TeachConfig()))
    assert "teach" not in {line[0] for line in executed}


@dataclasses.dataclass(frozen=True)
class _Quantize:
    float_ops: int = 3


def test_the_distilled_student_is_pruned_and_the_last_one_quantized_and_exported(
    run, executed: list[list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(RECIPE, prune=PruneConfig(max_bytes=9), quantize=_Quantize()))
    assert _outputs(executed, tmp_path)[:6] == [
        "student", "pruned", "quantized", "teacher", "student_fp32", "student_int8",
    ]  # fmt: skip
    pruning, quantizing = executed[1:3]
    assert (pruning[0], _value(pruning, "--student"), _value(pruning, "--max-bytes")) == (
        "prune", str(out / "student"), "9",
    )  # fmt: skip
    assert "--max-macs" not in pruning
    assert (quantizing[0], _value(quantizing, "--student"), _value(quantizing, "--float-ops")) == (
        "quantize", str(out / "pruned"), "3",
    )  # fmt: skip
    assert [line[2] for line in executed[4:6]] == [str(out / "quantized")] * 2
    assert f"--training=pruned={out / 'pruned'}" in executed[-2]
    assert [part for part in executed[-1] if part.startswith("--student=")] == [
        f"--student={out / name}" for name in ("student", "pruned", "quantized")
    ]


def test_a_student_that_is_only_quantized_is_quantized_as_it_was_distilled(
    run, executed: list[list[str]], tmp_path: Path
) -> None:
    run(dataclasses.replace(RECIPE, quantize=_Quantize()))
    assert _value(executed[1], "--student") == str(tmp_path / "run/student")


def test_the_export_has_the_flags_that_the_recipe_gives_it(
    run, executed: list[list[str]], photo_folders: Path, tmp_path: Path
) -> None:
    export = {"precision": "int8", "io_type": "uint8", "other_sizes_px": [64, 96]}
    run(dataclasses.replace(RECIPE, export=export))
    shipped = next(line for line in executed if line[-2] == str(tmp_path / "run/student_int8"))
    assert shipped[3:-3] == [
        "--precision", "int8", "--io-type", "uint8", "--other-sizes-px", "64", "--other-sizes-px", "96",
        "--data", str(photo_folders),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "models"),
    [("fp32", ["teacher", "student_fp32"]), ("fp16", ["teacher", "student_fp32", "student_fp16"])],
)
def test_what_ships_is_named_after_its_precision(
    run, executed: list[list[str]], tmp_path: Path, precision: str, models: list[str]
) -> None:
    run(dataclasses.replace(RECIPE, export={"precision": precision}))
    outputs = _outputs(executed, tmp_path)
    assert [name for name in outputs if f"images/{name}" in outputs] == models
    assert precision in executed[outputs.index(models[-1])]


def test_against_real_images_the_teacher_is_scored_too(run, executed: list[list[str]], tmp_path: Path) -> None:
    run(dataclasses.replace(RECIPE, measure=MeasureConfig(reference="real")))
    assert {"images/real", "scores/teacher.json"} <= set(_outputs(executed, tmp_path))
    scored = next(line for line in executed if line[:2] == ["eval", "score"])
    assert _value(scored, "--real") == str(tmp_path / "run/images/real")


@pytest.mark.parametrize(("domain", "target"), [("A", "B"), ("B", "A")])
def test_real_images_are_of_the_domain_that_is_translated_to(
    run, executed: list[list[str]], domain: Literal["A", "B"], target: str
) -> None:
    run(dataclasses.replace(RECIPE, measure=MeasureConfig(domain=domain, reference="real")))
    commands = [line for line in executed if line[:2] == ["data", "photos"]]
    assert [_value(line, "--domain") for line in commands] == [domain, target]


def test_no_real_images_are_what_both_translations_should_make() -> None:
    with pytest.raises(UsageError, match='reference = "real" with domain = "both"'):
        MeasureConfig(domain="both", reference="real")


def test_scores_share_one_cache_and_their_record_is_without_it(run, executed: list[list[str]], tmp_path: Path) -> None:
    run()
    scored = [line for line in executed if line[:2] == ["eval", "score"]]
    assert len(scored) == 3
    assert {_value(line, "--cache") for line in scored} == {str(tmp_path / "run" / pipeline.FEATURES)}
    # A run that an older version finished is not scored anew for a flag that changes no score.
    assert "--cache" not in (tmp_path / "run" / pipeline.RECORD).read_text()


def test_a_finished_run_does_nothing_the_second_time(run, executed: list[list[str]]) -> None:
    run()
    executed.clear()
    assert run()["seconds"] == {}
    assert executed == []


def test_a_changed_setting_repeats_its_stage_and_all_after_it(run, executed: list[list[str]], tmp_path: Path) -> None:
    run()
    executed.clear()
    run(dataclasses.replace(RECIPE, export={"precision": "int8", "calibration_images": 3}))
    assert _outputs(executed, tmp_path)[0] == "student_int8"
    assert _outputs(executed, tmp_path)[-1] == "model_card.md"
    assert "student" not in _outputs(executed, tmp_path)


def test_a_photo_counts_among_what_a_run_reads_and_a_note_beside_it_does_not(
    run, executed: list[list[str]], photo_folders: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(photo_folders, tmp_path / "data")
    run(data=data)
    executed.clear()
    for name in ("note.txt", ".DS_Store", "._1.jpg"):
        (data / "trainA" / name).write_text("mine")
    run(data=data)
    assert executed == []
    with next((data / "trainA").glob("*.png")).open("ab") as photo:
        photo.write(b"changed")
    with pytest.raises(UsageError, match="what student was made from has changed under its path"):
        run(data=data)
    assert executed == []
    run(data=data, overwrite=True)
    assert executed[0][0] == "distill"


def test_a_trained_student_is_replaced_only_where_that_is_asked_for(run, executed: list[list[str]], tmp_path) -> None:
    before = dataclasses.replace(RECIPE, distill=DistillConfig(steps=40))
    after = dataclasses.replace(RECIPE, distill=DistillConfig(steps=41), measure=MeasureConfig(runs=3))
    run(before)
    executed.clear()
    with pytest.raises(UsageError, match=r"\(--steps 40 -> 41\)\. student and 13 after it.*--overwrite"):
        run(after)
    assert executed == []
    run(after, overwrite=True)
    assert _outputs(executed, tmp_path)[0] == "student"
    executed.clear()
    run(dataclasses.replace(after, measure=MeasureConfig(runs=4)))
    assert _outputs(executed, tmp_path) == ["bench.json", "report.html", "model_card.md"]


def test_a_lost_output_is_made_again(run, executed: list[list[str]], tmp_path: Path) -> None:
    run()
    executed.clear()
    (tmp_path / "run/bench.json").unlink()
    run()
    assert _outputs(executed, tmp_path) == ["bench.json", "report.html", "model_card.md"]


def test_a_failed_stage_ends_the_run_with_its_exit_code(
    run, executed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline._Run, "stages", lambda *_: [stages.Stage("student", ("x", "fail"))])
    with pytest.raises(stages.StageFailed) as failure:
        run()
    assert failure.value.exit_code == 4
    assert len(executed) == 1


def test_a_folder_that_holds_something_else_is_refused(run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine.txt").write_text("precious")
    with pytest.raises(UsageError, match=str(tmp_path / "run")):
        run()


def test_every_setting_of_a_recipe_reaches_the_command(run, executed: list[list[str]]) -> None:
    run(dataclasses.replace(RECIPE, distill=DistillConfig(flip=False, steps=9)))
    assert "--no-flip" in executed[0]
    assert _value(executed[0], "--steps") == "9"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"distill": None}, r"mine\.toml has no table \[distill\]"),
        ({"teach": None}, r"no table \[teach\].*--teacher"),
        ({"distill": DistillConfig(domain="both")}, 'domain = "both"'),
    ],
)
def test_a_recipe_that_cannot_run_without_a_teacher_is_refused_in_one_sentence(
    run, executed: list[list[str]], changes: dict[str, Any], named: str
) -> None:
    recipe = dataclasses.replace(RECIPE, **({"teach": TeachConfig()} | changes))
    with pytest.raises(UsageError, match=named):
        run(recipe, teacher=None)
    assert executed == []


def test_missing_photos_and_a_missing_teacher_are_refused_before_the_first_stage(
    run, executed: list[list[str]], photo_folders: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnusableModel, match=r"nosuch\.h5"):
        run(teacher=tmp_path / "nosuch.h5")
    (tmp_path / "photos").mkdir()
    for name, missing in (("trainA", "testA"), ("testA", "testB")):
        (tmp_path / "photos" / name).symlink_to(photo_folders / name)
        with pytest.raises(UnusableData, match=f"no folder {missing}"):
            run(dataclasses.replace(RECIPE, measure=MeasureConfig(reference="real")), data=tmp_path / "photos")
    assert executed == []


def test_ctrl_c_ends_the_running_stage_too_and_leaves_nothing_half_written(
    start_command, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[distill]\nimage_size_px = 16\nwidth = 8\nblocks = 1\nsteps = 100000\ncheckpoint_every = 1\n")
    line = ("run", recipe, "--teacher", teacher_file, "--data", photo_folders, "--out", tmp_path / "run")
    environment = {**os.environ, "POCKETGAN_CACHE": str(tmp_path / "cache")}
    process = start_command(*line, env=environment, start_new_session=True)
    checkpoint = tmp_path / "run/student.training/checkpoint.npz"
    for _ in range(2400):
        if checkpoint.exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json", "student.training"]


def test_all_that_read_the_teacher_are_told_how(run, executed: list[list[str]]) -> None:
    said = ReadingConfig(value_range="-1..1", verify=("a.png=b.png",))
    run(dataclasses.replace(RECIPE, reading=said, prune=PruneConfig(max_bytes=100_000)))
    told = {line[line.index("--out") + 1].rpartition("/")[2] for line in executed if "--value-range=-1..1" in line}
    assert told == {"student", "pruned", "teacher"}
    assert all(_value(line, "--verify") == "a.png=b.png" for line in executed if "--value-range=-1..1" in line)


def test_a_run_that_was_stopped_before_it_replaced_anything_takes_back_what_it_had(
    run, executed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dataclasses.replace(RECIPE, distill=DistillConfig(steps=40))
    run(before)
    executed.clear()
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_run_to_end", lambda command: 137)
        # What the stages wrote here bears no signature, and is no folder.
        patch.setattr(stages, "_is_damaged_file", lambda path: False)
        with pytest.raises(stages.StageFailed):
            run(dataclasses.replace(RECIPE, distill=DistillConfig(steps=41)), overwrite=True)
    run(before)
    assert executed == []


def test_a_single_folder_has_nothing_real_to_be_compared_with(run, photo_folders: Path) -> None:
    recipe = dataclasses.replace(RECIPE, measure=MeasureConfig(reference="real"))
    with pytest.raises(UsageError, match=r"--set measure\.reference=teacher"):
        run(recipe, data=photo_folders / "trainA")


def test_a_run_stops_after_the_output_it_is_told_and_goes_on_without(
    run, executed: list[list[str]], tmp_path: Path
) -> None:
    result = run(until="student_fp32")
    assert _outputs(executed, tmp_path) == ["student", "teacher", "student_fp32"]
    assert result["student_fp32"] == str(tmp_path / "run" / "student_fp32")
    executed.clear()
    run()
    assert _outputs(executed, tmp_path)[0] == "student_int8"


def test_an_output_that_no_stage_writes_is_named(run, executed: list[list[str]]) -> None:
    with pytest.raises(UsageError, match=r"until = 'student_int16', expected one of student, teacher, student_fp32"):
        run(until="student_int16")
    assert executed == []
