"""`compress run`: which stages run, in which order, and which are left alone the second time."""

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Literal

import pytest

from compress.errors import UsageError
from compress.run import pipeline, stages
from compress.run.recipe import MeasureConfig, Recipe


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


def _run(out: Path, recipe: Recipe | None = None) -> dict[str, object]:
    return pipeline.run_recipe(Path("g.h5"), Path("photos"), recipe or Recipe(), out)


def _outputs(lines: list[list[str]], out: Path) -> list[str]:
    return [str(Path(line[line.index("--out") + 1]).relative_to(out)) for line in lines]


def test_a_run_goes_from_the_teacher_to_the_report(executed: list[list[str]], tmp_path: Path) -> None:
    result = _run(tmp_path)
    assert _outputs(executed, tmp_path) == [
        "student", "teacher", "student_fp32", "student_int8",
        "images/inputs", "images/teacher", "images/student_fp32", "images/student_int8",
        "scores/inputs.json", "scores/student_fp32.json", "scores/student_int8.json", "bench.json", "report.html",
    ]  # fmt: skip
    assert result["report"] == str(tmp_path / "report.html")
    assert executed[0][:5] == ["distill", "--teacher", "g.h5", "--data", "photos"]
    assert f"--training=student={tmp_path / 'student'}" in executed[-1]
    # What a recipe leaves to the family is left to it on the command line, too.
    assert not {"None", "--kernel-size", "--upsampler"} & set(executed[0])


def test_against_real_images_the_teacher_is_scored_too(executed: list[list[str]], tmp_path: Path) -> None:
    _run(tmp_path, Recipe(measure=MeasureConfig(reference="real")))
    assert {"images/real", "scores/teacher.json"} <= set(_outputs(executed, tmp_path))
    scored = next(line for line in executed if line[:2] == ["eval", "score"])
    assert scored[scored.index("--real") + 1] == str(tmp_path / "images/real")


@pytest.mark.parametrize(("domain", "target"), [("A", "B"), ("B", "A")])
def test_real_images_are_of_the_domain_that_is_translated_to(
    executed: list[list[str]], tmp_path: Path, domain: Literal["A", "B"], target: str
) -> None:
    _run(tmp_path, Recipe(measure=MeasureConfig(domain=domain, reference="real")))
    shown = [line for line in executed if line[:2] == ["data", "photos"]]
    assert [line[line.index("--domain") + 1] for line in shown] == [domain, target]


def test_no_real_images_are_what_both_translations_should_make() -> None:
    with pytest.raises(UsageError, match='reference = "real" with domain = "both"'):
        MeasureConfig(domain="both", reference="real")


def test_scores_share_one_cache_and_their_record_is_without_it(executed: list[list[str]], tmp_path: Path) -> None:
    _run(tmp_path)
    scored = [line for line in executed if line[:2] == ["eval", "score"]]
    assert len(scored) == 3
    assert {line[line.index("--cache") + 1] for line in scored} == {str(tmp_path / pipeline.FEATURES)}
    # A run that an older version finished is not scored anew for a flag that changes no score.
    assert "--cache" not in (tmp_path / pipeline.RECORD).read_text()


def test_a_finished_run_does_nothing_the_second_time(executed: list[list[str]], tmp_path: Path) -> None:
    _run(tmp_path)
    executed.clear()
    assert _run(tmp_path)["seconds"] == {}
    assert executed == []


def test_a_changed_setting_repeats_its_stage_and_all_after_it(executed: list[list[str]], tmp_path: Path) -> None:
    _run(tmp_path)
    executed.clear()
    _run(tmp_path, Recipe(measure=MeasureConfig(calibration_images=3)))
    assert _outputs(executed, tmp_path)[0] == "student_int8"
    assert _outputs(executed, tmp_path)[-1] == "report.html"
    assert "student" not in _outputs(executed, tmp_path)


def test_a_lost_output_is_made_again(executed: list[list[str]], tmp_path: Path) -> None:
    _run(tmp_path)
    executed.clear()
    (tmp_path / "bench.json").unlink()
    _run(tmp_path)
    assert _outputs(executed, tmp_path) == ["bench.json", "report.html"]


def test_a_failed_stage_ends_the_run_with_its_exit_code(
    executed: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_stages", lambda *_: [stages.Stage("student", ("x", "fail"))])
    with pytest.raises(stages.StageFailed) as failure:
        _run(tmp_path)
    assert failure.value.exit_code == 4
    assert len(executed) == 1


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match=str(tmp_path)):
        _run(tmp_path)


def test_every_setting_of_a_recipe_reaches_the_command(executed: list[list[str]], tmp_path: Path) -> None:
    recipe = Recipe()
    recipe = dataclasses.replace(recipe, distill=dataclasses.replace(recipe.distill, flip=False, steps=9))
    _run(tmp_path, recipe)
    assert "--no-flip" in executed[0]
    assert executed[0][executed[0].index("--steps") + 1] == "9"


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
