"""Safe reading of untrusted HDF5 files: nothing outside the file, and no more data than a generator can need.

External links, external storage and virtual datasets make HDF5 open other files of the reader's machine, and links by
name can lead to any of them. Keras writes none: every kind of link but the plain one is refused before it is followed.
"""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from compress.errors import UnusableModel
from compress.files.unpacked import most_unpacked_bytes
from compress.printable import printable_name

OBJECTS_LIMIT = 50_000
"""Most groups and datasets of a file; a generator with its optimizer has some 1,000."""


def open_hdf5(source: Path | BytesIO) -> h5py.File:
    """Open a file for reading and check every object in it.

    Raises:
        UnusableModel: If the file is torn, reaches outside itself, or declares more data than a generator can have.
    """
    try:
        opened = h5py.File(source, "r")
    except OSError as error:
        raise UnusableModel(f"the HDF5 file is truncated or damaged ({error}).") from error
    declared = sum(dataset.size * dataset.dtype.itemsize for dataset in datasets(opened))
    packed = os.stat(source).st_size if isinstance(source, Path) else len(source.getbuffer())
    if declared > most_unpacked_bytes(packed):
        raise UnusableModel(
            f"the file declares {declared / 1e9:.1f} GB of weights in {packed / 1e9:.3f} GB, "
            "more than any generator has; the file is damaged."
        )
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


def datasets(opened: h5py.File) -> Iterator[h5py.Dataset]:
    """Yield every dataset once; an object that several links lead to is known by its file and its address there."""
    pending: list[h5py.Group] = [opened]
    visited = {_identity(opened)}
    while pending:
        group = pending.pop()
        for name in group:
            _require_plain_link(group, name)
            member = group[name]
            if _identity(member) in visited:
                continue
            visited.add(_identity(member))
            if len(visited) > OBJECTS_LIMIT:
                raise UnusableModel(f"the file holds more than {OBJECTS_LIMIT} objects; the file is damaged.")
            if isinstance(member, h5py.Group):
                pending.append(member)
            elif isinstance(member, h5py.Dataset):
                if member.external or member.is_virtual:
                    raise UnusableModel(f"{member.name} is stored in another file; such data is not read.")
                yield member


def _require_plain_link(group: h5py.Group, name: str) -> None:
    """Refuse a link by name, into this file or another, by its kind: it is not followed."""
    try:
        kind = type(group.get(name, getlink=True))
    except TypeError:
        # A kind of a program's own.
        kind = None
    if kind is not h5py.HardLink:
        place = printable_name(f"{group.name}/{name}")
        raise UnusableModel(f"{place} links to another place or another file; such links are not followed.")


def _identity(member: Any) -> tuple[int, int]:
    info = h5py.h5o.get_info(member.id)
    return info.fileno, info.addr
