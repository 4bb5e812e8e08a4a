"""The comparison of trained students and peers of one task, in one table with their teacher."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.published.config import PeerMethod, PublishedConfig
from benchmarks.students.commands import (
    BENCH,
    INPUTS,
    PEERS,
    SCORES,
    export_path,
    is_dynamic,
    model_stages,
    peer_stage,
    photo_stages,
)
from benchmarks.students.config import StudentsConfig
from benchmarks.students.inputs import ComparisonInputs, Model, peer_model, resolve_comparison
from benchmarks.students.rows import build_rows, build_verdicts, metric_names
from benchmarks.students.samples import SAMPLES, list_columns, write_samples
from benchmarks.students.scores import read_scores, read_timings
from benchmarks.students.table import format_page
from benchmarks.timing.flags import command_line
from compress.artifact import open_artifact
from compress.config import to_mapping
from compress.errors import ParityError
from compress.files.atomic import replace_text
from compress.run.stages import StageFailed, run_stages
from compress.strict_json import seal_record

RECORD = "stages.json"
RESULT, MARKDOWN = "table.json", "table.md"
_PEER = "student"
"""Name of a trained peer's artifact in its folder."""
_NO_DYNAMIC = "left out: the teacher in dynamic range, whose pictures are too far from its own for `compress export`"
_log = logging.getLogger(__name__)


def bench_students(
    students: Sequence[Path], config: PublishedConfig, task: StudentsConfig, out: Path
) -> dict[str, Any]:
    """Train peers, then export, translate, score and time students, peers and their teacher, each stage a process.

    Writes `table.json`, with a content hash, `table.md` and `samples.png` beside everything that they were made from.
    Outputs that are there and up to date are not made again; whether the photos of the data set have changed is not
    checked.

    Args:
        students: Artifacts with a model.keras, at least one, each under the name of its folder.
        config: The teacher, and how thoroughly everything is timed.
        task: The task and the peers.
        out: The folder; made if missing, resumed if not.

    Returns:
        JSON-ready: `date` (UTC), `command`, `config`, `domain`, `target` (the reference's, or None), `image_size_px`,
        `images` (how many), `key` of the scores, `metrics` (the distances' names, the kernel distance first), `rows` of
        `build_rows`, `verdicts`, `notes` on how to read them, `table`, the record of `bench_host` under the names of
        the rows, and `samples`, the columns of the picture.

    Raises:
        StageFailed: With the exit code of the command that failed.
        UnusableData: If a record that a command wrote is damaged.
        UsageError, UnusableInput: As `resolve_comparison`; UsageError also if `out` holds something else.
    """
    inputs = resolve_comparison(students, config, task)
    # The photos first: they leave a record in the folder, and unusable ones are found before a peer is trained.
    run_stages(photo_stages(inputs, task), out, record=RECORD)
    peers = tuple(_train_peer(method, inputs, config, task, out) for method in inputs.methods)
    inputs = _run_models(replace(inputs, models=(*inputs.models, *peers)), config, task, out)
    record = _build_record(students, inputs, config, task, out)
    write_samples(inputs, out)
    replace_text(out / MARKDOWN, format_page(record, SAMPLES))
    replace_text(out / RESULT, json.dumps(seal_record(record), indent=2) + "\n")
    return record


def _train_peer(
    method: PeerMethod, inputs: ComparisonInputs, config: PublishedConfig, task: StudentsConfig, out: Path
) -> Model:
    """Train a peer in a folder with a record of its own, so that other students and peers never repeat it."""
    folder = out / PEERS / method
    _log.info("peer %s, trained for as long as %s was:", method, inputs.students[0])
    run_stages([peer_stage(method, inputs, config, task, _PEER)], folder, record=RECORD)
    return peer_model(method, folder / _PEER)


def _run_models(inputs: ComparisonInputs, config: PublishedConfig, task: StudentsConfig, out: Path) -> ComparisonInputs:
    """Run all stages but training, and return the inputs without a teacher that does not survive dynamic range."""

    def run_all(inputs: ComparisonInputs) -> ComparisonInputs:
        stages = [*photo_stages(inputs, task), *model_stages(inputs, config, task, out)]
        run_stages(stages, out, record=RECORD)
        return inputs

    try:
        return run_all(inputs)
    except StageFailed as failure:
        refused = {export_path(model) for model in inputs.models if is_dynamic(model)}
        if failure.stage.output not in refused or failure.exit_code != ParityError.exit_code:
            raise
        _log.warning("%s", _NO_DYNAMIC)
        return run_all(replace(inputs, models=tuple(model for model in inputs.models if not is_dynamic(model))))


def _build_record(
    students: Sequence[Path], inputs: ComparisonInputs, config: PublishedConfig, task: StudentsConfig, out: Path
) -> dict[str, Any]:
    scored = [INPUTS, *(model.key for model in inputs.models)]
    if inputs.target is None:
        scored.remove(inputs.baseline.key)
    scores = {key: read_scores(out / SCORES / f"{key}.json") for key in scored}
    costs = {model.key: open_artifact(out / export_path(model)).manifest.cost for model in inputs.models}
    bench = read_timings(out / BENCH)
    rows = build_rows(inputs.models, costs, bench, scores)
    names = {model.key: model.name for model in inputs.models}
    metrics = metric_names(scores)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command_line(["compress", "bench", "published", *map(str, students)], config, task),
        "config": {
            "students": [str(path) for path in students],
            **to_mapping(replace(config, runs=bench["runs"])),
            **to_mapping(task),
        },
        "domain": inputs.domain,
        "target": inputs.target,
        "image_size_px": inputs.image_size_px,
        "images": scores[INPUTS]["key"]["fake_images"],
        "key": scores[INPUTS]["key"],
        "metrics": metrics,
        "rows": rows,
        "verdicts": build_verdicts(rows),
        "notes": [
            *(note for note in scores[INPUTS]["notes"] if note.partition(":")[0] in (*metrics, "intervals")),
            *([] if any(map(is_dynamic, inputs.models)) else [_NO_DYNAMIC]),
        ],
        "table": bench | {"entries": [entry | {"name": names[entry["name"]]} for entry in bench["entries"]]},
        "samples": list(list_columns(inputs)),
    }
