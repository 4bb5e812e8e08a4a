"""Energy per image by RAPL's counters, which a folder of files stands for here, and the governors of the cores."""

from pathlib import Path

import pytest

from benchmarks import host, machine
from benchmarks.config import HostConfig
from benchmarks.energy import EnergyMeter, find_counters
from benchmarks.host import bench_host, time_rounds
from benchmarks.start import Start

RANGE_UJ = 262_143_328_850


def zone(folder: Path, name: str, *, called: str, energy_uj: int | None = 0) -> Path:
    """A counter as the kernel shows it; without `energy_uj`, one that this user may not read."""
    (folder / name).mkdir(parents=True)
    (folder / name / "name").write_text(f"{called}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    if energy_uj is not None:
        (folder / name / "energy_uj").write_text(f"{energy_uj}\n")
    return folder / name / "energy_uj"


class Spender:
    """A model that makes a counter go on by so much at each invoke, and round at its end."""

    def __init__(self, counter: Path, spent_uj: int) -> None:
        self.counter, self.spent_uj = counter, spent_uj

    def invoke(self) -> None:
        self.counter.write_text(str((int(self.counter.read_text()) + self.spent_uj) % (RANGE_UJ + 1)))


def test_energy_is_told_per_image_also_where_a_counter_starts_again(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", called="package-0", energy_uj=RANGE_UJ - 10_000)
    zone(tmp_path, "intel-rapl:1", called="package-1", energy_uj=7)
    meter = EnergyMeter(find_counters(tmp_path))
    time_rounds([Spender(counter, 2500), Spender(counter, 500)], runs=3, warmup=2, meter=meter)
    assert int(counter.read_text()) < RANGE_UJ - 10_000
    assert (meter.energy_mj(0), meter.energy_mj(1)) == (2.5, 0.5)


def test_counters_are_those_of_whole_processors_that_can_be_read(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", called="package-0")
    zone(tmp_path, "intel-rapl:0:0", called="core")
    zone(tmp_path, "intel-rapl:1", called="package-1", energy_uj=None)
    zone(tmp_path, "intel-rapl:2", called="psys")
    (tmp_path / "intel-rapl").mkdir()
    assert [counter.name for counter in find_counters(tmp_path)] == ["package-0"]


def test_the_benchmark_tells_energy_and_says_where_there_is_none(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = HostConfig(baseline=models / "narrow.tflite", candidate=(models / "narrow.tflite",), runs=1, warmup=0)
    monkeypatch.setattr(host, "measure_start", lambda model, threads: Start(1.0, 1.0, 1))
    monkeypatch.setattr(host, "find_counters", lambda: find_counters(tmp_path))
    without = bench_host(config)
    assert without["energy"] is None
    assert [entry["energy_mj"] for entry in without["entries"]] == [None, None]
    zone(tmp_path, "intel-rapl:0", called="package-0")
    counted = bench_host(config)
    assert counted["energy"] == ["package-0"]
    assert [entry["energy_mj"] for entry in counted["entries"]] == [0.0, 0.0]


def test_governors_are_told_and_their_absence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GOVERNORS", tmp_path)
    assert machine.describe_machine()["governor"] is None
    for core, governor in (("cpu0", "powersave"), ("cpu1", "performance"), ("cpu2", "powersave")):
        (tmp_path / core / "cpufreq").mkdir(parents=True)
        (tmp_path / core / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    assert machine.describe_machine()["governor"] == "performance, powersave"
