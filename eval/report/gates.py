"""Results of gates, read back from the `gate.json` of `compress eval gate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from compress.errors import UnusableData
from compress.strict_json import load_json, parse_record
from eval.gate.checks import Unchecked
from eval.gate.verdict import LimitCheck, Verdict


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The verdict of a gate, and the checks behind it."""

    verdict: Verdict
    passed: bool
    checks: tuple[LimitCheck, ...]
    not_checked: tuple[str, ...]
    """Limits that could not be checked, with the reason."""


@dataclass(frozen=True, kw_only=True)
class _GateRecord:
    """The file, of which a page shows the first part."""

    schema: Literal[1]
    verdict: Verdict
    passed: bool
    checks: list[LimitCheck]
    not_checked: list[Unchecked]
    equals_teacher: bool = False
    worst: list[Any] | None = None
    key: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None


def read_gate(path: Path) -> GateResult:
    """Read a gate's result.

    Raises:
        UnusableData: If the file is missing, broken, of another schema, or no gate's.
    """
    try:
        record = parse_record(load_json(path), _GateRecord)
    except (OSError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a gate's result ({error}); expected gate.json of `compress eval gate --out`."
        ) from error
    return GateResult(
        verdict=record.verdict,
        passed=record.passed,
        checks=tuple(record.checks),
        not_checked=tuple(f"{one.name}: {one.why}" for one in record.not_checked),
    )
