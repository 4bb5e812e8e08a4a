"""What a student becomes by training for int8: our way, its control, and TFMOT's; same photos, steps and settings."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from benchmarks.quantizers.tfmot import child
from benchmarks.quantizers.tfmot.job import Job, check_copyable
from compress import teachers
from compress.config import to_mapping
from compress.distill.inputs import resolve_inputs
from compress.distill.training_data.pairs import Pairs
from compress.distill.training_data.teacher_images import cache_folder, translate_cached
from compress.images import to_float
from compress.teachers.description import GeneratorDescription
from export.quantize import candidates
from export.quantize.config import QuantizeConfig
from export.quantize.trainable import as_keras
from export.source import Source
from export.tflite import emitter

_SHOWN = 2
"""Photos by which TFMOT's copy is seen to be one."""
_TFMOT = {"TFMOT QAT": False, "TFMOT QAT, calibrated": True}
"""By row, whether its ranges start from photos; see `benchmarks.quantizers.tfmot.training`."""


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """What was trained."""

    files: dict[str, bytes]
    """By row of the table, the int8 file."""
    control: keras.Model
    """The folded student after as many steps in float."""
    pictures: np.ndarray
    """The teacher's, of the photos that are compared on; `(count, height, width, 3)` float32 in [-1, 1]."""
    facts: dict[str, Any]
    """JSON-ready: under what it was trained, and how it went."""


def train(
    student: Path, teacher: Path, data: Path, config: QuantizeConfig, source: Source, photos: Sequence[np.ndarray]
) -> Trainings:
    """Train every way, one after the other. Photos and the teacher's images of them lie in the temporary folder
    meanwhile, 0.4 MB for each training photo of 256 pixels.

    Args:
        student: The student's artifact.
        teacher: The generator file that it learnt from.
        data: A CycleGAN folder.
        config: Of all trainings.
        source: The student again, loaded.
        photos: `(height, width, 3)` uint8, which nothing is trained on.

    Raises:
        UsageError: If the teacher takes another image size.
        UnusableInput: If student, teacher or photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel, or that TFMOT's copy cannot have.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        work = Path(scratch) / "training"
        given = resolve_inputs(
            student, teacher, data, config, Path(scratch) / "out", overwrite=False, lambda_layers=None
        )
        description = teachers.describe(given.student.model_path)
        check_copyable(description)
        training_data = given.training_data(work)
        training_pairs, _ = training_data.pairs.split(config.holdout, config.seed)
        tfmot = {
            row: child.run(_job(description, given.config, training_pairs, source, photos[:_SHOWN], calibrated))
            for row, calibrated in _TFMOT.items()
        }
        finished = candidates.run_candidates(source.model, training_data, given.config, work, given.identity())
        cache = cache_folder(given.fingerprint, given.image_size_px)
        pictures = [translate_cached(photo, training_data.teacher.predict_on_batch, cache) for photo in photos]
    ours = {one.way: one for one in finished.candidates}
    return Trainings(
        files={f"compress quantize, {way}": emitter.int8_file(one.quantized, "int8") for way, one in ours.items()}
        | {row: trained.content for row, trained in tfmot.items()},
        control=as_keras(ours["control"].graph),
        pictures=to_float(np.stack(pictures)),
        facts={
            "teacher": str(teacher),
            "training_photos": len(training_pairs),
            "config": to_mapping(given.config),
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


def _job(
    description: GeneratorDescription,
    config: QuantizeConfig,
    pairs: Pairs,
    source: Source,
    shown: Sequence[np.ndarray],
    calibrated: bool,
) -> Job:
    return Job(
        description=description,
        config=config,
        photos=_file_of(pairs.photos),
        targets=_file_of(pairs.targets),
        rows=pairs.rows,
        calibrated=calibrated,
        shown=to_float(np.stack(shown)),
        expected=np.stack([source.translate(photo) for photo in shown]),
    )


def _file_of(array: np.ndarray) -> Path:
    """The file behind a memory-mapped array."""
    return Path(cast(np.memmap, array).filename or "")
