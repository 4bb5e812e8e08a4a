"""`compress run`: every stage of a recipe, one process each, resumable.

`run.json` remembers the command behind every finished output, as `compress.run.stages` tells.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from compress.config import to_mapping
from compress.data.config import opposite
from compress.run.recipe import Recipe
from compress.run.stages import Stage, run_stages

RECORD = "run.json"
FEATURES = "features"


def run_recipe(
    teacher: Path, data: Path, recipe: Recipe, out: Path, *, lambda_layers: str | None = None
) -> dict[str, Any]:
    """Run a recipe's stages in order, skipping those whose output is there and up to date.

    Args:
        teacher: A generator file.
        data: A folder with `trainA trainB testA testB`.
        recipe: What to do.
        out: The run's folder; made if missing, gone on with if not.
        lambda_layers: What the teacher's Lambda layers do.

    Returns:
        JSON-ready: the seconds of every stage that ran, and where the report is.

    Raises:
        StageFailed: With the exit code of the stage that failed.
        UsageError: If `out` exists and is no run's folder.
    """
    seconds = run_stages(_stages(teacher, data, recipe, out, lambda_layers), out, record=RECORD)
    return {"seconds": seconds, "report": str(out / "report.html")}


def _stages(teacher: Path, data: Path, recipe: Recipe, out: Path, lambda_layers: str | None) -> Iterator[Stage]:
    """The whole way, in order. `student` is the float student, `student_int8` what ships."""
    measure, size = recipe.measure, str(recipe.distill.image_size_px)
    lambda_flag = ("--lambda-layers", lambda_layers) if lambda_layers else ()
    yield Stage(
        "student",
        ("distill", "--teacher", str(teacher), "--data", str(data), *_flags(to_mapping(recipe.distill)), *lambda_flag),
    )
    export = ("export", "tflite")
    yield Stage("teacher", (*export, str(teacher), "--image-size-px", size, *lambda_flag))
    yield Stage("student_fp32", (*export, str(out / "student")))
    calibration = ("--data", str(data), "--calibration-images", str(measure.calibration_images))
    int8 = ("--precision", "int8", "--io-type", measure.io_type, *calibration)
    yield Stage("student_int8", (*export, str(out / "student"), *int8))
    photos = ("data", "photos", str(data), "--image-size-px", size)
    yield Stage("images/inputs", (*photos, "--domain", measure.domain))
    if measure.reference == "real":
        yield Stage("images/real", (*photos, "--domain", str(opposite(measure.domain))))
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
