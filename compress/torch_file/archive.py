"""Zip that `torch.save` writes since PyTorch 1.6: `data.pkl`, and the numbers of each storage as a member of its own.

Layout: https://github.com/pytorch/pytorch/blob/main/caffe2/serialize/inline_container.h. Members are stored as they are
and mapped, not copied; every one of them is checked by its CRC, also those that nothing refers to.
"""

import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

from compress.errors import UnusableModel
from compress.files.unpacked import UNPACKED_RATIO_LIMIT, most_unpacked_bytes
from compress.printable import printable_name
from compress.torch_file.builders import storage_dtype
from compress.torch_file.machine import PICKLE_BYTES_LIMIT, read_pickle
from compress.torch_file.records import Storage, is_count, item_bytes

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""A member's own header: signature, versions, flags, method, time, date, CRC, sizes, lengths of its name and extras."""
_SIGNATURE = b"PK\x03\x04"
_PICKLE = "data.pkl"
_MEMBERS_LIMIT = 100_000


def read_archive(stream: BinaryIO, mapped: mmap.mmap) -> tuple[Any, dict[str, memoryview], bool]:
    """Read a zip's pickle, and find the numbers that it refers to.

    Args:
        stream: The opened file.
        mapped: The same, mapped.

    Returns:
        What it holds, tensors as `records.Tensor`; the bytes of each storage by its key; whether they are big-endian.

    Raises:
        UnusableModel: If it is torn, no checkpoint, or declares more than it has.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _check_members(archive, len(mapped))
            contents = {name: _content(archive, member, mapped) for name, member in members.items()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        struct.error,
    ) as error:
        raise UnusableModel(f"the checkpoint is truncated or damaged ({error}).") from error
    root = _root(contents)
    storages: dict[str, memoryview] = {}

    def load_storage(reference: tuple[Any, ...]) -> Storage:
        _, kind, key, _, count = reference
        dtype = storage_dtype(kind)
        if not isinstance(key, str) or not is_count(count):
            raise UnusableModel("numbers in it are of an odd name or length; the checkpoint is damaged.")
        storages[key] = _numbers(contents, f"{root}data/{key}", count * item_bytes(dtype))
        return Storage(key, dtype, count)

    content, _ = read_pickle(bytes(contents[f"{root}{_PICKLE}"]), 0, load_storage)
    return content, storages, _is_big_endian(contents.get(f"{root}byteorder"))


def _check_members(archive: zipfile.ZipFile, size_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their names; refuse a zip that unpacks to many times its size, before anything is read."""
    members = archive.infolist()
    declared = sum(member.file_size for member in members)
    if declared > UNPACKED_RATIO_LIMIT * size_bytes:
        raise UnusableModel("it unpacks to many times its size; the file is damaged.")
    named = {member.filename: member for member in members}
    if len(named) < len(members):
        raise UnusableModel("the file has two members of one name; the file is damaged.")
    if len(members) > _MEMBERS_LIMIT:
        raise UnusableModel(f"it has {len(members):,} members, more than any checkpoint; the file is damaged.")
    if declared > most_unpacked_bytes(sum(member.compress_size for member in members)):
        raise UnusableModel(f"the file declares {declared / 1e9:.1f} GB of content; it is damaged.")
    return named


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, mapped: mmap.mmap) -> memoryview:
    """Return a member's bytes, which its CRC has been compared with."""
    if member.compress_type == zipfile.ZIP_DEFLATED:
        # zipfile reads no more than the member declares, and compares its CRC.
        return memoryview(archive.read(member))
    header = mapped[member.header_offset : member.header_offset + _LOCAL_HEADER.size]
    signature, _, flags, method, *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    if signature != _SIGNATURE or method != zipfile.ZIP_STORED or flags & 1:
        raise zipfile.BadZipFile(f"a damaged header of {printable_name(member.filename)}")
    start = member.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    content = memoryview(mapped)[start : start + member.file_size]
    if len(content) != member.file_size or member.compress_size != member.file_size:
        raise zipfile.BadZipFile(f"{printable_name(member.filename)} is cut off")
    if zlib.crc32(content) != member.CRC:
        raise UnusableModel(f"{printable_name(member.filename)} in the file fails its CRC check; the file is damaged.")
    return content


def _root(contents: Mapping[str, memoryview]) -> str:
    """Return the folder in the zip in which all members lie, with its slash."""
    pickles = [name for name in contents if name.endswith(_PICKLE)]
    if len(pickles) != 1 or len(contents[pickles[0]]) > PICKLE_BYTES_LIMIT:
        raise UnusableModel(f"a zip with {len(pickles)} data.pkl is no PyTorch checkpoint.")
    return pickles[0].removesuffix(_PICKLE)


def _numbers(contents: Mapping[str, memoryview], name: str, size_bytes: int) -> memoryview:
    if name not in contents and size_bytes:
        raise UnusableModel(f"it has no {printable_name(name)}, which its tensors are in; the checkpoint is damaged.")
    held = contents.get(name, memoryview(b""))
    if size_bytes > len(held):
        raise UnusableModel("it declares tensors larger than the file; the file is damaged.")
    return held


def _is_big_endian(byteorder: memoryview | None) -> bool:
    if byteorder is None or byteorder == b"little":
        return False
    if byteorder != b"big":
        raise UnusableModel("its byte order is neither little nor big; the checkpoint is damaged.")
    return True
