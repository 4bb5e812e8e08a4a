"""Reads the `gate.json` of `compress eval gate` back into checks."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from compress.errors import UnusableData
from eval.confidence import Interval
from eval.gate.outcome import SCHEMA
from eval.gate.verdict import Check, Verdict, Worse


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a gate decided, and by which checks."""

    verdict: Verdict
    passed: bool
    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]
    """Limits that had nothing to be held against, with the reason."""


def read_gate(path: Path) -> Gate:
    """Read a gate's result.

    Raises:
        UnusableData: If the file is missing, broken, of another schema, or no gate's.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise ValueError(f"schema {raw.get('schema') if isinstance(raw, dict) else raw!r}, expected {SCHEMA}")
        return Gate(
            verdict=_one_of(raw["verdict"], Verdict),
            passed=bool(raw["passed"]),
            checks=tuple(_check(check) for check in raw["checks"]),
            not_checked=tuple(f"{one['name']}: {one['why']}" for one in raw["not_checked"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableData(
            f"{path} cannot be read as a gate's result ({error!r}); expected gate.json of `compress eval gate --out`."
        ) from error


def _check(raw: Mapping[str, Any]) -> Check:
    interval = raw["interval"]
    return Check(
        name=str(raw["name"]),
        metric=str(raw["metric"]),
        unit=str(raw["unit"]),
        baseline=_number_or_none(raw["baseline"]),
        candidate=_number(raw["candidate"]),
        difference=_number_or_none(raw["difference"]),
        interval=None if interval is None else Interval(_number(interval["low"]), _number(interval["high"])),
        limit=_number(raw["limit"]),
        limit_text=str(raw["limit_text"]),
        worse=_one_of(raw["worse"], Worse),
        smallest_visible=_number_or_none(raw["smallest_visible"]),
        verdict=_one_of(raw["verdict"], Verdict),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r}, expected a finite number")
    return float(value)


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)


def _one_of(value: Any, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{value!r}, expected one of {', '.join(get_args(choices))}")
    return value
