"""Packed students: an artifact as one small `.keras` file, with weights in half precision and the manifest inside.

It is a `.keras` file as Keras writes it but for its arrays, which are float16, and its compression, so that Keras and
every reader of `.keras` files open it; the weights are float32 again then, within 0.05 % of what they were, and train.
"""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from compress.artifact import MANIFEST_NAME, Artifact
from compress.errors import UnusableModel
from compress.files.atomic import atomic_write_bytes
from compress.strict_json import MOST_BYTES, parse_json
from compress.teachers.half_precision import convert_hdf5

SUFFIX = ".keras"
_WEIGHTS = "model.weights.h5"
_WRITTEN_AT = (1980, 1, 1, 0, 0, 0)
"""Date of every member, so that the same student makes the same bytes."""


def pack_student(student: Artifact, out: Path, *, overwrite: bool = False) -> None:
    """Write a student as one file, atomically.

    Args:
        student: An artifact with a `model.keras`.
        out: The file to write; its name ends in `.keras`.
        overwrite: Whether it may exist.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
        UnusableModel: If the model is torn, or a weight is too large for float16.
    """
    packed = io.BytesIO()
    try:
        with (
            zipfile.ZipFile(student.model_path) as source,
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
        ):
            members = {name: source.read(name) for name in source.namelist()}
            members[_WEIGHTS] = _to_float16(members[_WEIGHTS], student.model_path)
            members[MANIFEST_NAME] = (student.path / MANIFEST_NAME).read_bytes()
            for name, content in members.items():
                target.writestr(zipfile.ZipInfo(name, _WRITTEN_AT), content, zipfile.ZIP_DEFLATED, 9)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UnusableModel(f"{student.model_path} cannot be read ({error}); make the artifact anew.") from error
    atomic_write_bytes(out, packed.getvalue(), overwrite=overwrite)


def read_packed_config(path: Path) -> dict[str, Any]:
    """Read the stage's configuration from a packed student's manifest; empty of any other file, or one torn there."""
    if path.suffix != SUFFIX or not path.is_file() or not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as packed:
            if packed.getinfo(MANIFEST_NAME).file_size > MOST_BYTES:
                return {}
            config = parse_json(packed.read(MANIFEST_NAME))["config"]
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ):
        return {}
    return config if isinstance(config, dict) else {}


def _to_float16(weights: bytes, origin: Path) -> bytes:
    import h5py

    converted = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as read, h5py.File(converted, "w") as written:
        convert_hdf5(read, written, str(origin), "float32", "float16")
    return converted.getvalue()
