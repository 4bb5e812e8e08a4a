"""`compress quantize`: a student, its teacher and photos in; a student whose weights and ranges are made for int8 out.

Everything that can be wrong with the command line is found before TensorFlow is loaded.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress import artifact, images
from compress.artifact import Artifact, Manifest
from compress.distill.fine_tuning import dropped_losses
from compress.distill.inputs import StageInputs, resolve_inputs
from compress.teachers import LambdaLayers
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
    lambda_layers: LambdaLayers | None = None,
) -> Artifact:
    """Fold a student's BatchNorm, choose its ranges and, by `qat`, train it with int8's rounding.

    Beside `out` lies `NAME.training` while this runs, as for `distill`; the same command goes on from there.

    Args:
        student: The artifact of a student, distilled or pruned.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: Method, ranges and training.
        out: The artifact to write: a folded `model.keras`, and in its manifest the scale of every tensor and what
            stays in float, which `compress export tflite --precision int8` takes.
        overwrite: Whether `out` may exist.
        lambda_layers: What the teacher's Lambda layers do, see `teachers.load`.

    Raises:
        UsageError: If `out` exists, the teacher takes another size, another run was stopped at the same place, or more
            operators are to stay in float than there are.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel.
    """
    inputs = resolve_inputs(
        student, teacher, data, config, out, overwrite=overwrite, lambda_layers=lambda_layers, folded=True
    )
    if dropped := dropped_losses(inputs.student.manifest.config):
        _log.info("trained without %s, since folding changes the student's layers", ", ".join(dropped))

    # From here on Keras and its backend are needed.
    from compress.models.io import load_student
    from compress.training import checkpoint
    from export.graph.lower import lower
    from export.quantize import candidates, float_ops
    from export.quantize.trainable import as_keras

    identity, work = inputs.identity(), artifact.training_folder(out)
    # Asked before the photos are translated and anything in the folder is replaced: it may belong to another run.
    for folder in (work, *(work / way for way in candidates.TRAININGS)):
        checkpoint.has_checkpoint(folder, identity)
    model = load_student(inputs.student.model_path)
    float_ops.check_float_ops(config.float_ops, lower(model, input_shape=model.input_shape[1:]))
    finished = candidates.run_candidates(
        model, inputs.training_data(work), inputs.config, inputs.fit_config, work, identity
    )
    # Without islands, which are the file's; what stays in float is the same model.
    folded = as_keras(finished.kept.quantized.graph)
    with artifact.atomic_dir(out, overwrite=overwrite) as scratch:
        folded.save(scratch / artifact.MODEL_NAMES["keras"])
        _draw(scratch, finished)
        artifact.write_manifest(scratch, _manifest(out.name, finished, folded, inputs))
    shutil.rmtree(work)
    return artifact.open_artifact(out)


def _draw(scratch: Path, finished: QuantizeResult) -> None:
    """What people look at: a sheet of pictures, and what int8 costs where if they asked."""
    from export.calibration.photos import parity_sheet
    from export.interpreter.litert import TfliteGenerator
    from export.quantize import sensitivity
    from export.tflite import emitter

    held_back = finished.held_back
    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    shown = images.to_uint8(photos)
    pictures = map(TfliteGenerator(emitter.int8_file(finished.shipped.quantized, "float")).translate, shown)
    images.write_png(scratch / "samples.png", parity_sheet(list(shown), list(targets), pictures))
    if finished.costs:
        sensitivity.write(finished.costs, scratch)


def _manifest(
    name: str, finished: QuantizeResult, folded: keras.Model, inputs: StageInputs[QuantizeConfig]
) -> Manifest:
    from compress import cost

    shipped, measured = finished.shipped, finished.measured
    return Manifest(
        name=name,
        format="keras",
        stage="quantize",
        parent=inputs.student.fingerprint,
        input=inputs.student.manifest.input,
        cost=cost.measure_cost(folded),
        config=inputs.recorded_config(),
        seed=inputs.config.seed,
        quantization=shipped.quantized.as_json(),
        float_ops=list(shipped.quantized.float_ops),
        scores={
            "kept": finished.kept.way,
            "held_back_psnr_db": round(shipped.psnr_db, 3),
            "held_back_psnr_db_float": round(finished.given_psnr_db, 3),
            **{f"held_back_psnr_db_{one.way}": round(one.psnr_db, 3) for one in measured},
            **{f"file_to_graph_psnr_db_{one.way}": round(one.own_psnr_db, 3) for one in measured},
            "file_bytes": shipped.file_bytes,
            **{f"file_bytes_{one.way}": one.file_bytes for one in measured},
        },
    )
