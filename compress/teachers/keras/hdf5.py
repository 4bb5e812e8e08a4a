"""Safe reading of untrusted HDF5 files: nothing outside the file, and no more data than a generator can need.

External links, external storage and virtual datasets make HDF5 open other files of the reader's machine.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from compress.errors import UnusableModel

DECLARED_BYTES_LIMIT = 2 << 30
"""Largest size of all datasets, unpacked. The largest CycleGAN generators take 0.2 GB, with their optimizer 0.6 GB."""


def open_hdf5(source: Path | BinaryIO) -> h5py.File:
    """Open a file for reading and check every object in it.

    Raises:
        UnusableModel: If the file is torn, reaches outside itself, or declares more data than a generator can have.
    """
    try:
        opened = h5py.File(source, "r")
    except OSError as error:
        raise UnusableModel(f"the HDF5 file is truncated or damaged ({error}).") from error
    declared = sum(dataset.size * dataset.dtype.itemsize for dataset in _datasets(opened, set()))
    if declared > DECLARED_BYTES_LIMIT:
        raise UnusableModel(f"the file declares {declared / 1e9:.1f} GB of weights, more than any generator has.")
    return opened


def read_array(dataset: h5py.Dataset) -> np.ndarray:
    """Read a dataset of numbers as float32.

    Raises:
        UnusableModel: If it holds anything else.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise UnusableModel(f"{getattr(dataset, 'name', dataset)} holds no numbers; the file is damaged.")
    return np.asarray(dataset[()], dtype=np.float32)


def read_strings(attributes: h5py.AttributeManager, name: str) -> list[str]:
    """Read a list of strings; Keras cuts one that is longer than an HDF5 header into `name0`, `name1`, ..."""
    if name in attributes:
        return [_text(item) for item in attributes[name]]
    found: list[str] = []
    while f"{name}{len(found)}" in attributes and len(found) < len(attributes):
        found.append(f"{name}{len(found)}")
    return [_text(item) for chunk in found for item in attributes[chunk]]


def read_string(attributes: h5py.AttributeManager, name: str) -> str | None:
    """Read one string, or None where there is none."""
    return _text(attributes[name]) if name in attributes else None


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _datasets(group: h5py.Group, visited: set[Any]) -> Iterator[h5py.Dataset]:
    address = h5py.h5o.get_info(group.id).addr
    if address in visited:
        return
    visited.add(address)
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise UnusableModel(f"{group.name}/{name} links to another file; such links are not followed.")
        member = group.get(name)
        if isinstance(member, h5py.Group):
            yield from _datasets(member, visited)
        elif isinstance(member, h5py.Dataset):
            if member.external or member.is_virtual:
                raise UnusableModel(f"{member.name} is stored in another file; such data is not read.")
            yield member
