"""Facts of the machine that measures."""

from pathlib import Path

import pytest

from benchmarks.timing import machine


def test_governors_are_told_and_their_absence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GOVERNORS", tmp_path)
    assert machine.read_machine()["governor"] is None
    for core, governor in (("cpu0", "powersave"), ("cpu1", "performance"), ("cpu2", "powersave")):
        (tmp_path / core / "cpufreq").mkdir(parents=True)
        (tmp_path / core / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    assert machine.read_machine()["governor"] == "performance, powersave"
