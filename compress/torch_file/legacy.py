"""Format that `torch.save` wrote before PyTorch 1.6, and still writes when asked: five pickles, then all numbers.

The pickles are a magic number, the format's version, the writer's machine, the content, and the keys of the storages in
the order in which their numbers follow, each after its length in eight bytes: `_legacy_save` in torch/serialization.py.
"""

import mmap
from typing import Any, NoReturn

from compress.errors import UnusableModel
from compress.torch_file.builders import storage_dtype
from compress.torch_file.machine import read_pickle
from compress.torch_file.records import Storage, is_count, item_bytes

MAGIC = 0x1950A86A20F9469CFC6C
"""The number with which such a file begins."""
_VERSION = 1001
_LENGTH_BYTES = 8


def read_legacy(mapped: mmap.mmap) -> tuple[Any, dict[str, memoryview]]:
    """Read a file's content, and find the numbers that it refers to.

    Args:
        mapped: The file, mapped.

    Returns:
        What it holds, tensors as `records.Tensor`; the bytes of each storage by its key, little-endian.

    Raises:
        UnusableModel: If it is torn or of another kind.
    """
    place = 0
    for expected in (MAGIC, _VERSION, None):
        value, place = read_pickle(mapped, place, _no_storage)
        if expected is not None and value != expected:
            raise UnusableModel("it does not begin as torch.save begins a file; the checkpoint is damaged.")
    known: dict[str, Storage] = {}
    content, place = read_pickle(mapped, place, lambda reference: _load_storage(reference, known))
    keys, place = read_pickle(mapped, place, _no_storage)
    named = [str(key) for key in keys if type(key) in (str, int)] if isinstance(keys, list) else None
    if named is None or len(named) != len(keys) or len(set(named)) != len(keys) or set(named) != set(known):
        raise UnusableModel("it names other numbers than its tensors are in; the checkpoint is damaged.")
    return content, _find_numbers(mapped, place, [known[key] for key in named])


def _no_storage(reference: tuple[Any, ...]) -> NoReturn:
    raise UnusableModel("it refers to numbers before its content; the checkpoint is damaged.")


def _load_storage(reference: tuple[Any, ...], known: dict[str, Storage]) -> Storage:
    _, kind, key, _, count, part = reference
    if type(key) not in (str, int) or not is_count(count):
        raise UnusableModel("numbers in it are of an odd name or length; the checkpoint is damaged.")
    whole = Storage(str(key), storage_dtype(kind), count)
    if known.setdefault(whole.key, whole) != whole:
        raise UnusableModel("numbers in it are of two types or lengths; the checkpoint is damaged.")
    if part is None:
        return whole
    _, first, part_count = part
    if not is_count(first) or not is_count(part_count) or first + part_count > count:
        raise UnusableModel("a part of numbers in it reaches beyond them; the checkpoint is damaged.")
    return Storage(whole.key, whole.dtype, part_count, first)


def _find_numbers(mapped: mmap.mmap, place: int, storages: list[Storage]) -> dict[str, memoryview]:
    found: dict[str, memoryview] = {}
    for storage in storages:
        written = int.from_bytes(mapped[place : place + _LENGTH_BYTES], "little")
        place += _LENGTH_BYTES
        end = place + storage.count * item_bytes(storage.dtype)
        if written != storage.count or end > len(mapped):
            raise UnusableModel("its tensors are not whole; the checkpoint is truncated or damaged.")
        found[storage.key] = memoryview(mapped)[place:end]
        place = end
    return found
