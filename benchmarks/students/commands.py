"""The commands behind the table, in order: each is one that a user would type."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.students.config import StudentsConfig
from benchmarks.students.inputs import ComparisonInputs, Model
from compress.run.stages import Stage

IMAGES, SCORES = "images", "scores"
INPUTS = "inputs"
"""The untouched photos, in the folders of images and scores."""
BENCH = "bench.json"
_FEATURES = "features"


def commands(given: ComparisonInputs, config: StudentsConfig, out: Path) -> Iterator[Stage]:
    """Everything that is made before the table, model by model: a student that is added last repeats none before it.

    The teacher's dynamic range, which may be refused, comes after them: being tried again it repeats the timing alone.
    """
    photos = ("data", "photos", str(config.data), "--image-size-px", str(given.image_size_px))
    inputs = (*photos, "--domain", given.domain)
    yield Stage(f"{IMAGES}/{INPUTS}", inputs)
    if given.target is not None:
        yield Stage(f"{IMAGES}/real", (*photos, "--domain", given.target))
    if given.truth:
        yield Stage(f"{IMAGES}/truth", (*inputs, "--truth"))
    for model in sorted(given.models, key=is_dynamic):
        yield Stage(export_of(model), _export(model, given, config), inputs=(model.fingerprint,))
        translated = str(out / export_of(model)), str(out / IMAGES / INPUTS)
        yield Stage(f"{IMAGES}/{model.key}", ("translate", *translated))
        if model == given.baseline:
            yield _score(INPUTS, given, out)
        if given.target is not None or model != given.baseline:
            yield _score(model.key, given, out)
    baseline, *others = (out / export_of(model) for model in given.models)
    timed = ("--baseline", str(baseline), *(f"--candidate={path}" for path in others))
    yield Stage(BENCH, ("bench", "host", *timed, "--threads", str(config.threads), "--runs", str(config.runs)))


def export_of(model: Model) -> str:
    """Where a model's `.tflite` is put, in the folder of all."""
    return f"exports/{model.key}"


def is_dynamic(model: Model) -> bool:
    """Whether this is the teacher's dynamic-range export."""
    return model.precision == "dynamic"


def _export(model: Model, given: ComparisonInputs, config: StudentsConfig) -> tuple[str, ...]:
    # Checked on photos: of a trained teacher, dynamic range was 31.0 dB off on them, 29.0 dB on made-up pictures.
    flags = ["--image-size-px", str(given.image_size_px), "--precision", model.precision, "--data", str(config.data)]
    if model.precision == "int8":
        flags += ["--io-type", config.io_type, "--calibration-images", str(config.calibration_images)]
    if model.kind == "teacher" and config.lambda_layers is not None:
        flags += ["--lambda-layers", config.lambda_layers]
    return ("export", "tflite", str(model.source), *flags)


def _score(key: str, given: ComparisonInputs, out: Path) -> Stage:
    images = out / IMAGES
    teacher = images / given.baseline.key
    compared = ["--real", str(teacher if given.target is None else images / "real"), "--fake", str(images / key)]
    compared += ["--teacher", str(teacher)]
    if given.truth:
        compared += ["--truth", str(images / "truth")]
    # All are scored against one reference, whose features only the first one has to compute.
    return Stage(f"{SCORES}/{key}.json", ("eval", "score", *compared), aids=("--cache", str(out / _FEATURES)))
