"""Reading of a PyTorch checkpoint of either format into plain data, without PyTorch."""

import mmap
from pathlib import Path
from typing import Any

from compress.errors import UnusableModel
from compress.files.unpacked import UNPACKED_RATIO_LIMIT
from compress.torch_file.archive import read_archive
from compress.torch_file.arrays import Arrays, to_plain
from compress.torch_file.legacy import read_legacy

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


def read_state(path: Path) -> Any:
    """Read what a file that `torch.save` wrote holds.

    Args:
        path: A plain file.

    Returns:
        Dictionaries, lists, tuples, sets, numbers, text and bytes as the file nests them. Tensors, parameters and
        storages are read-only NumPy arrays, mostly views of the mapped file, bfloat16 as float32; dtypes, devices and
        layouts are their names; flags (`argparse.Namespace`) are a dictionary.

    Raises:
        UnusableModel: If it is truncated or damaged, declares more than it has, or holds more than data: a pickled
            model, a quantised or sparse tensor.
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        if not path.stat().st_size:
            raise UnusableModel("the file is empty.")
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if mapped[: len(_ZIP)] == _ZIP:
            content, storages, big_endian = read_archive(stream, mapped)
        elif mapped[: len(_PICKLE)] == _PICKLE:
            (content, storages), big_endian = read_legacy(mapped), False
        else:
            raise UnusableModel("it is no file that torch.save wrote.")
    arrays = Arrays(storages, big_endian=big_endian)
    plain = to_plain(content, arrays)
    # A stride of 0 repeats one number into as many as it likes, which a copy would take memory for.
    if arrays.total_bytes > len(mapped) * UNPACKED_RATIO_LIMIT:
        raise UnusableModel("its tensors are larger than the file; the file is damaged.")
    return plain
