"""A Keras `.h5` at half its size, and back: every float32 array as float16, all else untouched.

Half precision is how a teacher travels, not how it runs: its weights move by at most 0.05 % each, and the file that is
made of it again has the format, the names and the size of the one that was trained.
"""

import shutil
from pathlib import Path
from typing import Any

from compress.errors import UnusableModel


def halve(teacher: Path, out: Path) -> None:
    """Write a copy with float16 arrays, compressed.

    Args:
        teacher: A Keras `.h5`.
        out: The file to write; replaced if it exists.

    Raises:
        UnusableModel: If a weight is too large for float16, or the file is no HDF5.
    """
    _convert(teacher, out, "float32", "float16", {"compression": "gzip", "compression_opts": 9, "shuffle": True})


def expand(half: Path, out: Path) -> None:
    """Write a copy with float32 arrays: the inverse of `halve`, but for rounding.

    Args:
        half: What `halve` wrote.
        out: The file to write; replaced if it exists.

    Raises:
        UnusableModel: If the file is no HDF5.
    """
    _convert(half, out, "float16", "float32", {})


def _convert(source: Path, out: Path, dtype: str, wanted: str, options: dict[str, Any]) -> None:
    import h5py
    import numpy as np

    partial = out.with_name(f".{out.name}.partial")
    try:
        with h5py.File(source) as read, h5py.File(partial, "w") as written:
            written.attrs.update(read.attrs)

            def copy(name: str, member: Any) -> None:
                if isinstance(member, h5py.Group):
                    written.create_group(name).attrs.update(member.attrs)
                    return
                values = member[()]
                if values.dtype == dtype:
                    with np.errstate(over="ignore"):
                        converted = values.astype(wanted)
                    if not np.isfinite(converted).all():
                        raise UnusableModel(f"{source} holds a weight in {name} that {wanted} cannot hold.")
                    values = converted
                # Scalars cannot be compressed.
                made = written.create_dataset(name, data=values, **(options if values.ndim else {}))
                made.attrs.update(member.attrs)

            read.visititems(copy)
        shutil.move(partial, out)
    except OSError as error:
        raise UnusableModel(f"{source} cannot be read as HDF5 ({error}).") from error
    finally:
        partial.unlink(missing_ok=True)
