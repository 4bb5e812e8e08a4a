"""Conversion of a Keras `.h5` to half precision and back: float32 arrays as float16, all else untouched.

Teachers are distributed in half precision, but run in float32: weights change by at most 0.05 % each, and the file that
is converted back has the format, the names and the size of the original.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import UnusableModel
from compress.files.atomic import replace_bytes

if TYPE_CHECKING:
    import h5py


def write_float16(teacher: Path, out: Path) -> None:
    """Write a compressed copy with float16 arrays.

    Args:
        teacher: A Keras `.h5`.
        out: The file to write; replaced if it exists.

    Raises:
        UnusableModel: If a weight is too large for float16, or the file is no HDF5.
    """
    _convert(teacher, out, "float32", "float16", {"compression": "gzip", "compression_opts": 9, "shuffle": True})


def write_float32(half: Path, out: Path) -> None:
    """Write a copy with float32 arrays, the inverse of `write_float16` but for rounding.

    Args:
        half: A file that `write_float16` wrote.
        out: The file to write; replaced if it exists.

    Raises:
        UnusableModel: If the file is no HDF5.
    """
    _convert(half, out, "float16", "float32", {})


def convert_hdf5(source: h5py.File, written: h5py.File, origin: str, dtype: str, wanted: str, **options: Any) -> None:
    """Copy an opened HDF5 file into another one, with arrays of one type as another.

    Args:
        source: The file to copy.
        written: An empty file.
        origin: The source as errors call it.
        dtype: Type of the arrays to convert; all else is copied as it is.
        wanted: Their new type.
        options: Storage of each array, as `h5py.Group.create_dataset` takes it.

    Raises:
        UnusableModel: If a value is too large for the new type.
    """
    import h5py
    import numpy as np

    written.attrs.update(source.attrs)

    def copy(name: str, member: Any) -> None:
        if isinstance(member, h5py.Group):
            written.create_group(name).attrs.update(member.attrs)
            return
        values = member[()]
        if values.dtype == dtype:
            with np.errstate(over="ignore"):
                converted = values.astype(wanted)
            if not np.isfinite(converted).all():
                raise UnusableModel(f"{origin} holds a weight in {name} that {wanted} cannot hold.")
            values = converted
        # Scalars cannot be compressed.
        dataset = written.create_dataset(name, data=values, **(options if values.ndim else {}))
        dataset.attrs.update(member.attrs)

    source.visititems(copy)


def _convert(source: Path, out: Path, dtype: str, wanted: str, options: dict[str, Any]) -> None:
    import h5py

    converted = io.BytesIO()
    try:
        with h5py.File(source) as read, h5py.File(converted, "w") as written:
            convert_hdf5(read, written, str(source), dtype, wanted, **options)
    except OSError as error:
        raise UnusableModel(f"{source} cannot be read as HDF5 ({error}).") from error
    replace_bytes(out, converted.getvalue())
