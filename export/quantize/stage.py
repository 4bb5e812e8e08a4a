"""`compress quantize`: a student, its teacher and photos in; a student whose weights and ranges are made for int8 out.

Everything that can be wrong with the command line is found before TensorFlow is loaded.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress import artifact, images
from compress.artifact import Artifact, Manifest
from compress.config import to_mapping
from compress.distill.given import receive
from compress.teachers import LambdaAs
from export.quantize.config import QuantizeConfig

if TYPE_CHECKING:
    import keras

    from compress.distill.pairs import Pairs
    from export.quantization import QuantizedGraph
    from export.quantize.ways import Finished

_SHEET_ROWS = 6
_SENSITIVITY_PHOTOS = 2


def quantize(
    student: Path,
    teacher: Path,
    data: Path,
    config: QuantizeConfig,
    out: Path,
    *,
    overwrite: bool = False,
    lambda_as: LambdaAs | None = None,
) -> Artifact:
    """Fold a student's BatchNorm, choose its ranges and, by `qat`, train it with int8's rounding.

    Beside `out` lies `NAME.training` while this runs, as for `distill`; the same command goes on from there.

    Args:
        student: The artifact of a student, distilled or pruned.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: Method, ranges and training.
        out: The artifact to write: a folded `model.keras`, and in its manifest the scale of every tensor, which
            `compress export tflite --precision int8` takes.
        overwrite: Whether `out` may exist.
        lambda_as: What the teacher's Lambda layers do, see `teachers.load`.

    Raises:
        UsageError: If `out` exists, the teacher takes another size, or another run was stopped at the same place.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel.
    """
    given = receive(student, teacher, data, config, out, overwrite=overwrite, lambda_as=lambda_as)
    config = given.config

    # From here on Keras and its backend are needed.
    from compress import training
    from compress.models.stored import load_stored
    from export.quantize import ways
    from export.quantize.trainable import as_keras

    identity, work = given.identity(), artifact.training_folder(out)
    # Asked before the photos are translated and anything in the folder is replaced: it may belong to another run.
    for folder in (work, *(work / way for way in ways.TRAININGS)):
        training.holds_checkpoint(folder, identity)
    lessons = given.lessons(work)
    finished = ways.go(load_stored(given.student.model_path), lessons, config, work, identity)
    folded = as_keras(finished.kept.quantized.graph)
    with artifact.written_whole(out, overwrite=overwrite) as scratch:
        folded.save(scratch / artifact.MODEL_NAMES["keras"])
        _draw(scratch, finished.kept.quantized, finished.held_back, with_sensitivity=config.sensitivity)
        artifact.write_manifest(scratch, _manifest(out.name, finished, folded, config, given.student))
    shutil.rmtree(work)
    return artifact.open_artifact(out)


def _draw(scratch: Path, kept: QuantizedGraph, held_back: Pairs, *, with_sensitivity: bool) -> None:
    """What people look at: a sheet of pictures, and what int8 costs where if they asked."""
    from export import material, tflite
    from export.quantize import sensitivity
    from export.runner import TfliteGenerator

    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    shown = images.to_uint8(photos)
    pictures = map(TfliteGenerator(tflite.int8_file(kept, "float")).translate, shown)
    images.write_png(scratch / "samples.png", material.sheet(list(shown), list(targets), pictures))
    if with_sensitivity:
        sensitivity.write(sensitivity.measure(kept, list(shown[:_SENSITIVITY_PHOTOS])), scratch)


def _manifest(name: str, finished: Finished, folded: keras.Model, config: QuantizeConfig, source: Artifact) -> Manifest:
    from compress import cost

    kept = finished.kept
    return Manifest(
        name=name,
        format="keras",
        stage="quantize",
        parent=source.fingerprint,
        input=source.manifest.input,
        cost=cost.measure(folded),
        config=to_mapping(config),
        seed=config.seed,
        quantization=kept.quantized.as_json(),
        scores={
            "kept": kept.way,
            "held_back_psnr_db": round(kept.psnr_db, 3),
            "held_back_psnr_db_float": round(finished.given_psnr_db, 3),
            **{f"held_back_psnr_db_{one.way}": round(one.psnr_db, 3) for one in finished.candidates},
            **{f"file_to_graph_psnr_db_{one.way}": round(one.own_psnr_db, 3) for one in finished.candidates},
        },
    )
