"""What a report is made of: image folders, manifests and JSON files, read and checked; what is not given is absent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import Manifest, open_artifact
from compress.errors import UnusableData, UsageError
from eval.config import ReportConfig
from eval.report.gates import Gate, read_gate
from eval.report.trainings import Curve, read_curve
from eval.score_key import refuse_other_keys
from eval.scores import SCHEMA
from eval.similarity import Fidelity, compare, pair_by_stem

TEACHER = "teacher"
"""The name of the teacher's row."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything a page shows; each mapping by name of model, and only of models that have such a thing."""

    names: Sequence[str]
    """Rows of the table: the baseline, the columns in the order of their flags, then what else has numbers."""
    baseline: str
    """What sizes are compared with: the first entry of the benchmark, or the teacher."""
    inputs: Mapping[str, Path]
    """By stem."""
    pictures: Mapping[str, Mapping[str, Path]]
    """By name, the teacher's first, then by stem."""
    similarity: Mapping[str, Fidelity]
    manifests: Mapping[str, Manifest]
    scores: Mapping[str, Mapping[str, Any]]
    bench: Mapping[str, Any]
    """The benchmark's own record without its entries; empty when not given."""
    entries: Mapping[str, Mapping[str, Any]]
    """The benchmark's entries."""
    gates: Mapping[str, Gate]
    """By the name that their flags give them."""
    curves: Mapping[str, Curve | None]
    """Of trainings, likewise; None of a student that keeps none."""


def read_sources(config: ReportConfig) -> Sources:
    """Read what a configuration names.

    Raises:
        UsageError: If a NAME=PATH flag is none, or a name comes twice.
        UnusableData: If images are unpaired or differ in size, a JSON file is not what it should be, or scores were
            measured against different references.
        UnusableArtifact: If an artifact is missing or torn.
    """
    columns = _named_paths(config.column, "--column")
    if not columns or TEACHER in columns:
        raise UsageError(f"--column needs NAME=FOLDER of a student, not of the {TEACHER}; got {list(config.column)}.")
    scores = {name: _read_scores(path) for name, path in _named_paths(config.scores, "--scores").items()}
    refuse_other_keys({name: record["key"] for name, record in scores.items()})
    bench = _read_json(config.bench, "entries", list) if config.bench else {"entries": []}
    entries = {entry["name"]: entry for entry in bench.pop("entries")}
    manifests = {
        name: open_artifact(path).manifest for name, path in _named_paths(config.manifest, "--manifest").items()
    }
    return Sources(
        names=list(dict.fromkeys([next(iter(entries), TEACHER), TEACHER, *columns, *entries, *manifests, *scores])),
        baseline=next(iter(entries), TEACHER),
        inputs={stem: path for stem, (_, path) in pair_by_stem(config.teacher, config.inputs).items()},
        pictures=_pictures({TEACHER: config.teacher, **columns}),
        similarity={name: compare(folder, config.teacher, with_ssim=False) for name, folder in columns.items()},
        manifests=manifests,
        scores=scores,
        bench=bench,
        entries=entries,
        gates={name: read_gate(path) for name, path in _named_paths(config.gate, "--gate").items()},
        curves={name: read_curve(path) for name, path in _named_paths(config.training, "--training").items()},
    )


def _named_paths(flags: Sequence[str], flag: str) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for value in flags:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{flag} {value!r} names nothing; expected NAME=PATH.")
        if name in named:
            raise UsageError(f"{flag} names {name!r} twice; each model has one.")
        named[name] = Path(path)
    return named


def _read_json(path: Path, key: str, kind: type) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableData(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get(key), kind):
        raise UnusableData(f"{path} has no {key!r}; expected JSON of `compress eval score` or `compress bench host`.")
    return record


def _read_scores(path: Path) -> dict[str, Any]:
    record = _read_json(path, "key", dict)
    if record.get("schema") != SCHEMA:
        raise UnusableData(
            f"{path} holds scores of schema {record.get('schema')!r}, expected {SCHEMA}: "
            "score the images anew with `compress eval score`."
        )
    try:
        _check_distances(record)
        if "control" in record:
            _check_distances(record["control"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusableData(
            f"{path} is not what `compress eval score` writes: {error!r}. Score the images anew."
        ) from error
    return record


def _check_distances(scores: Mapping[str, Any]) -> None:
    for name, interval in scores["intervals"].items():
        value = scores[name]
        numbers = [value["mean"], value["spread"]] if isinstance(value, Mapping) else [value]
        if not all(isinstance(number, int | float) for number in [*numbers, interval["low"], interval["high"]]):
            raise TypeError(f"{name} is no number")


def _pictures(folders: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    teacher = folders[TEACHER]
    return {
        name: {stem: path for stem, (path, _) in pair_by_stem(folder, teacher).items()}
        for name, folder in folders.items()
    }
