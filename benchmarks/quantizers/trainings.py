"""Trainings of a student for int8: ours, its control, and TFMOT's; same photos, steps and settings."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from benchmarks.quantizers.tfmot import child
from benchmarks.quantizers.tfmot.job import TrainingJob, check_copyable
from compress import teachers
from compress.distill.config import FitConfig
from compress.distill.inputs import StageInputs, resolve_inputs
from compress.distill.training_data.pairs import Pairs
from compress.distill.training_data.teacher_images import TeacherImages, cache_folder
from compress.images import to_float
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.teachers.reading.config import AS_FOUND
from export.quantize import candidates
from export.quantize.config import QuantizeConfig
from export.quantize.trainable import as_keras
from export.source import SourceGenerator
from export.tflite import emitter

_CHECK_PHOTOS = 2
"""Photos on which TFMOT's copy is compared with the student."""
_TFMOT = {"TFMOT QAT": False, "TFMOT QAT, calibrated": True}
"""Rows of the table, and whether their ranges start from photos; see `benchmarks.quantizers.tfmot.training`."""


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """Results of all trainings."""

    files: dict[str, bytes]
    """The int8 file of each row of the table."""
    control: keras.Model
    """The folded student after the same steps in float."""
    pictures: np.ndarray
    """The teacher's images of the compared photos, `(count, height, width, 3)` float32 in [-1, 1]."""
    facts: dict[str, Any]
    """Settings and course of the trainings, JSON-ready."""


def train_candidates(
    student: Path,
    teacher: Path,
    data: Path,
    config: QuantizeConfig,
    source: SourceGenerator,
    photos: Sequence[np.ndarray],
) -> Trainings:
    """Train every candidate, one after the other.

    Photos and the teacher's images of them lie in the temporary folder meanwhile, 0.4 MB for each training photo of 256
    pixels.

    Args:
        student: The student's artifact.
        teacher: The generator file that it learnt from.
        data: A CycleGAN folder.
        config: The settings of all trainings.
        source: The loaded student.
        photos: `(height, width, 3)` uint8, which nothing is trained on.

    Raises:
        UsageError: If the teacher takes another image size.
        UnusableInput: If student, teacher or photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel, or that TFMOT's copy cannot have.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        work = Path(scratch) / "training"
        out = Path(scratch) / "out"
        inputs = resolve_inputs(student, teacher, data, config, out, overwrite=False, reading=AS_FOUND, folded=True)
        inputs = replace(inputs, fit_config=_image_losses_alone(inputs.fit_config))
        description = teachers.describe(inputs.student.model_path)
        check_copyable(description)
        training_data = inputs.training_data(work)
        training_pairs, _ = training_data.pairs.split(config.holdout, config.seed)
        tfmot = {
            row: child.run_training_job(
                _make_job(description, inputs, training_pairs, source, photos[:_CHECK_PHOTOS], calibrated)
            )
            for row, calibrated in _TFMOT.items()
        }
        finished = candidates.run_candidates(
            source.model, training_data, inputs.config, inputs.fit_config, work, inputs.identity()
        )
        cache = cache_folder(inputs.description.fingerprint, inputs.image_size_px)
        translate = TeacherImages(build_generator(inputs.description).predict_on_batch, cache)
        pictures = translate(photos)
        translate.finish()
    ours = {one.method: one for one in finished.candidates}
    return Trainings(
        files={f"compress quantize, {method}": emitter.int8_file(one.quantized, "int8") for method, one in ours.items()}
        | {row: trained.content for row, trained in tfmot.items()},
        control=as_keras(ours["control"].graph),
        pictures=to_float(np.stack(pictures)),
        facts={
            "teacher": str(teacher),
            "training_photos": len(training_pairs),
            "config": inputs.recorded_config(),
            "tfmot": {
                row: {
                    "copy_difference": trained.copy_difference,
                    "annotated_by_hand": dict(trained.annotated),
                    "step_s": trained.step_s,
                }
                for row, trained in tfmot.items()
            },
        },
    )


def _image_losses_alone(config: FitConfig) -> FitConfig:
    """Leave out phases and the losses that look through the teacher: TFMOT's training has neither."""
    dropped = dict.fromkeys(("gram_weight", "feature_weight", "channel_weight"), 0.0)
    return replace(config, discriminator_crop_px=None, l1_final_scale=1.0, **dropped)


def _make_job(
    description: GeneratorDescription,
    inputs: StageInputs[QuantizeConfig],
    pairs: Pairs,
    source: SourceGenerator,
    check_photos: Sequence[np.ndarray],
    calibrated: bool,
) -> TrainingJob:
    return TrainingJob(
        description=description,
        config=inputs.fit_config,
        calibration_images=inputs.config.calibration_images,
        photos=_mapped_file(pairs.photos),
        targets=_mapped_file(pairs.targets),
        rows=pairs.rows,
        calibrated=calibrated,
        check_photos=to_float(np.stack(check_photos)),
        expected=np.stack([source.translate(photo) for photo in check_photos]),
    )


def _mapped_file(array: np.ndarray) -> Path:
    """Return the file behind a memory-mapped array."""
    return Path(cast(np.memmap, array).filename or "")
