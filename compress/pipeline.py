"""`compress run`: every stage of a recipe, one process each, resumable.

A stage is the command a user would type, so TensorFlow and PyTorch never meet in one process, a stage's memory is gone
when it ends, and whatever `compress run` does can be done by hand. `run.json` remembers the command behind every
finished output: a stage is repeated when its command or anything before it has changed.
"""

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import write_text_whole
from compress.config import to_mapping
from compress.errors import PocketGANError, UsageError
from compress.recipe import Recipe

RECORD = "run.json"
FEATURES = "features"
_CLEANING_S = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One command and the path that it writes, relative to the run's folder."""

    output: str
    command: tuple[str, ...]
    aids: tuple[str, ...] = ()
    """Flags that change how long the command takes and never what it writes: the record of what ran is without them."""


class StageFailed(PocketGANError):
    """A stage ended with an error; it has said why, and its exit code becomes the run's."""

    def __init__(self, stage: Stage, exit_code: int) -> None:
        super().__init__(f"stopped at {stage.output}: compress {' '.join(stage.command)}")
        self.exit_code = exit_code


def run(teacher: Path, data: Path, recipe: Recipe, out: Path, *, lambda_as: str | None = None) -> dict[str, Any]:
    """Run a recipe's stages in order, skipping those whose output is there and up to date.

    Args:
        teacher: A generator file.
        data: A folder with `trainA trainB testA testB`.
        recipe: What to do.
        out: The run's folder; made if missing, gone on with if not.
        lambda_as: What the teacher's Lambda layers do.

    Returns:
        JSON-ready: the seconds of every stage that ran, and where the report is.

    Raises:
        StageFailed: With the exit code of the stage that failed.
        UsageError: If `out` exists and is no run's folder.
    """
    record = _read_record(out)
    stages = list(_stages(teacher, data, recipe, out, lambda_as))
    seconds: dict[str, float] = {}
    for position, stage in enumerate(stages):
        if record.get(stage.output) == list(stage.command) and (out / stage.output).exists():
            _log.info("[%d/%d] %s is there", position + 1, len(stages), stage.output)
            continue
        for later in stages[position:]:
            record.pop(later.output, None)
        _write_record(out, record)
        _log.info("[%d/%d] %s", position + 1, len(stages), stage.output)
        seconds[stage.output] = _execute(stage, out)
        record[stage.output] = list(stage.command)
        _write_record(out, record)
    return {"seconds": seconds, "report": str(out / "report.html")}


def _stages(teacher: Path, data: Path, recipe: Recipe, out: Path, lambda_as: str | None) -> Iterator[Stage]:
    """The whole way, in order. `student` is the float student, `student_int8` what ships."""
    measure, size = recipe.measure, str(recipe.distill.image_size_px)
    lambda_flag = ("--lambda-as", lambda_as) if lambda_as else ()
    yield Stage(
        "student",
        ("distill", "--teacher", str(teacher), "--data", str(data), *_flags(to_mapping(recipe.distill)), *lambda_flag),
    )
    export = ("export", "tflite")
    yield Stage("teacher", (*export, str(teacher), "--image-size-px", size, *lambda_flag))
    yield Stage("student_fp32", (*export, str(out / "student")))
    calibration = ("--data", str(data), "--calibration-images", str(measure.calibration_images))
    int8 = ("--precision", "int8", "--ends", measure.ends, *calibration)
    yield Stage("student_int8", (*export, str(out / "student"), *int8))
    photos = ("data", "photos", str(data), "--image-size-px", size)
    yield Stage("images/inputs", (*photos, "--domain", measure.domain))
    if measure.reference == "real":
        yield Stage("images/real", (*photos, "--domain", "B"))
    for model in MODELS:
        yield Stage(f"images/{model}", ("translate", str(out / model), str(out / "images/inputs")))
    yield from _measurements(recipe, out)


MODELS = ("teacher", "student_fp32", "student_int8")


def _measurements(recipe: Recipe, out: Path) -> Iterator[Stage]:
    images, measure = out / "images", recipe.measure
    real = images / ("real" if measure.reference == "real" else "teacher")
    scored = [model for model in MODELS if images / model != real]
    for model in ["inputs", *scored]:
        compared = ("--real", str(real), "--fake", str(images / model), "--teacher", str(images / "teacher"))
        # All are scored against one reference, whose features only the first one has to compute.
        yield Stage(f"scores/{model}.json", ("eval", "score", *compared), aids=("--cache", str(out / FEATURES)))
    timed = ("--baseline", str(out / MODELS[0]), *(f"--candidate={out / model}" for model in MODELS[1:]))
    effort = ("--threads", str(measure.threads), "--runs", str(measure.runs))
    yield Stage("bench.json", ("bench", "host", *timed, *effort))
    columns = [f"--column={model}={images / model}" for model in MODELS[1:]]
    scores = [f"--scores={model}={out / 'scores' / model}.json" for model in ["inputs", *scored]]
    manifests = [f"--manifest={model}={out / model}" for model in MODELS]
    sources = ("--inputs", str(images / "inputs"), "--teacher", str(images / MODELS[0]))
    bench = ("--bench", str(out / "bench.json"))
    training = f"--training=student={out / 'student'}"
    yield Stage("report.html", ("eval", "report", *sources, *columns, *scores, *bench, *manifests, training))


def _flags(values: Mapping[str, Any]) -> list[str]:
    """A configuration as the flags that give it; what was not given stays so."""
    flags = []
    for key, value in values.items():
        if value is None:
            continue
        name = key.replace("_", "-")
        flags += [f"--{name}" if value else f"--no-{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]
    return flags


def _execute(stage: Stage, out: Path) -> float:
    """Run a stage's command; its output and its errors go straight to the terminal.

    Returns:
        How long it took, seconds.
    """
    started = time.monotonic()
    written = ("--out", str(out / stage.output), "--overwrite")
    command = [sys.executable, "-P", "-m", "compress", *stage.command, *stage.aids, *written]
    (out / stage.output).parent.mkdir(parents=True, exist_ok=True)
    exit_code = _run_to_end(command)
    if exit_code != 0:
        raise StageFailed(stage, exit_code)
    return round(time.monotonic() - started, 1)


def _run_to_end(command: list[str]) -> int:
    """Run a command and return its exit code; on Ctrl-C, let it clean up before going on with being interrupted.

    `subprocess.run` would kill it a quarter of a second after Ctrl-C, while it removes what it had half written.
    """
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            try:
                # A terminal sends Ctrl-C to the stage as well.
                process.wait(timeout=_CLEANING_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                process.wait()
            raise


def _read_record(out: Path) -> dict[str, list[str]]:
    if not out.exists() or not any(out.iterdir()):
        return {}
    try:
        return json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{out} holds something else than a run: it has no readable {RECORD}. Pass another --out."
        ) from (error)


def _write_record(out: Path, record: Mapping[str, list[str]]) -> None:
    write_text_whole(out / RECORD, json.dumps(record, indent=2) + "\n", overwrite=True)
