"""The commands behind the comparison of students, in order: each is one that a user would type."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.published.config import PeerMethod, PublishedConfig
from benchmarks.students.config import StudentsConfig
from benchmarks.students.inputs import ComparisonInputs, Model
from compress.artifact import file_fingerprint
from compress.data.folders import fingerprint_split
from compress.files.ownership import fingerprint_written
from compress.run.stages import Stage
from compress.teachers.reading.config import flags_of

IMAGES, SCORES, PEERS = "images", "scores", "peers"
INPUTS = "inputs"
"""Name of the untouched photos in the folders of images and scores."""
BENCH = "bench.json"
_FEATURES = "features"
_RUNS = 20


def photo_stages(inputs: ComparisonInputs, task: StudentsConfig) -> Iterator[Stage]:
    """Yield the stages that lay out the photos to translate and to compare with."""
    photos = ("data", "photos", str(task.data), "--image-size-px", str(inputs.image_size_px))
    translated = (*photos, "--domain", inputs.domain)
    read = (fingerprint_split(task.data, "test"),)
    yield Stage(f"{IMAGES}/{INPUTS}", translated, inputs=read)
    if inputs.target is not None:
        yield Stage(f"{IMAGES}/real", (*photos, "--domain", inputs.target), inputs=read)
    if inputs.truth:
        yield Stage(f"{IMAGES}/truth", (*translated, "--paired"), inputs=read)


def peer_stage(
    method: PeerMethod, inputs: ComparisonInputs, config: PublishedConfig, task: StudentsConfig, output: str
) -> Stage:
    """Return the stage that trains a peer for as long as the first student was, see `benchmarks.published.training`."""
    like = inputs.students[0]
    command = ("bench", "train-peer", method, "--like", str(like))
    command += ("--teacher", str(inputs.teacher), "--data", str(task.data), *flags_of(config.reading))
    read = (fingerprint_written(like), file_fingerprint(inputs.teacher), fingerprint_split(task.data, "train"))
    return Stage(output, command, inputs=read)


def model_stages(inputs: ComparisonInputs, config: PublishedConfig, task: StudentsConfig, out: Path) -> Iterator[Stage]:
    """Yield the stages of every model, then that of the timing: a student that is added last repeats none before it.

    The teacher's dynamic range, which may be refused, comes after them: where it is tried again, nothing else is
    repeated.
    """
    photos = fingerprint_split(task.data, "train")
    for model in sorted(inputs.models, key=is_dynamic):
        export = (*_export_command(model, inputs, task), *(flags_of(config.reading) if model.kind == "teacher" else ()))
        yield Stage(export_path(model), export, inputs=(model.fingerprint, photos))
        translated = str(out / export_path(model)), str(out / IMAGES / INPUTS)
        yield Stage(f"{IMAGES}/{model.key}", ("translate", *translated))
        if model == inputs.baseline:
            yield _score_stage(INPUTS, inputs, out)
        if inputs.target is not None or model != inputs.baseline:
            yield _score_stage(model.key, inputs, out)
    baseline, *candidates = (out / export_path(model) for model in inputs.models)
    timed = ("--baseline", str(baseline), *(f"--candidate={path}" for path in candidates))
    effort = ("--threads", str(config.threads), "--runs", str(config.runs or _RUNS))
    yield Stage(BENCH, ("bench", "host", *timed, *effort))


def export_path(model: Model) -> str:
    """Return the path of a model's `.tflite` artifact, relative to the comparison's folder."""
    return f"exports/{model.key}"


def is_dynamic(model: Model) -> bool:
    """Tell whether a model is the teacher's dynamic-range export."""
    return model.precision == "dynamic"


def _export_command(model: Model, inputs: ComparisonInputs, task: StudentsConfig) -> tuple[str, ...]:
    # Checked on photos: of a trained teacher, dynamic range was 31.0 dB off on them, 29.0 dB on made-up pictures.
    flags = ["--image-size-px", str(inputs.image_size_px), "--precision", model.precision, "--data", str(task.data)]
    if model.precision == "int8":
        flags += ["--io-type", task.io_type, "--calibration-images", str(task.calibration_images)]
    return ("export", "tflite", str(model.source), *flags)


def _score_stage(key: str, inputs: ComparisonInputs, out: Path) -> Stage:
    images = out / IMAGES
    teacher = images / inputs.baseline.key
    compared = ["--real", str(teacher if inputs.target is None else images / "real"), "--fake", str(images / key)]
    compared += ["--teacher", str(teacher)]
    if inputs.truth:
        compared += ["--truth", str(images / "truth")]
    # All are scored against one reference, whose features only the first one has to compute.
    return Stage(f"{SCORES}/{key}.json", ("eval", "score", *compared), cache_flags=("--cache", str(out / _FEATURES)))
