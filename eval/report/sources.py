"""Sources of a report: image folders, manifests and JSON files, read and checked; what is not given is absent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import Manifest, open_artifact
from compress.bench_record import read_bench
from compress.errors import UsageError
from compress.strict_json import SEAL, load_json
from eval.config import ReportConfig
from eval.report.gates import GateResult, read_gate
from eval.report.trainings import Curve, read_curve
from eval.score_file import read_scores
from eval.score_key import require_one_key
from eval.similarity import FolderSimilarity, compare_folders, pair_by_stem

TEACHER = "teacher"
"""Name of the teacher's row."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that a page shows; most mappings are by name of model, and hold only models that have such a thing."""

    names: Sequence[str]
    """Rows of the table: the baseline, the columns in the order of their flags, then what else has numbers."""
    baseline: str
    """Model that others are compared with: the first entry of the benchmark, or the teacher."""
    inputs: Mapping[str, Path]
    """Photos that were translated, by stem."""
    pictures: Mapping[str, Mapping[str, Path]]
    """Images by name, the teacher's first, then by stem."""
    similarity: Mapping[str, FolderSimilarity]
    """PSNR and colour of each column's images to the teacher's."""
    manifests: Mapping[str, Manifest]
    scores: Mapping[str, Mapping[str, Any]]
    bench: Mapping[str, Any]
    """The benchmark's own record without its entries; empty when not given."""
    entries: Mapping[str, Mapping[str, Any]]
    """The benchmark's entries."""
    gates: Mapping[str, GateResult]
    """Results of gates, by the name that their flags give them."""
    curves: Mapping[str, Curve | None]
    """Training curves, likewise; None of a student that keeps none."""


def read_sources(config: ReportConfig) -> Sources:
    """Read the files that a configuration names.

    Raises:
        UsageError: If a flag is no NAME=PATH, or a name comes twice.
        UnusableData: If images are unpaired or differ in size, a JSON file is not what it should be, or scores were
            measured against different references.
        UnusableArtifact: If an artifact is missing or torn.
    """
    columns = _parse_named_paths(config.column, "--column")
    if not columns or TEACHER in columns:
        raise UsageError(f"--column needs NAME=FOLDER of a student, not of the {TEACHER}; got {list(config.column)}.")
    scores = {name: read_scores(path) for name, path in _parse_named_paths(config.scores, "--scores").items()}
    require_one_key({name: record["key"] for name, record in scores.items()})
    bench = _read_bench(config.bench) if config.bench else {"entries": []}
    entries = {entry["name"]: entry for entry in bench.pop("entries")}
    manifests = {
        name: open_artifact(path).manifest for name, path in _parse_named_paths(config.manifest, "--manifest").items()
    }
    return Sources(
        names=list(dict.fromkeys([next(iter(entries), TEACHER), TEACHER, *columns, *entries, *manifests, *scores])),
        baseline=next(iter(entries), TEACHER),
        inputs={stem: path for stem, (_, path) in pair_by_stem(config.teacher, config.inputs).items()},
        pictures=_list_pictures({TEACHER: config.teacher, **columns}),
        similarity={name: compare_folders(folder, config.teacher, with_ssim=False) for name, folder in columns.items()},
        manifests=manifests,
        scores=scores,
        bench=bench,
        entries=entries,
        gates={name: read_gate(path) for name, path in _parse_named_paths(config.gate, "--gate").items()},
        curves={name: read_curve(path) for name, path in _parse_named_paths(config.training, "--training").items()},
    )


def _parse_named_paths(flags: Sequence[str], flag: str) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for value in flags:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{flag} {value!r} names nothing; expected NAME=PATH.")
        if name in named:
            raise UsageError(f"{flag} names {name!r} twice; each model has one.")
        named[name] = Path(path)
    return named


def _read_bench(path: Path) -> dict[str, Any]:
    """Read a benchmark's record, checked as `read_bench` does, as the plain data that a page shows."""
    read_bench(path)
    return {name: value for name, value in load_json(path).items() if name != SEAL}


def _list_pictures(folders: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    teacher = folders[TEACHER]
    return {
        name: {stem: path for stem, (path, _) in pair_by_stem(folder, teacher).items()}
        for name, folder in folders.items()
    }
