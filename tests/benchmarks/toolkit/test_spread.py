"""The spread of runs of a benchmark, within and between them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.timing.baseline import Speed, SpeedMeasurement
from benchmarks.toolkit.spread import measure_spread
from compress.errors import UnusableData, UsageError

Command = Callable[..., subprocess.CompletedProcess[str]]


def runs(*, count: int, within: float, between: float, told: float) -> list[SpeedMeasurement]:
    """Measurements of a speed-up of 100 with two normal disturbances of its logarithm, of which one is told."""
    generator = np.random.default_rng(0)
    disturbed = generator.normal(0, within, count) + generator.normal(0, between, count)
    noise = float(np.expm1(1.959964 * told))
    return [
        SpeedMeasurement(kind={}, models={"it": Speed(speedup=speedup, noise=noise, size_bytes=1)})
        for speedup in (100 * np.exp(disturbed)).tolist()
    ]


def test_what_processes_differ_by_beyond_their_own_noise_is_found() -> None:
    (found,) = measure_spread(runs(count=4000, within=0.02, between=0.03, told=0.02))
    assert found.speedup == pytest.approx(100, rel=0.01)
    # Of a normal difference of two, 1.96 standard deviations hold 19 of 20.
    assert found.within_runs == pytest.approx(np.expm1(1.96 * np.sqrt(2) * 0.02), rel=0.01)
    assert found.between_runs == pytest.approx(np.expm1(1.96 * np.sqrt(2) * 0.03), rel=0.05)


def test_the_bound_holds_19_of_20_pairs() -> None:
    measured = runs(count=4000, within=0, between=0.03, told=0)
    (found,) = measure_spread(measured)
    speedups = np.array([one.models["it"].speedup for one in measured])
    ratios = speedups[:2000] / speedups[2000:]
    inside = np.mean(np.maximum(ratios, 1 / ratios) <= 1 + found.between_runs)
    assert inside == pytest.approx(0.95, abs=0.015)


def test_nothing_is_left_where_runs_agree_better_than_their_noise() -> None:
    (found,) = measure_spread(runs(count=50, within=0.01, between=0, told=0.02))
    assert found.between_runs == 0
    assert 0 < found.largest_difference < 0.1


def test_runs_that_do_not_compare_are_refused() -> None:
    first, second, third = runs(count=3, within=0.01, between=0, told=0.01)
    with pytest.raises(UsageError, match="2 measurements, expected at least 3"):
        measure_spread([first, second])
    with pytest.raises(UnusableData, match="cpu: another"):
        measure_spread([first, second, SpeedMeasurement(kind={"cpu": "another"}, models=third.models)])


def test_the_command_reads_what_bench_host_wrote(command: Command, tmp_path: Path) -> None:
    machine = {"cpu": "A processor", "isa": [], "litert": "2.3.0"}
    first = {"name": "teacher", "size_bytes": 9, "input_shape": [1, 32, 32, 3], "speedup": 1.0, "noise": 0.0}
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path, speedup in zip(paths, (90.0, 100.0, 110.0), strict=True):
        student = first | {"name": "student", "speedup": speedup, "noise": 0.01, "withheld": None}
        record = {"machine": machine, "runs": 9, "threads": 1, "entries": [first | {"withheld": None}, student]}
        path.write_text(json.dumps(record))
    finished = command("spread", *paths, "--json", module="benchmarks.toolkit")
    assert finished.returncode == 0, finished.stderr
    (found,) = json.loads(finished.stdout)["models"]
    assert (found["name"], found["runs"]) == ("student", 3)
    assert found["largest_difference"] == pytest.approx(110 / 90 - 1)
    finished = command("spread", *paths, module="benchmarks.toolkit")
    assert "22.2%" in finished.stdout
    paths[0].write_text(paths[0].read_text().replace('"withheld": null}]', '"withheld": "why"}]'))
    refused = command("spread", *paths, module="benchmarks.toolkit")
    assert refused.returncode == 3
    assert "0.json is too noisy" in refused.stderr
