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
    path.write_text(json.dumps({"runs": len(ratios), "entries": [baseline, other, candidate]}))
    return path


def test_ratio_is_that_of_the_last_entry(tmp_path: Path) -> None:
    found = read_latency_ratio(bench(tmp_path / "bench.json", ratios=np.asarray([1.2, 1.25, 1.3])))
    assert found.ratio == pytest.approx(1.25)
    assert found.interval is not None
    assert found.interval.low < 1.25 < found.interval.high


def test_interval_holds_the_true_ratio_nineteen_times_out_of_twenty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        found = read_latency_ratio(bench(tmp_path / "bench.json", ratios=rng.normal(1.1, 0.05, 30)))
        assert found.interval is not None
        hits.append(found.interval.low < 1.1 < found.interval.high)
    assert 0.9 < np.mean(hits) < 0.99


def test_single_round_knows_no_spread(tmp_path: Path) -> None:
    assert read_latency_ratio(bench(tmp_path / "bench.json", ratios=np.asarray([1.2]))).interval is None


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
