"""`compress bench students`: any number of trained students and peers of one task, in one table with their teacher."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.config import command_line
from benchmarks.students.commands import BENCH, INPUTS, SCORES, commands, export_of, is_dynamic
from benchmarks.students.config import StudentsConfig
from benchmarks.students.inputs import ComparisonInputs, resolve_inputs
from benchmarks.students.rows import metric_names, table, verdicts
from benchmarks.students.samples import SAMPLES, columns, write_samples
from benchmarks.students.text import format_page
from compress.artifact import atomic_write_text, open_artifact
from compress.config import to_mapping
from compress.errors import ParityError
from compress.run.stages import StageFailed, run_stages

RECORD = "stages.json"
RESULT, MARKDOWN = "students.json", "students.md"
_NO_DYNAMIC = "left out: the teacher in dynamic range, whose pictures are too far from its own for `compress export`"
_log = logging.getLogger(__name__)


def bench_students(students: Sequence[Path], config: StudentsConfig, out: Path) -> dict[str, Any]:
    """Export, translate, score and time students, peers and their teacher, each stage a process of its own.

    Writes `students.json`, `students.md` and `samples.png` beside everything that they were made from. What is there
    and up to date is not made again; of the data set it is not seen whether its photos have changed.

    Args:
        students: Artifacts with a model.keras, each under the name of its folder.
        config: The task, and how thoroughly it is measured.
        out: The folder; made if missing, gone on with if not.

    Returns:
        JSON-ready: `date` (UTC), `command`, `config`, `domain`, `target` (the reference's, or None), `image_size_px`,
        `images` (how many), `key` of the scores, `metrics` (the distances' names, the kernel distance first), `rows`
        as `table` has them, `verdicts`, `notes` on how to read them, `bench`, the record of `bench_host` under the
        names of the rows, and `samples`, the columns of the picture.

    Raises:
        StageFailed: With the exit code of the command that failed.
        UsageError, UnusableInput: As `receive`; UsageError also if `out` holds something else.
    """
    given = _follow(resolve_inputs(students, config), config, out)
    record = _record(students, given, config, out)
    write_samples(given, out)
    atomic_write_text(out / MARKDOWN, format_page(record, SAMPLES), overwrite=True)
    atomic_write_text(out / RESULT, json.dumps(record, indent=2) + "\n", overwrite=True)
    return record


def _follow(given: ComparisonInputs, config: StudentsConfig, out: Path) -> ComparisonInputs:
    """Run the commands, and tell who is left: not every teacher survives dynamic range."""
    try:
        run_stages(commands(given, config, out), out, record=RECORD)
    except StageFailed as failure:
        refused = {export_of(model) for model in given.models if is_dynamic(model)}
        if failure.stage.output not in refused or failure.exit_code != ParityError.exit_code:
            raise
        _log.warning("%s", _NO_DYNAMIC)
        given = replace(given, models=tuple(model for model in given.models if not is_dynamic(model)))
        run_stages(commands(given, config, out), out, record=RECORD)
    return given


def _record(students: Sequence[Path], given: ComparisonInputs, config: StudentsConfig, out: Path) -> dict[str, Any]:
    scored = [INPUTS, *(model.key for model in given.models)]
    if given.target is None:
        scored.remove(given.baseline.key)
    scores = {key: _read(out / SCORES / f"{key}.json") for key in scored}
    costs = {model.key: open_artifact(out / export_of(model)).manifest.cost for model in given.models}
    bench = _read(out / BENCH)
    rows = table(given.models, costs, bench, scores)
    names = {model.key: model.name for model in given.models}
    metrics = metric_names(scores)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command_line(["compress", "bench", "students", *map(str, students)], config),
        "config": {"students": [str(path) for path in students], **to_mapping(config)},
        "domain": given.domain,
        "target": given.target,
        "image_size_px": given.image_size_px,
        "images": scores[INPUTS]["key"]["fake_images"],
        "key": scores[INPUTS]["key"],
        "metrics": metrics,
        "rows": rows,
        "verdicts": verdicts(rows),
        "notes": [
            *(note for note in scores[INPUTS]["notes"] if note.partition(":")[0] in (*metrics, "intervals")),
            *([] if any(map(is_dynamic, given.models)) else [_NO_DYNAMIC]),
        ],
        "bench": bench | {"entries": [entry | {"name": names[entry["name"]]} for entry in bench["entries"]]},
        "samples": list(columns(given)),
    }


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
