"""`compress quantize`: a student, its teacher and photos in; a student whose weights and ranges are made for int8 out.

Everything that can be wrong with the command line is found before TensorFlow is loaded.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress import artifact, images
from compress.artifact import Artifact, Manifest
from compress.distill.fine_tuning import dropped_losses
from compress.distill.inputs import StageInputs, resolve_inputs
from compress.files.training_folder import run_training
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.quantize.config import QuantizeConfig

if TYPE_CHECKING:
    import keras

    from export.quantize.candidates import QuantizeResult

_SHEET_ROWS = 6
_log = logging.getLogger(__name__)


def quantize(
    student: Path,
    teacher: Path,
    data: Path,
    config: QuantizeConfig,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> Artifact:
    """Fold a student's BatchNorm, choose its ranges and, by `qat`, train it with int8's rounding.

    Beside `out` lies `NAME.training` while this runs, as for `distill`; the same command goes on from there.

    Args:
        student: The artifact of a student, distilled or pruned.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: Method, ranges and training.
        out: The artifact to write: a folded `model.keras`, and in its manifest the scale of every tensor and the
            float operators, which `compress export tflite --precision int8` takes.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If `out` exists, the teacher takes another size, another run was stopped at the same place, or more
            operators are to stay in float than there are.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel.
    """
    inputs = resolve_inputs(student, teacher, data, config, out, overwrite=overwrite, reading=reading, folded=True)
    if dropped := dropped_losses(inputs.student.manifest.config):
        _log.info("trained without %s, since folding changes the student's layers", ", ".join(dropped))

    # From here on Keras and its backend are needed.
    from compress.teachers.student import load_student
    from compress.training import checkpoint
    from compress.training.device import require_device
    from export.graph.lower import lower
    from export.quantize import candidates, float_ops
    from export.quantize.trainable import as_keras

    require_device()
    identity = inputs.identity()

    def train(work: Path) -> QuantizeResult:
        # Checked before the photos are translated and anything in the folder is replaced: it may belong to another run.
        for folder in (work, *(work / name for name in candidates.TRAININGS)):
            checkpoint.has_checkpoint(folder, identity)
        model = load_student(inputs.student.model_path)
        float_ops.check_float_ops(config.float_ops, lower(model, input_shape=model.input_shape[1:]))
        data = inputs.training_data(work)
        return candidates.run_candidates(model, data, inputs.config, inputs.fit_config, work, identity)

    def write(scratch: Path, result: QuantizeResult) -> None:
        # Without the casts around float operators, which only the file has; the model is the same.
        folded = as_keras(result.best.quantized.graph)
        folded.save(scratch / artifact.MODEL_NAMES["keras"])
        _draw(scratch, result)
        artifact.write_manifest(scratch, _manifest(out.name, result, folded, inputs))

    run_training(out, identity, train, write, overwrite=overwrite)
    return artifact.open_artifact(out)


def _draw(scratch: Path, result: QuantizeResult) -> None:
    """Draw a sheet of pictures and, where it was asked for, the cost of each rounding."""
    from export.calibration.photos import parity_sheet
    from export.interpreter.litert import TfliteGenerator
    from export.quantize.sensitivity import write_sensitivity
    from export.tflite import emitter

    held_back = result.held_back
    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    pixels = images.to_uint8(photos)
    pictures = map(TfliteGenerator(emitter.int8_file(result.chosen.quantized, "float")).translate, pixels)
    images.write_png(scratch / "samples.png", parity_sheet(list(pixels), list(targets), pictures))
    if result.costs:
        write_sensitivity(result.costs, scratch)


def _manifest(name: str, result: QuantizeResult, folded: keras.Model, inputs: StageInputs[QuantizeConfig]) -> Manifest:
    from compress.models import cost

    chosen, measured = result.chosen, result.all_candidates
    return Manifest(
        name=name,
        format="keras",
        stage="quantize",
        parent=inputs.student.fingerprint,
        input=inputs.student.manifest.input,
        cost=cost.measure_cost(folded),
        config=inputs.recorded_config(),
        seed=inputs.config.seed,
        quantization=chosen.quantized.as_json(),
        float_ops=list(chosen.quantized.float_ops),
        scores={
            "best_method": result.best.method,
            "held_back_psnr_db": round(chosen.psnr_db, 3),
            "held_back_psnr_db_float": round(result.student_psnr_db, 3),
            **{f"held_back_psnr_db_{one.method}": round(one.psnr_db, 3) for one in measured},
            **{f"file_to_graph_psnr_db_{one.method}": round(one.graph_psnr_db, 3) for one in measured},
            "file_bytes": chosen.file_bytes,
            **{f"file_bytes_{one.method}": one.file_bytes for one in measured},
        },
    )
