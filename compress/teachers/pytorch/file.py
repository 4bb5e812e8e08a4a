"""Checks of the sizes that a PyTorch file declares, before `torch.load` trusts them.

`weights_only=True` runs no code, but still unpacks a deflate bomb, and allocates what a tensor of a 1.6 kB file claims.
"""

import pickletools
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from compress.errors import UnusableModel
from compress.files.unpacked import UNPACKED_RATIO_LIMIT, require_whole

PICKLE_BYTES_LIMIT = 64 << 20
"""Largest pickle of a checkpoint's names and shapes; a generator's takes some 30 kB."""
_LEGACY_PICKLES = 4
"""Number of pickles that a file of before PyTorch 1.6 begins with: magic number, protocol, system, content."""


def check_declared_sizes(path: Path) -> None:
    """Refuse a file that declares more than it can hold.

    Raises:
        UnusableModel: If it is torn, or unpacks to many times its size.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        zipped = zipfile.is_zipfile(stream)
        elements = _declared_in_zip(stream, size_bytes) if zipped else _declared_in_legacy(stream)
    # An element takes at least one byte, so more elements than bytes cannot be in the file.
    if any(count > size_bytes * UNPACKED_RATIO_LIMIT for count in elements):
        raise UnusableModel("it declares tensors larger than the file; the file is damaged.")


def check_tensor_sizes(path: Path, tensors: Iterable[Any]) -> None:
    """Refuse tensors that repeat few stored values into many (a stride of 0), before they are copied.

    Raises:
        UnusableModel: If they are larger than the file can be.
    """
    total_bytes = sum(tensor.nbytes for tensor in tensors)
    if total_bytes > path.stat().st_size * UNPACKED_RATIO_LIMIT:
        raise UnusableModel("its tensors are larger than the file; the file is damaged.")


def _declared_in_zip(stream: BinaryIO, size_bytes: int) -> list[int]:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > UNPACKED_RATIO_LIMIT * size_bytes:
                raise UnusableModel("it unpacks to many times its size; the file is damaged.")
            require_whole(archive)
            pickles = [member for member in members if member.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > PICKLE_BYTES_LIMIT:
                raise UnusableModel(f"a zip with {len(pickles)} data.pkl is no PyTorch checkpoint.")
            with archive.open(pickles[0]) as content:
                return list(_storage_sizes(content))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnusableModel(f"the checkpoint is truncated or damaged ({error}).") from error


def _declared_in_legacy(stream: BinaryIO) -> list[int]:
    stream.seek(0)
    try:
        return [size for _ in range(_LEGACY_PICKLES) for size in _storage_sizes(stream)]
    except ValueError as error:
        raise UnusableModel(f"the checkpoint is truncated, damaged or no PyTorch file ({error}).") from error


def _storage_sizes(content: object) -> Iterator[int]:
    """Yield the number of elements of each storage: the last integer before the pickle looks the storage up."""
    last = 0
    for operation, argument, _ in pickletools.genops(content):  # pyright: ignore[reportArgumentType]
        if isinstance(argument, int) and operation.name.startswith(("BININT", "INT", "LONG")):
            last = argument
        elif operation.name == "BINPERSID":
            yield last
