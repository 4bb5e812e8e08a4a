"""Top-level fields of a protobuf message, by which ONNX, Core ML and TensorFlow files are told apart."""

from typing import BinaryIO

_MOST_FIELDS = 10_000
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def top_level_fields(stream: BinaryIO, size_bytes: int) -> set[int]:
    """Return the numbers of a message's fields; empty where a file is no protobuf message.

    Args:
        stream: The file; its contents are skipped, not read.
        size_bytes: Its size.
    """
    stream.seek(0)
    found: set[int] = set()
    for _ in range(_MOST_FIELDS):
        if stream.tell() == size_bytes:
            break
        tag = _read_varint(stream)
        skipped = _skipped_bytes(stream, tag & 7) if tag is not None else None
        if tag is None or tag >> 3 == 0 or skipped is None or stream.tell() + skipped > size_bytes:
            return set()
        found.add(tag >> 3)
        stream.seek(skipped, 1)
    return found


def _skipped_bytes(stream: BinaryIO, wire_type: int) -> int | None:
    if wire_type == _VARINT:
        return 0 if _read_varint(stream) is not None else None
    if wire_type == _LENGTH:
        return _read_varint(stream)
    return {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(wire_type)


def _read_varint(stream: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
