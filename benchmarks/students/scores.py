"""The records of scores and timings that a comparison reads back, by one strict schema; none is guessed at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from compress.bench_record import parse_bench
from compress.errors import UnusableData
from compress.strict_json import Bounds, Length, load_json, open_seal_if_any, parse_record, require_names

_MOST_BYTES = 64 << 20
"""Similarities are kept of each image: some 300 bytes of each."""
_Number = Annotated[float, Bounds(-1e12, 1e12)]
_Text = Annotated[str, Length(0, 2000)]
_REMARKS = ("schema", "seconds", "control")
"""Parts of a record of scores that no table shows."""
_SHARES = ("precision", "recall")


@dataclass(frozen=True, kw_only=True)
class _Range:
    low: _Number
    high: _Number


@dataclass(frozen=True, kw_only=True)
class _KernelDistance:
    mean: _Number
    spread: Annotated[float, Bounds(0, 1e12)]
    subsets: int | None = None
    subset_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What a table shows of a record of scores, beside the distances, whose names tell of the network."""

    key: Mapping[str, Any]
    intervals: Annotated[Mapping[str, _Range], Length(2, 2)]
    notes: list[_Text]
    sister: _Text | None = None
    similarity: Mapping[str, Any] | None = None
    truth: Mapping[str, Any] | None = None


def read_scores(path: Path) -> dict[str, Any]:
    """Read a record of `compress eval score`.

    Raises:
        UnusableData: If it is missing, was changed, or a part of it is missing, unknown or wrong.
    """
    try:
        return _parse_scores(open_seal_if_any(load_json(path, max_bytes=_MOST_BYTES)))
    except (OSError, ValueError) as error:
        raise _unusable(path, "compress eval score", error) from error


def read_timings(path: Path) -> dict[str, Any]:
    """Read a record of `compress bench host`, as `compress.bench_record` knows it.

    Raises:
        UnusableData: If it is missing, was changed, or a part of it is missing, unknown or wrong.
    """
    try:
        raw = load_json(path)
        parse_bench(raw)
        return open_seal_if_any(raw)
    except (OSError, ValueError) as error:
        raise _unusable(path, "compress bench host", error) from error


def _unusable(path: Path, command: str, error: Exception) -> UnusableData:
    return UnusableData(f"{path} is not what `{command}` writes: {error}. Delete it, and run this command again.")


def _parse_scores(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}, expected an object")
    shown = parse_record({name: record[name] for name in _Shown.__dataclass_fields__ if name in record}, _Shown)
    shares = [name for name in record if name.partition("_")[0] in _SHARES]
    require_names(record, "", needed=shown.intervals, known=(*_Shown.__dataclass_fields__, *_REMARKS, *shares))
    for name, found in shown.intervals.items():
        _check(record[name], _KernelDistance if name.partition("_")[0] == "kid" else _Number, name)
        if found.low > found.high:
            raise ValueError(f"its interval of {name!r} reaches from {found.low:g} down to {found.high:g}")
    _check(shown.key.get("fake_images"), Annotated[int, Bounds(1, 10**7)], "key.fake_images")
    for name, compared in (("similarity", shown.similarity), ("truth", shown.truth)):
        for measure in ("psnr_db", "ssim"):
            summary = (compared or {}).get(measure)
            if summary is not None:
                _check(summary.get("mean") if isinstance(summary, Mapping) else summary, _Number, f"{name}.{measure}")
    return record


def _check(value: Any, kind: Any, where: str) -> None:
    parse_record(value, kind, where=where)
