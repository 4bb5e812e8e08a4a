"""Training of a peer for as long as a student was trained, on the same photos.

The number of steps follows from a short trial of the peer's own step, so a slow net is shown fewer photos, as it would
be on the user's machine. `compress bench published` runs it as a stage through the hidden command `compress bench
train-peer`: stages are commands of `compress`, and so a peer can be trained by hand as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.published.config import PeerMethod
from benchmarks.published.methods import DISTILLED, NARROW_BLOCKS, NARROW_FILTERS, DistilledMethod
from compress import artifact
from compress.artifact import TEACHER_READING, Artifact, Manifest, open_artifact, read_json_record
from compress.config import from_mapping, to_mapping
from compress.distill.config import HISTORY, INIT_FINGERPRINT, DistillConfig, FitConfig
from compress.distill.stage import distill_into, untrained
from compress.errors import UnusableArtifact
from compress.files.apart import require_apart
from compress.files.atomic import refuse_existing, replace_text
from compress.files.training_folder import make_training_folder, run_training, training_folder
from compress.models.pocket.config import PocketConfig
from compress.teach.config import TeachConfig
from compress.teachers.interpretation.record import inherit_reading
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

if TYPE_CHECKING:
    import keras

TRIAL_STEPS = 12
"""Steps of the trial: enough for a median that the first steps, which compile, do not move."""
_log = logging.getLogger(__name__)


def train_peer(
    method: PeerMethod,
    like: Path,
    teacher: Path,
    data: Path,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> Artifact:
    """Train a peer beside a student.

    Args:
        method: The method to train by.
        like: The artifact of a student that `compress distill` wrote, for the time and for everything that shape and
            losses leave open.
        teacher: The generator file that the student learnt from; `narrow` has none and does not look at it.
        data: The folder that the student was trained on.
        out: The artifact to write. Beside it lies `NAME.training` while training runs, and the same command resumes
            from there after a kill.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file, beside what was said when the student was made.

    Raises:
        UsageError: If `out` exists, or the method does not fit such a student.
        UnusableArtifact: If `like` is torn or no distilled student.
        UnusableModel: If the teacher cannot be read or lacks the layers that a loss compares.
        UnusableData: If the photos cannot be used.
    """
    require_apart([out], [like, teacher])
    refuse_existing(out, overwrite=overwrite)
    student = open_artifact(like)
    config, seconds = _read_student(student)
    if method == "narrow":
        return _train_narrow(config, seconds, like, data, out, overwrite=overwrite)
    reading = inherit_reading(student.manifest.config, reading, origin=f"{like} config")
    chosen = DISTILLED[method]
    start, shape = _build_start(chosen, config)
    config = _with_losses(config, chosen.losses)

    def train(config: DistillConfig, out: Path, *, overwrite: bool = False) -> Artifact:
        recorded = {"peer": method, **shape, **_fit_entries(config)}
        return distill_into(start, recorded, teacher, data, config, out, overwrite=overwrite, reading=reading)

    def find_steps() -> int:
        # Without phases before the discriminator's: its steps cost more than those without it, and are nearly all.
        trial = dataclasses.replace(
            config, steps=TRIAL_STEPS, sample_every=TRIAL_STEPS, adversarial_from_step=0.0, watch_kid=False
        )
        with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
            return _count_steps(_images_per_s(train(trial, Path(scratch) / method)), config, seconds)

    steps = _keep_steps(out, [method, *map(str, (like, teacher, data)), to_mapping(config), seconds], find_steps)
    _log.info("%s: %d steps in %.0f s, as long as %s was trained", method, steps, seconds, like)
    return train(dataclasses.replace(config, steps=steps), out, overwrite=overwrite)


def _keep_steps(out: Path, asked: list[Any], find: Callable[[], int]) -> int:
    """Return the steps of a killed run of the same request, else those that a trial finds.

    Another trial may find another pace, and a killed run has to resume with as many steps as it began with.
    """
    identity = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    folder = training_folder(out)
    path = folder / f"pace-{identity}.json"
    advice = f"Delete {folder} to start anew."
    if known := read_json_record(path, lambda record: int(record["steps"]), what="a number of steps", advice=advice):
        return known
    steps = find()
    make_training_folder(folder)
    replace_text(path, json.dumps({"steps": steps}) + "\n")
    return steps


def _read_student(student: Artifact) -> tuple[DistillConfig, float]:
    """Return a student's configuration, and the seconds that it was trained."""
    if student.manifest.stage != "distill" or "family" not in student.manifest.config:
        raise UnusableArtifact(
            f"{student.path} comes from the stage {student.manifest.stage}; expected a student as compress distill "
            "writes it."
        )
    beside = (INIT_FINGERPRINT, TEACHER_READING)
    values = {name: value for name, value in student.manifest.config.items() if name not in beside}
    config = from_mapping(DistillConfig, values, origin=f"{student.path} config")
    images_per_s = _images_per_s(student)
    return config, config.steps * config.batch_size / images_per_s


