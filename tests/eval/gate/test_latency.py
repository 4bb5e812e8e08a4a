"""The latency ratio out of a benchmark's record."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableData
from eval.gate.latency import read_latency_ratio


def bench(path: Path, *, ratios: np.ndarray) -> Path:
    """Write what `compress bench host --json` prints of a candidate that takes `ratios` times as long in each round."""
    speedups = 1 / ratios
    baseline = {"name": "baseline", "speedup": 1.0, "speedup_range": [1.0, 1.0]}
    other = {"name": "other", "speedup": 9.0, "speedup_range": [8.0, 10.0]}
    candidate: dict[str, Any] = {
        "name": "candidate",
        "speedup": float(np.median(speedups)),
        "speedup_range": [float(speedups.min()), float(speedups.max())],
    }
    path.write_text(json.dumps({"machine": {}, "runs": len(ratios), "entries": [baseline, other, candidate]}))
    return path


def test_ratio_is_that_of_the_last_entry(tmp_path: Path) -> None:
    found = read_latency_ratio(bench(tmp_path / "bench.json", ratios=np.asarray([1.2, 1.25, 1.3])))
    assert found.ratio == pytest.approx(1.25)
    assert found.interval.low < 1.25 < found.interval.high


def test_interval_holds_the_true_ratio_nineteen_times_out_of_twenty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        found = read_latency_ratio(bench(tmp_path / "bench.json", ratios=rng.normal(1.1, 0.05, 30)))
        hits.append(found.interval.low < 1.1 < found.interval.high)
    assert 0.9 < np.mean(hits) < 0.99


def test_single_round_and_withheld_speed_up_cannot_be_held_against_a_limit(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="how far its rounds lie apart"):
        read_latency_ratio(bench(tmp_path / "bench.json", ratios=np.asarray([1.2])))
    path = bench(tmp_path / "bench.json", ratios=np.asarray([1.2, 1.3]))
    record = json.loads(path.read_text())
    record["entries"][-1]["withheld"] = "other work held the processor for 50% of the time"
    path.write_text(json.dumps(record))
    with pytest.raises(UnusableData, match=r"--max-latency-ratio: other work held the processor for 50%"):
        read_latency_ratio(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"more": 1}, "unknown key 'more'"),
        ({"runs": "30"}, "'runs' is '30', expected an integer"),
        ({"runs": 0}, "'runs' is 0"),
        ({"machine": None}, "'machine' is None"),
        ({"content_sha256": "a" * 64}, "does not belong to its content"),
        ({"speedup": "1.5"}, r"speedup' is '1.5', expected a number"),
        ({"speedup": True}, r"speedup' is True, expected a number"),
        ({"speedup": -1}, r"speedup' is -1"),
        ({"speedup": 3}, "outside of"),
        ({"speedup_range": [1]}, "expected a list of 2"),
        ({"name": "baseline"}, "two of its entries are called 'baseline'"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_benchmark_with_a_wrong_part_is_refused_by_name(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = bench(tmp_path / "bench.json", ratios=np.asarray([0.9, 1.0, 1.1]))
    record = json.loads(path.read_text())
    (name,) = change
    (record["entries"][-1] if name in record["entries"][-1] or name == "extra" else record).update(change)
    path.write_text(json.dumps(record))
    with pytest.raises(UnusableData, match=complaint):
        read_latency_ratio(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"entries": []}',
        '{"runs": 3, "entries": [{"speedup": 1, "speedup_range": [1, 1]}]}',
        '{"runs": 3, "entries": [{}, {"speedup": 0, "speedup_range": [1, 1]}]}',
        '{"runs": 3, "entries": [{}, {"speedup": 2, "speedup_range": [1]}]}',
        '{"runs": 3, "entries": [{}, {"speedup": NaN, "speedup_range": [1, 2]}]}',
        '{"runs": 3, "entries": [{}, {"speedup": 3, "speedup_range": [1, 2]}]}',
    ],
)
def test_file_that_is_no_benchmark_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(UnusableData, match=r"bench\.json cannot be read as a benchmark"):
        read_latency_ratio(tmp_path / "bench.json")
