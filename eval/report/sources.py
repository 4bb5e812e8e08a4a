"""Sources of a report: image folders, manifests and JSON files, read and checked; what is not given is absent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import TRANSLATION_NAME, Artifact, Manifest, open_artifact
from compress.bench_record import read_bench
from compress.errors import UsageError
from compress.images import read_image
from compress.strict_json import SEAL, load_json
from eval.config import ReportConfig
from eval.effect import Effect, measure_effect
from eval.report.gates import GateResult, read_gate
from eval.report.naming import CONTROL, INPUT, TEACHER, ModelNames
from eval.report.trainings import Curve, read_curve
from eval.score_file import read_scores
from eval.score_key import require_one_key
from eval.similarity import FolderSimilarity, compare_folders, pair_by_stem
from eval.similarity.pairs import list_by_stem

ROWS_OF_A_KIND = 3
"""Images that are shown of the worst, and of the typical."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that a page shows; most mappings are by name of model, and hold only models that have such a thing."""

    names: Sequence[str]
    """Rows of the table: the baseline, the columns in the order of their flags, then what else has numbers."""
    baseline: str
    """Model that others are compared with: the first entry of the benchmark, or the teacher."""
    student: str
    """Student that the page is about: the last column."""
    worst: Sequence[str]
    """Stems of the images of `student` that are farthest from the teacher's, the farthest first."""
    typical: Sequence[str]
    """Stems of those around the median, from worse to better."""
    pictures: Mapping[str, Mapping[str, Path]]
    """Of each of those stems the files by name: the photo, the teacher's image, each column's."""
    similarity: Mapping[str, FolderSimilarity]
    """PSNR and colour to the teacher's images, of the untouched photos as `CONTROL` and of each column's."""
    effects: Mapping[str, Effect]
    """How far each column goes from the untouched photos to the teacher's images."""
    manifests: Mapping[str, Manifest]
    scores: Mapping[str, Mapping[str, Any]]
    """Records of scores, of the untouched photos as `CONTROL`."""
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
    names = ModelNames(list(columns))
    names.learn({name: _names_of_folder(folder) for name, folder in columns.items()})
    opened = {name: open_artifact(path) for name, path in _parse_named_paths(config.manifest, "--manifest").items()}
    assigned = names.assign({name: _names_of_artifact(one) for name, one in opened.items()})
    artifacts = {assigned[name]: one for name, one in opened.items()}
    names.learn({name: _names_of_artifact(one) for name, one in artifacts.items()})
    scores = _read_all_scores(config, names)
    bench = _read_bench(config.bench) if config.bench else {"entries": []}
    entries = _name_entries(bench.pop("entries"), names)
    similarity = _compare_with_teacher(config, columns)
    baseline = next(iter(entries), TEACHER)
    student = list(columns)[-1]
    worst, typical = _choose_stems(similarity[student])
    folders = {INPUT: config.inputs, TEACHER: config.teacher, **columns}
    rows = (baseline, TEACHER, *columns, *entries, *artifacts, *scores)
    return Sources(
        names=[name for name in dict.fromkeys(rows) if name != CONTROL],
        baseline=baseline,
        student=student,
        worst=worst,
        typical=typical,
        pictures=_find_pictures(folders, [*worst, *typical]),
        similarity=similarity,
        effects=_measure_effects(similarity, scores),
        manifests={name: one.manifest for name, one in artifacts.items()},
        scores=scores,
        bench=bench,
        entries=entries,
        gates={name: read_gate(path) for name, path in _parse_named_paths(config.gate, "--gate").items()},
        curves={name: read_curve(path) for name, path in _parse_named_paths(config.training, "--training").items()},
    )


def _names_of_folder(folder: Path) -> list[str]:
    """Return what the model of a folder of images is called: by `compress translate`, and by the folder."""
    path = folder / TRANSLATION_NAME
    try:
        translated_by = json.loads(path.read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, LookupError, TypeError):
        translated_by = ""
    return [name for name in (translated_by, folder.name) if isinstance(name, str)]


def _names_of_artifact(found: Artifact) -> list[str]:
    return [found.path.name, found.manifest.name]


def _read_all_scores(config: ReportConfig, names: ModelNames) -> dict[str, Mapping[str, Any]]:
    """Read the scores of every model and, as `CONTROL`, those that any of them holds of the untouched photos."""
    read = {name: read_scores(path) for name, path in _parse_named_paths(config.scores, "--scores").items()}
    require_one_key({name: record["key"] for name, record in read.items()})
    assigned = names.assign(dict.fromkeys(read, ()))
    found: dict[str, Mapping[str, Any]] = {assigned[name]: record for name, record in read.items()}
    beside = next((record["control"] for record in found.values() if "control" in record), None)
    return found | ({CONTROL: beside} if beside and CONTROL not in found else {})


def _name_entries(entries: Sequence[Mapping[str, Any]], names: ModelNames) -> dict[str, Mapping[str, Any]]:
    """Return a benchmark's entries by their rows."""
    paths = {entry["name"]: Path(entry.get("path") or "") for entry in entries}
    assigned = names.assign({name: (path.name, path.parent.name) for name, path in paths.items()})
    named = {assigned[entry["name"]]: entry for entry in entries}
    first = next(iter(named), TEACHER)
    if first.casefold().startswith(TEACHER) and TEACHER not in named:
        # What all others are compared with is the teacher, whatever its export is called.
        named = {TEACHER if row == first else row: entry for row, entry in named.items()}
    return named


def _compare_with_teacher(config: ReportConfig, columns: Mapping[str, Path]) -> dict[str, FolderSimilarity]:
    height, width, _ = read_image(next(iter(pair_by_stem(config.teacher, config.inputs).values()))[0]).shape
    # Photos may be of any size; a student's images must have been made at the size of its teacher's.
    untouched = compare_folders(config.inputs, config.teacher, with_ssim=False, size=(height, width))
    students = {name: compare_folders(folder, config.teacher, with_ssim=False) for name, folder in columns.items()}
    return {CONTROL: untouched, **students}


def _measure_effects(
    similarity: Mapping[str, FolderSimilarity], scores: Mapping[str, Mapping[str, Any]]
) -> dict[str, Effect]:
    effects = {
        name: measure_effect(one, similarity[CONTROL], distances=scores.get(name), control=scores.get(CONTROL))
        for name, one in similarity.items()
        if name != CONTROL
    }
    return {name: effect for name, effect in effects.items() if effect}


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


def _choose_stems(similarity: FolderSimilarity) -> tuple[list[str], list[str]]:
    """Choose the images that are shown: the worst, and those around the median."""
    ranked = similarity.rank_from_worst()
    first = max(0, (len(ranked) - ROWS_OF_A_KIND) // 2)
    return ranked[:ROWS_OF_A_KIND], ranked[first : first + ROWS_OF_A_KIND]


def _find_pictures(folders: Mapping[str, Path], stems: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Find the files of some stems; those of all would take most of a large report's memory."""
    found: dict[str, dict[str, Path]] = {stem: {} for stem in stems}
    for name, folder in folders.items():
        paths = list_by_stem(folder)
        for stem in found:
            found[stem][name] = paths[stem]
    return found
