"""`compress export keras`: a student in, one small `.keras` file out, to share and to train on from."""

from pathlib import Path
from typing import Any

from compress.artifact import open_artifact
from compress.errors import UnusableArtifact, UsageError
from compress.files.atomic import atomic_file, refuse_existing
from compress.teachers import packed
from export import parity
from export.calibration.photos import PARITY_IMAGES
from export.source import load_source

_REMEDY = "Its weights or activations leave float16's range."


def export_keras(source: Path, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a student in half precision, then open the file and compare its pictures with the student's.

    Args:
        source: The artifact of a student that can still be trained: distilled or pruned, not quantised or exported.
        out: The file to write.
        overwrite: Whether it may exist.

    Returns:
        JSON-ready: the file, its size, parameters, and parity with the student on synthetic photos.

    Raises:
        UsageError: If `out` exists or its name does not end in `.keras`.
        UnusableArtifact: If `source` is no such artifact.
        UnusableModel: If a weight is too large for float16.
        ParityError: If the file does something else than the student; it is removed then.
    """
    if out.suffix != packed.SUFFIX:
        raise UsageError(f"--out {out}: expected a file name that ends in {packed.SUFFIX}.")
    refuse_existing(out, overwrite=overwrite)
    student = open_artifact(source)
    if student.manifest.format != "keras" or student.manifest.quantization is not None:
        raise UnusableArtifact(
            f"{source} comes from the stage {student.manifest.stage}; expected a student that can still be trained, as "
            "compress distill and compress prune write it."
        )
    generator = load_source(source)
    with atomic_file(out, overwrite=overwrite) as partial:
        packed.pack_student(student, partial)
        reopened = load_source(partial)
        photos = parity.synthetic_photos(generator.image_size(None), count=PARITY_IMAGES, seed=0)
        made, expected = ([one.translate(photo) for photo in photos] for one in (reopened, generator))
        checked = parity.compute_parity(made, expected, material="synthetic")
        parity.require_psnr(checked, "float16 file", least_db=parity.LEAST_PSNR_DB["fp16"], remedy=_REMEDY)
    return {
        "file": str(out),
        "size_bytes": out.stat().st_size,
        "params": student.manifest.cost.params,
        "parity": checked.as_json(),
    }
