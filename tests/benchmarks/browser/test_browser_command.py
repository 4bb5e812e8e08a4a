"""`compress bench browser` as a user runs it."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        ((), 2, "no model to time"),
        (("a.tflite", "--serve", "--out", "b.json"), 2, "--serve has no end"),
        (("missing.tflite", "--browser", "/bin/sh"), 3, "missing.tflite does not exist"),
    ],
    ids=["no model", "served into a file", "missing file"],
)
def test_faults_end_with_their_exit_code_and_a_line(
    command, arguments: tuple[str, ...], exit_code: int, message: str, tmp_path: Path
) -> None:
    finished = command("browser", *arguments, module="benchmarks", cwd=tmp_path)
    assert finished.returncode == exit_code, finished.stderr
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []
