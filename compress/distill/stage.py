"""`compress distill`: a frozen teacher and photos in, a student artifact out.

Everything that can be wrong with the command line is found before TensorFlow is loaded.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import artifact, images, teachers
from compress.artifact import Artifact, ImageSpec, Manifest
from compress.config import to_mapping
from compress.data.faces import read_alignment
from compress.data.folders import list_photos
from compress.distill.config import HISTORY, INIT_FINGERPRINT, DistillConfig
from compress.distill.perceptual import require_perceptual_network
from compress.distill.start.earlier import EarlierStudent, copy_weights, read_earlier
from compress.distill.training_data.given_pairs import INPUTS, list_given_pairs, load_given_pairs, require_no_teacher
from compress.distill.training_data.real_images import list_real_images
from compress.distill.watch.reference import watch_held_back
from compress.faces.template import read_template
from compress.files.training_folder import make_training_folder, refuse_existing_output, run_training
from compress.teachers.interpretation.record import record_reading
from compress.teachers.interpretation.sizes import require_keeps_size
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.training.replicas import require_divisible

if TYPE_CHECKING:
    import keras

    from compress.distill.fit import FittedStudent
    from compress.distill.training_data.build import TrainingData
    from compress.distill.watch.reference import Watch
    from compress.teachers.description import GeneratorDescription

_log = logging.getLogger(__name__)


def distill(
    teacher: Path,
    data: Path,
    config: DistillConfig,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> Artifact:
    """Train a student to do what a teacher does.

    Beside `out` lies `NAME.training` while training runs: checkpoint, TensorBoard logs and sample sheets. The same
    command resumes there after a kill; the folder is removed when the student is finished.

    Args:
        teacher: A generator file that `compress.teachers.load` reads.
        data: A folder with `trainA` and `trainB`, as far as domain and discriminator need them.
        config: The student and its training.
        out: The artifact to write.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If `out` exists, the size does not fit the teacher, another run was stopped at the same place, or
            the student to start from is of another shape.
        UnusableModel: If the teacher or the student to start from cannot be read, or the teacher has no layers that a
            loss with a weight wants to look at.
        UnusableData: If the photos cannot be used.
    """
    begun = _begin(config)
    return distill_into(
        begun.start,
        begun.recorded,
        teacher,
        data,
        begun.config,
        out,
        overwrite=overwrite,
        reading=reading,
        check=begun.check,
    )


@dataclass(frozen=True, kw_only=True)
class _Beginning:
    """What a student's training starts from."""

    config: DistillConfig
    """What was asked for, with what the family chooses filled in."""
    start: Callable[..., keras.Model]
    """Builds the student, from its teacher where that is asked for."""
    recorded: Mapping[str, Any]
    """The `config` of the manifest, which tells this student and its training from others."""
    check: Callable[[], object] | None
    """Raises what can only be told by Keras."""


def _begin(config: DistillConfig) -> _Beginning:
    config = dataclasses.replace(config, kernel_size=config.trunk_kernel_size, upsampler=config.chosen_upsampler)
    if config.init is None:
        return _Beginning(config=config, start=partial(untrained, config), recorded=to_mapping(config), check=None)
    earlier = read_earlier(config.init)
    start = partial(_start_from, earlier, config)
    recorded = to_mapping(config) | {INIT_FINGERPRINT: earlier.fingerprint}
    return _Beginning(config=config, start=start, recorded=recorded, check=partial(start, None))


def _start_from(earlier: EarlierStudent, config: DistillConfig, _: keras.Model | None) -> keras.Model:
    from compress.models import pocket_generator

    student = pocket_generator.build_student(config)
    copy_weights(earlier, student)
    return student


def untrained(config: DistillConfig, generator: keras.Model) -> keras.Model:
    """Return the student that a configuration asks for, before training.

    Args:
        config: The student's shape.
        generator: Its teacher.
    """
    from compress.distill.start import from_teacher
    from compress.models import pocket_generator

    if config.from_teacher:
        return from_teacher.replace_norms(generator, (config.image_size_px, config.image_size_px))
    return pocket_generator.build_student(config)


def distill_into(
    start: Callable[[keras.Model], keras.Model],
    recorded: Mapping[str, Any],
    teacher: Path,
    data: Path,
    config: DistillConfig,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
    check: Callable[[], object] | None = None,
) -> Artifact:
    """Train any net to do what a teacher does, as `distill` trains a student.

    Args:
        start: Builds the net, from the teacher where `config.from_teacher` asks for it: `(batch, image_size_px,
            image_size_px, 3)` in [-1, 1] to the same, in the arithmetic that `keras.config.dtype_policy` asks for.
        recorded: The `config` of the manifest, which tells this net and its training from others.
        teacher: See `distill`.
        data: See `distill`.
        config: The training, and `image_size_px`; the rest of the student's shape is not looked at.
        out: See `distill`.
        overwrite: See `distill`.
        reading: See `distill`.
        check: Called before the photos are translated; raises what can only be told by Keras.

    Raises:
        UsageError: See `distill`.
        UnusableModel: See `distill`.
        UnusableData: See `distill`.
    """
    refuse_existing_output(out, overwrite=overwrite)
    require_divisible(config.batch_size)
    require_perceptual_network(config)
    paths = list_photos(data, config.domain, "train")
    watch = watch_held_back(data, config)
    held_back = frozenset(watch.real if watch else ())
    real_paths = [path for path in list_real_images(data, config.domain, config) if path not in held_back]
    description = teachers.describe(teacher, reading=reading)
    require_teacher_size(description, teacher, config)
    aligned = read_alignment(data)
    alignment = read_template(aligned, origin=data)

    def build(work: Path) -> TrainingData:
        from compress.distill.training_data.build import build_training_data

        return build_training_data(paths, real_paths, description, config, work, config.image_size_px, alignment)

    material = _Material(
        build=build,
        identity=description.fingerprint,
        files=(paths, real_paths, sorted(held_back)),
        fingerprint=artifact.file_fingerprint(teacher),
        recorded={**recorded, **record_reading(description, reading), **aligned},
    )
    return _train_into(start, recorded, material, config, out, watch=watch, overwrite=overwrite, check=check)


def distill_pairs(pairs: Path, config: DistillConfig, out: Path, *, overwrite: bool = False) -> Artifact:
    """Train a student on pairs of photos and what any generator made of them, whose file nobody needs to have.

    Equal to `distill` with the teacher that made the targets, on the same photos and without real images.

    Args:
        pairs: A folder that holds `inputs` and `targets`, of the same names.
        config: The student and its training; nothing in it may need the teacher itself.
        out: The artifact to write.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists, or something needs the teacher; else as `distill`.
        UnusableData: If pairs are missing or broken.
    """
    refuse_existing_output(out, overwrite=overwrite)
    require_divisible(config.batch_size)
    require_no_teacher(config)
    require_perceptual_network(config)
    given = list_given_pairs(pairs)
    watch = watch_held_back(None, config)
    begun = _begin(config)
    aligned = read_alignment(pairs / INPUTS)
    alignment = read_template(aligned, origin=pairs)

    def build(work: Path) -> TrainingData:
        from compress.distill.training_data.build import TrainingData

        make_training_folder(work)
        loaded = load_given_pairs(given, work, config.image_size_px)
        return TrainingData(loaded, build_teacher=None, real=None, alignment=alignment)

    material = _Material(
        build=build,
        identity="pairs",
        files=(given.photos, given.targets),
        fingerprint=given.fingerprint(),
        recorded={**begun.recorded, **aligned},
    )
    return _train_into(
        begun.start, begun.recorded, material, begun.config, out, watch=watch, overwrite=overwrite, check=begun.check
    )


@dataclass(frozen=True, kw_only=True)
class _Material:
    """What a student learns from: a teacher's images of photos, or pairs."""

    build: Callable[[Path], TrainingData]
    """Builds the training data in a run's folder."""
    identity: str
    """Tells the teacher, and how it is read, from others."""
    files: Sequence[Sequence[Path]]
    """Images that the training depends on."""
    fingerprint: str
    """Hash of the teacher's file, which the student names as its parent."""
    recorded: Mapping[str, Any]
    """The `config` of the student's manifest."""


def _train_into(
    start: Callable[[keras.Model | None], keras.Model],
    recorded: Mapping[str, Any],
    material: _Material,
    config: DistillConfig,
    out: Path,
    *,
    watch: Watch | None,
    overwrite: bool,
    check: Callable[[], object] | None = None,
) -> Artifact:
    # From here on Keras and its backend are needed.
    from compress.distill.fit import fit
    from compress.training import checkpoint
    from compress.training.device import require_device

    require_device()
    files = [checkpoint.identify_files(listed) for listed in material.files]
    run_identity = checkpoint.run_identity(dict(recorded), material.identity, files)

    def train(work: Path) -> FittedStudent:
        # Asked before the photos are translated and anything in the folder is replaced: it may belong to another run.
        checkpoint.has_checkpoint(work, run_identity)
        if check is not None:
            check()
        training_data = material.build(work)
        teacher = training_data.teacher(needed=config.from_teacher)
        return fit(
            training_data,
            config,
            work,
            run_identity,
            start=lambda: start(teacher),
            watch=watch,
            name="distill",
        )

    def write(scratch: Path, fitted: FittedStudent) -> None:
        write_student(scratch, fitted)
        artifact.write_manifest(scratch, _manifest(out.name, fitted, config, material.recorded, material.fingerprint))

    run_training(out, run_identity, train, write, overwrite=overwrite)
    return artifact.open_artifact(out)


def write_student(scratch: Path, fitted: FittedStudent) -> None:
    """Write model, samples and training history into a student's artifact; its manifest is written apart."""
    fitted.student.save(scratch / artifact.MODEL_NAMES["keras"])
    images.write_png(scratch / "samples.png", fitted.sheet)
    history = fitted.history
    chosen = history.chosen and {"step": history.chosen.step, "because": history.explain_choice()}
    record = {**history.to_mapping(), "chosen": chosen, "stopped": fitted.stopped}
    record |= {"images_per_s": fitted.images_per_s, "precision": fitted.precision}
    record |= {"teacher_images_precision": fitted.teacher_precision}
    (scratch / HISTORY).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def require_teacher_size(description: GeneratorDescription, teacher: Path, config: DistillConfig) -> None:
    """Check that a teacher takes images of the student's size.

    Raises:
        UsageError: If it takes another one, or does not keep it.
    """
    taken, side = description.input_shape[:2], config.image_size_px
    advice = f"Pass --image-size-px {taken[0]}, or a teacher trained at {side}."
    require_keeps_size(description, teacher.name, (side, side), advice=advice)


def _manifest(
    name: str, fitted: FittedStudent, config: DistillConfig, recorded: Mapping[str, Any], parent: str
) -> Manifest:
    from compress.models import cost

    size = config.image_size_px
    return Manifest(
        name=name,
        format="keras",
        stage="distill",
        parent=parent,
        input=ImageSpec(shape=(size, size, 3)),
        cost=cost.measure_cost(fitted.student),
        config=dict(recorded),
        seed=config.seed,
        scores={
            "held_back_photos": fitted.held_back_photos,
            "held_back_psnr_db": round(fitted.held_back_psnr_db, 3),
            **_kid_scores(fitted),
        },
    )


def _kid_scores(fitted: FittedStudent) -> dict[str, float]:
    """Return the KID of the held-back photos with its spread, where it was measured, under the metric's name."""
    kid = fitted.history.chosen and fitted.history.chosen.kid
    if kid is None:
        return {}
    name = f"held_back_{kid.metric}"
    return {name: round(kid.mean, 6), f"{name}_spread": round(kid.spread, 6)}
