"""`compress eval gate` and `accept` as people type them: what they refuse before a network is loaded."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.gate.baseline import write_baseline
from eval.gate.measurement import Measurement

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
Drawer = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """A data set of 5 inputs with `new` and `old` images, some `other` images, `single` and `large` ones."""
    root = tmp_path_factory.mktemp("data")
    draw(root / "testA", 5, seed=1)
    draw(root / "testB", 6, seed=2)
    draw(root / "old", 5, seed=3)
    draw(root / "new", 5, seed=3, blur_px=1.0)
    draw(root / "other", 7, seed=3)
    draw(root / "single", 1, seed=3)
    draw(root / "large", 5, seed=3, size_px=80)
    return root


@pytest.mark.parametrize(
    ("candidate", "baseline", "flags", "code", "complaint"),
    [
        ("new", "old", ["--max-fid-increase", "five"], 2, "--max-fid-increase 'five' is no limit"),
        ("new", "old", ["--max-fid-increase=-5%"], 2, "--max-fid-increase '-5%' is no limit"),
        ("new", "old", ["--max-bytes", "250000"], 2, "--max-bytes cannot be checked: it needs --model"),
        ("new", "old", ["--max-latency-ratio", "1.1"], 2, "--max-latency-ratio cannot be checked: it needs --bench"),
        ("new", "nothing", [], 3, "cannot be read as a baseline file"),
        ("nothing", "old", [], 3, "is no folder"),
        ("other", "old", [], 3, "005, 006 only in"),
        ("new", "other", [], 3, "005, 006 only in"),
        ("single", "old", [], 3, "holds 1 images"),
        ("new", "large", [], 3, "80x80 px, but those of"),
        ("new", "old", ["--domain", "B"], 3, "images are unpaired"),
        ("new", "old", ["--max-bytes", "9", "--model", "nothing.tflite"], 3, "nothing.tflite does not exist"),
    ],
)
def test_gate_refuses_and_writes_nothing(
    command: CommandLine,
    data: Path,
    tmp_path: Path,
    candidate: str,
    baseline: str,
    flags: list[str],
    code: int,
    complaint: str,
) -> None:
    folders = ["--candidate", data / candidate, "--baseline", data / baseline, "--data", data]
    finished = command("gate", *folders, *flags, "--out", tmp_path / "gate", module="eval")
    assert finished.returncode == code
    assert complaint in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_gate_refuses_a_limit_that_its_baseline_file_cannot_serve(
    command: CommandLine, data: Path, tmp_path: Path, measured: Callable[..., Measurement]
) -> None:
    write_baseline(measured(images=5), tmp_path / "baseline.json")
    folders = ["--candidate", data / "new", "--baseline", tmp_path / "baseline.json", "--data", data]
    finished = command("gate", *folders, "--min-psnr", "30", module="eval")
    assert finished.returncode == 2
    assert "--min-psnr cannot be checked: it needs --teacher" in finished.stderr


def test_accept_keeps_an_existing_file(command: CommandLine, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "baseline.json"
    out.write_text("precious")
    finished = command("accept", "--candidate", data / "new", "--data", data, "--out", out, module="eval")
    assert finished.returncode == 2
    assert "--overwrite" in finished.stderr
    assert out.read_text() == "precious"


def test_accept_refuses_images_without_their_inputs(command: CommandLine, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "baseline.json"
    finished = command("accept", "--candidate", data / "other", "--data", data, "--out", out, module="eval")
    assert finished.returncode == 3
    assert "images are unpaired" in finished.stderr
    assert list(tmp_path.iterdir()) == []
