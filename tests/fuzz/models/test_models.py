"""A sample of what `python tests/fuzz/models` does by the thousand, for every change."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 30


# TensorFlow and PyTorch start five times.
@pytest.mark.timeout(900)
def test_damaged_models_end_in_a_picture_or_are_refused_within_20_s_and_1_gb() -> None:
    program = [sys.executable, str(Path(__file__).parent), "--mutants", "140", "--seconds", str(SECONDS)]
    finished = subprocess.run(program, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    # Damage is refused, and not everything is.
    lines = finished.stdout.splitlines()
    refused = lines[0].split().index("exit")
    rows = [line.split() for line in lines[1:]]
    assert sum(int(row[1]) for row in rows) >= len(rows) >= 6
    assert any(int(row[refused]) > 0 for row in rows)