def _images_per_s(student: Artifact) -> float:
    images_per_s = read_json_record(
        student.path / HISTORY,
        lambda record: float(dict(record).get("images_per_s") or 0),
        what="the record of a training",
        advice="Distil the student anew.",
    )
    if not images_per_s:
        raise UnusableArtifact(
            f"{student.path} does not say how fast it was trained (images_per_s in {HISTORY}); expected a student "
            "that was trained in one go, by this version. Distil it anew."
        )
    return images_per_s


def _count_steps(images_per_s: float, config: FitConfig, seconds: float) -> int:
    return max(1, round(seconds * images_per_s / config.batch_size))


def _with_losses(config: DistillConfig, losses: Mapping[str, Any]) -> DistillConfig:
    unweighted = {item.name: 0.0 for item in dataclasses.fields(config) if item.name.endswith("_weight")}
    return dataclasses.replace(config, discriminator_crop_px=None, l1_final_scale=1.0, **{**unweighted, **losses})


def _build_start(
    method: DistilledMethod, config: DistillConfig
) -> tuple[Callable[[keras.Model], keras.Model], dict[str, Any]]:
    """Return the function that builds the net, and the manifest's entries on its shape."""
    size, shape = config.image_size_px, method.shape

    if shape is None:
        own = {item.name for item in dataclasses.fields(PocketConfig)} | {"from_teacher"}
        return partial(untrained, config), {name: value for name, value in to_mapping(config).items() if name in own}

    def build(_: keras.Model) -> keras.Model:
        from compress.models import mobile_resnet_generator

        return mobile_resnet_generator.build_mobile_resnet(shape, (size, size))

    return build, to_mapping(shape)


def _fit_entries(config: DistillConfig) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(FitConfig)} | {"domain", "image_size_px"}
    return {name: value for name, value in to_mapping(config).items() if name in names}


def _train_narrow(
    config: DistillConfig, seconds: float, like: Path, data: Path, out: Path, *, overwrite: bool
) -> Artifact:
    """Train a narrow CycleGAN generator from real images alone, with the losses of its paper; its inverse with it."""
    from compress.teach.stage import RECORD, teach

    def with_steps(steps: int) -> TeachConfig:
        return TeachConfig(
            image_size_px=config.image_size_px,
            filters=NARROW_FILTERS,
            blocks=NARROW_BLOCKS,
            steps=steps,
            decay_steps=steps // 2,
            sample_every=steps,
            watch_kid=False,
            precision=config.precision,
            seed=config.seed,
        )

    def find_steps() -> int:
        with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
            images_per_s = teach(data, with_steps(TRIAL_STEPS), Path(scratch) / "trial")["images_per_s"]
        return _count_steps(images_per_s, FitConfig(batch_size=with_steps(1).batch_size), seconds)

    asked = ["narrow", str(like), str(data), to_mapping(config), seconds]
    steps = _keep_steps(out, asked, find_steps)
    _log.info("narrow: %d steps in %.0f s", steps, seconds)

    def train(work: Path) -> Path:
        make_training_folder(work)
        # Overwritten where a run was killed between this and its end.
        record = teach(data, with_steps(steps), work / "taught", overwrite=True)
        return work / "taught" / record["b2a" if config.domain == "B" else "a2b"]["file"]

    def write(scratch: Path, generator: Path) -> None:
        _write_narrow(scratch, out.name, generator, generator.with_name("samples.png"), config, steps)
        (scratch / RECORD).write_bytes(generator.with_name(RECORD).read_bytes())

    run_training(out, json.dumps([*asked, steps]), train, write, overwrite=overwrite)
    return open_artifact(out)


def _write_narrow(folder: Path, name: str, generator: Path, samples: Path, config: DistillConfig, steps: int) -> None:
    from compress import teachers
    from compress.artifact import ImageSpec
    from compress.models import cost
    from compress.teachers.build import build_generator

    shape = (config.image_size_px, config.image_size_px, 3)
    net = build_generator(dataclasses.replace(teachers.describe(generator), input_shape=shape))
    net.save(folder / artifact.MODEL_NAMES["keras"])
    (folder / "samples.png").write_bytes(samples.read_bytes())
    manifest = Manifest(
        name=name,
        format="keras",
        stage="teach",
        parent=None,
        input=ImageSpec(shape=shape),
        cost=cost.measure_cost(net),
        config={
            "peer": "narrow",
            "filters": NARROW_FILTERS,
            "blocks": NARROW_BLOCKS,
            "steps": steps,
            "domain": config.domain,
        },
        seed=config.seed,
    )
    artifact.write_manifest(folder, manifest)
