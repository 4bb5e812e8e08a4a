"""Results of gates, read back from the `gate.json` of `compress eval gate`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from compress.errors import UnusableData
from eval.confidence import Interval
from eval.gate.outcome import SCHEMA
from eval.gate.verdict import LimitCheck, Verdict, Worse


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The verdict of a gate, and the checks behind it."""

    verdict: Verdict
    passed: bool
    checks: tuple[LimitCheck, ...]
    not_checked: tuple[str, ...]
    """Limits that could not be checked, with the reason."""


def read_gate(path: Path) -> GateResult:
    """Read a gate's result.

    Raises:
        UnusableData: If the file is missing, broken, of another schema, or no gate's.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise ValueError(f"schema {raw.get('schema') if isinstance(raw, dict) else raw!r}, expected {SCHEMA}")
        return GateResult(
            verdict=_parse_choice(raw["verdict"], Verdict),
            passed=bool(raw["passed"]),
            checks=tuple(_parse_check(check) for check in raw["checks"]),
            not_checked=tuple(f"{one['name']}: {one['why']}" for one in raw["not_checked"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableData(
            f"{path} cannot be read as a gate's result ({error!r}); expected gate.json of `compress eval gate --out`."
        ) from error


def _parse_check(raw: Mapping[str, Any]) -> LimitCheck:
    interval = raw["interval"]
    return LimitCheck(
        name=str(raw["name"]),
        metric=str(raw["metric"]),
        unit=str(raw["unit"]),
        baseline=_parse_number_or_none(raw["baseline"]),
        candidate=_parse_number(raw["candidate"]),
        difference=_parse_number_or_none(raw["difference"]),
        interval=None
        if interval is None
        else Interval(_parse_number(interval["low"]), _parse_number(interval["high"])),
        limit=_parse_number(raw["limit"]),
        limit_text=str(raw["limit_text"]),
        worse=_parse_choice(raw["worse"], Worse),
        smallest_visible=_parse_number_or_none(raw["smallest_visible"]),
        verdict=_parse_choice(raw["verdict"], Verdict),
    )


def _parse_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r}, expected a finite number")
    return float(value)


def _parse_number_or_none(value: Any) -> float | None:
    return None if value is None else _parse_number(value)


def _parse_choice(value: Any, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{value!r}, expected one of {', '.join(get_args(choices))}")
    return value
