"""Results of gates that are read back, and files that are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.errors import UnusableData
from eval.confidence import Interval
from eval.gate.verdict import LimitCheck
from eval.report.gates import read_gate

CHECK = LimitCheck(
    name="max_fid_increase",
    metric="fid",
    unit="",
    baseline=50.0,
    candidate=51.0,
    difference=1.0,
    interval=Interval(low=0.5, high=1.5),
    limit=2.5,
    limit_text="5%",
    worse="higher",
    smallest_visible=0.7,
    verdict="pass",
)


def record() -> dict[str, Any]:
    return {"schema": 1, "verdict": "pass", "passed": True, "checks": [CHECK.to_mapping()], "not_checked": []}


def test_a_check_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text(json.dumps(record()))
    gate = read_gate(tmp_path / "gate.json")
    assert gate.checks == (CHECK,)
    assert (gate.verdict, gate.passed, gate.not_checked) == ("pass", True, ())


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda raw: raw.update(schema=2), "'schema' is 2, expected 1"),
        (lambda raw: raw.pop("checks"), "checks"),
        (lambda raw: raw.update(verdict="fine"), "'fine', expected 'pass' or"),
        (lambda raw: raw["checks"][0].update(candidate=None), "None, expected a number"),
        (lambda raw: raw["checks"][0].update(limit=float("nan")), "NaN is no number"),
        (lambda raw: raw["checks"][0].update(interval=[0.5, 1.5]), r"gate\.json"),
        (lambda raw: raw["checks"][0].update(worse="left"), "'left', expected 'higher' or"),
        (lambda raw: raw.update(checks=[1]), r"gate\.json"),
        (lambda raw: raw.update(passed=1), "'passed' is 1, expected true or false"),
        (lambda raw: raw.update(more=1), "unknown key 'more'"),
    ],
)
def test_a_broken_result_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], named: str
) -> None:
    raw = record()
    spoil(raw)
    (tmp_path / "gate.json").write_text(json.dumps(raw))
    with pytest.raises(UnusableData, match=named) as refused:
        read_gate(tmp_path / "gate.json")
    assert str(tmp_path / "gate.json") in str(refused.value)


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"entries": []}'])
def test_a_file_that_is_no_gates_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "gate.json").write_text(content)
    with pytest.raises(UnusableData, match=r"gate\.json"):
        read_gate(tmp_path / "gate.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="nowhere"):
        read_gate(tmp_path / "nowhere.json")
