"""The command line as a user meets it: exit codes, streams, help, and what Ctrl-C leaves."""

import json
import os
import re
import resource
import signal
import time
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.run.recipe import read_recipe

DISTILL = ("--width", 8, "--blocks", 1, "--image-size-px", 16, "--batch-size", 2, "--domain", "both")


def test_help_answers_fast_and_names_every_command(command) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = command("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.returncode == 0
    for name in ("inspect", "teach", "distill", "prune", "export", "translate", "eval", "bench", "run", "demo", "data"):
        assert name in finished.stdout
    # The promise is 0.6 s on an idle machine. Processor time does not see the neighbours of a loaded one; twice and
    # more is room for a slow processor, and less than half of what TensorFlow's import takes.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "m.h5"),
        ("teach", "--data", "d", "--out", "o"),
        ("distill", "--teacher", "m.h5", "--data", "d", "--out", "o"),
        ("prune", "--student", "s", "--teacher", "m.h5", "--data", "d", "--out", "o"),
        ("data", "avatars", "--out", "o"),
        ("data", "celeba", "--images", "d", "--attributes", "l", "--a", "Male", "--b", "!Male", "--out", "o"),
        ("data", "photos", "d", "--out", "o"),
        ("export", "tflite", "m", "--out", "o"),
        ("translate", "m", "d", "--out", "o"),
        ("eval", "score", "--real", "d", "--fake", "d"),
        ("bench", "host", "--baseline", "m", "--candidate", "m"),
        ("run", "vintage", "--teacher", "m.h5", "--data", "d", "--out", "o"),
        ("demo",),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_unknown_flag_is_refused_by_name_with_exit_code_2(command, arguments: tuple[str, ...]) -> None:
    finished = command(*arguments, "--nosuch")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "--nosuch" in finished.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "nosuch.h5"),
        ("distill", "--teacher", "nosuch.h5", "--data", "DATA", "--out", "OUT"),
        ("distill", "--teacher", "nosuch.h5", "--data", "nosuch", "--out", "OUT"),
        ("prune", "--student", "nosuch", "--teacher", "m", "--data", "DATA", "--out", "OUT", "--max-bytes", "9"),
        ("teach", "--data", "nosuch", "--out", "OUT"),
        ("data", "celeba", "--images", "DATA", "--attributes", "nosuch", "--a", "X", "--b", "!X", "--out", "OUT"),
        ("data", "photos", "nosuch", "--out", "OUT"),
        ("export", "tflite", "nosuch.h5", "--out", "OUT"),
        ("translate", "nosuch.tflite", "DATA", "--out", "OUT"),
        ("eval", "score", "--real", "nosuch", "--fake", "nosuch"),
        ("bench", "host", "--baseline", "nosuch.tflite", "--candidate", "nosuch.tflite"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_missing_file_is_refused_by_name_with_exit_code_3(
    command, arguments: tuple[str, ...], photo_folders: Path, tmp_path: Path
) -> None:
    places = {"DATA": str(photo_folders), "OUT": str(tmp_path / "out")}
    finished = command(*(places.get(argument, argument) for argument in arguments))
    assert finished.returncode == 3, finished.stderr
    assert "nosuch" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("teach", "--data", "DATA"),
        ("distill", "--teacher", "TEACHER", "--data", "DATA"),
        ("data", "avatars"),
        ("data", "celeba", "--images", "DATA", "--attributes", "nosuch", "--a", "Male", "--b", "!Male"),
        ("data", "photos", "DATA"),
        ("export", "tflite", "TEACHER", "--image-size-px", "16"),
        ("translate", "TEACHER", "DATA/testA", "--image-size-px", "16"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_existing_output_is_refused_and_kept(
    command, arguments: tuple[str, ...], teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    places = {"TEACHER": str(teacher_file), "DATA": str(photo_folders), "DATA/testA": str(photo_folders / "testA")}
    finished = command(*(places.get(argument, argument) for argument in arguments), "--out", tmp_path)
    assert finished.returncode == 2, finished.stderr
    assert "--overwrite" in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_recipe_gives_defaults_and_flags_win(
    command, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("[distill]\nsteps = 3\nwidth = 16\nflip = false\n")
    finished = command(
        "distill", "--recipe", tmp_path / "mine.toml", "--teacher", teacher_file, "--data", photo_folders, *DISTILL,
        "--out", tmp_path / "student", "--json", env=_environment(tmp_path),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["params"] > 0
    config = json.loads((tmp_path / "student/manifest.json").read_text())["config"]
    assert (config["steps"], config["flip"], config["width"]) == (3, False, 8)


def test_without_a_recipe_the_teachers_images_choose_one_and_flags_win(
    command, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    finished = command(
        "distill", "--teacher", teacher_file, "--data", photo_folders, *DISTILL, "--steps", 1, "--gradient-weight", 9,
        "--out", tmp_path / "student", env=_environment(tmp_path),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    chosen = re.search(r"--recipe (texture|faithful)", finished.stderr)
    assert chosen, finished.stderr
    wanted = read_recipe(chosen[1])["distill"]
    config = json.loads((tmp_path / "student/manifest.json").read_text())["config"]
    assert (config["l1_weight"], config["ssim_weight"]) == (wanted["l1_weight"], wanted["ssim_weight"])
    assert config["gradient_weight"] == 9


def test_a_recipe_with_an_unknown_key_is_refused_with_exit_code_2(command, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[distill]\nstpes = 3\n")
    finished = command("distill", "--recipe", tmp_path / "mine.toml", "--teacher", "t", "--data", "d", "--out", "o")
    assert finished.returncode == 2
    assert "stpes" in finished.stderr


def test_a_killed_run_leaves_no_artifact_and_goes_on_from_its_checkpoint(
    command, start_command, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    line = ["distill", "--teacher", teacher_file, "--data", photo_folders, *DISTILL, "--steps", 200, "--out", out]
    line += ["--checkpoint-every", 1, "--sample-every", 1000]
    process = start_command(*line, env=_environment(tmp_path))
    checkpoint = tmp_path / "student.training/checkpoint.npz"
    _wait_for(checkpoint)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    finished = command(*line, env=_environment(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert "| 0/200 [" not in finished.stderr
    assert (out / "manifest.json").exists()


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "POCKETGAN_CACHE": str(folder / "cache")}


def _wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise UsageError(f"{path} did not appear within {seconds} s")
        time.sleep(0.05)
