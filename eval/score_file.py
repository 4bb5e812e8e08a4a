"""Files of scores, as `compress eval score --out` writes them, read by one strict schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from compress.errors import UnusableData
from compress.strict_json import Bounds, Length, load_json, open_seal_if_any, parse_record, require_names
from eval.effect import EffectVerdict
from eval.score_key import ScoreKey, Text, metric_name
from eval.scores import SCHEMA

_MOST_BYTES = 64 << 20
"""Similarities are kept of each image: some 300 bytes of each."""
_Number = Annotated[float, Bounds(-1e12, 1e12)]
_Share = Annotated[float, Bounds(0, 1)]
_COMPARED = ("similarity", "truth")
"""Parts of a record that compare images with others, pair by pair."""

_ImageValues = Mapping[str, Mapping[str, _Number | tuple[_Number, _Number, _Number] | None]]


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    mean: _Number
    spread: Annotated[float, Bounds(0, 1e12)]
    subsets: int | None = None
    subset_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Range:
    low: _Number
    high: _Number


@dataclass(frozen=True, kw_only=True)
class _Summary:
    mean: _Number
    median: _Number | None = None
    min: _Number | None = None
    max: _Number | None = None


@dataclass(frozen=True, kw_only=True)
class _ColourOffset:
    mean: tuple[_Number, _Number, _Number]


@dataclass(frozen=True, kw_only=True)
class _Effect:
    verdict: EffectVerdict
    share: _Number
    interval: _Range | None
    goal: Text
    distance_fell_by: _Number | None
    text: Annotated[str, Length(1, 1000)]


@dataclass(frozen=True, kw_only=True)
class _Remarks:
    """What a record holds beside numbers of images."""

    key: ScoreKey
    notes: list[Text]
    seconds: Mapping[str, Annotated[float, Bounds(0, 1e12)]] | None = None
    sister: Annotated[str, Length(1, 500)] | None = None
    effect: _Effect | None = None


def read_scores(path: Path) -> dict[str, Any]:
    """Read a file of scores.

    Returns:
        The record as `eval.scores.score_folder` returns it.

    Raises:
        UnusableData: If it is missing, of another schema, was changed, or a part of it is missing, unknown or wrong.
    """
    try:
        return _parse_scores(open_seal_if_any(load_json(path, max_bytes=_MOST_BYTES)))
    except (OSError, ValueError) as error:
        raise UnusableData(
            f"{path} is not what `compress eval score` writes: {error}. Score the images anew."
        ) from error


def _parse_scores(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}, expected an object")
    if type(record.get("schema")) is not int or record["schema"] != SCHEMA:
        raise ValueError(f"it is of schema {record.get('schema')!r}, expected {SCHEMA}")
    names = ("key", "notes", "seconds", "sister", "effect")
    remarks = parse_record({name: record[name] for name in names if name in record}, _Remarks)
    network = remarks.key.network
    distances = {name: value for name, value in record.items() if name not in (*names, "schema", *_COMPARED, "control")}
    _check_distances(distances, network, "")
    _check_similarities(record, network, "")
    if "control" in record:
        control = record["control"]
        _check(control, Mapping[str, Any], "control")
        _check_distances({name: value for name, value in control.items() if name not in _COMPARED}, network, "control")
        _check_similarities(control, network, "control.")
    return record


def _check_similarities(record: Mapping[str, Any], network: Any, where: str) -> None:
    for name in _COMPARED:
        if name in record:
            _check_similarity(record[name], metric_name("perceptual", network), f"{where}{name}")


def _check_distances(scores: Any, network: Any, where: str) -> None:
    kid, fd, precision, recall = (metric_name(metric, network) for metric in ("kid", "fd", "precision", "recall"))
    kinds: Mapping[str, Any] = {kid: _Kernel, fd: _Number, precision: _Share, recall: _Share}
    require_names(scores, where, needed=(kid, fd, "intervals"), known=kinds)
    for name in (name for name in kinds if name in scores):
        _check(scores[name], kinds[name], f"{where}.{name}".lstrip("."))
    require_names(scores["intervals"], f"{where}.intervals", needed=(kid, fd))
    for name in (kid, fd):
        found = parse_record(scores["intervals"][name], _Range, where=f"{where}.intervals.{name}")
        if found.low > found.high:
            raise ValueError(f"its interval of {name!r} reaches from {found.low:g} down to {found.high:g}")


def _check_similarity(similarity: Any, perceptual: str, where: str) -> None:
    measures = ("psnr_db", "ssim", "ms_ssim", perceptual)
    require_names(similarity, where, known=(*measures, "colour_offset", "equal_images", "images"))
    for name in measures:
        _check(similarity.get(name), _Summary | None, f"{where}.{name}")
    _check(similarity.get("colour_offset"), _ColourOffset | None, f"{where}.colour_offset")
    _check(similarity.get("equal_images", 0), Annotated[int, Bounds(0)], f"{where}.equal_images")
    _check(similarity.get("images", {}), _ImageValues, f"{where}.images")


def _check(value: Any, kind: Any, where: str) -> None:
    parse_record(value, kind, where=where)
