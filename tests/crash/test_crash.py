"""A sample of what `python tests/crash --slow` does at every change of every command."""

import subprocess
import sys
from pathlib import Path

CHANGES = 3


def test_commands_that_crash_at_any_change_end_as_if_they_had_not() -> None:
    program = [sys.executable, str(Path(__file__).parent), "--most", str(CHANGES)]
    finished = subprocess.run(program, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 6
    assert all(line.endswith("kill 0  full 0  read-only 0  two 0  damaged 0  stale 0") for line in lines)
    assert all(f"{CHANGES} of " in line for line in lines)
