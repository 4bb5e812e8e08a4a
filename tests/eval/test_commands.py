"""`compress eval` as people type it: exit codes, stdout for results, stderr for everything else."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
    finished = command("score", "--real", tmp_path, "--fake", tmp_path, "--out", out, module="eval")
    assert finished.returncode == 2
    assert "--overwrite" in finished.stderr
    assert out.read_text() == "precious"


def test_report_of_a_column_without_a_name_ends_with_2(command: CommandLine, tmp_path: Path) -> None:
    flags = ["--inputs", tmp_path, "--teacher", tmp_path, "--column", tmp_path, "--out", tmp_path / "report.html"]
    finished = command("report", *flags, module="eval")
    assert finished.returncode == 2
    assert "NAME=PATH" in finished.stderr


@pytest.mark.skipif(importlib.util.find_spec("torch_fidelity") is None, reason="the extra `score` is not installed")
@pytest.mark.timeout(600)
def test_score_without_internet_prints_pure_json_under_an_honest_name(tmp_path: Path, draw: Drawer) -> None:
    real, fake = draw(tmp_path / "real", 4, seed=1), draw(tmp_path / "fake", 4, seed=2)
    unreachable = {"https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(tmp_path / "torch"), "OMP_NUM_THREADS": "1"}
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
