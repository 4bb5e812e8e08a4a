"""Protocol buffers as they lie in a file: fields by number, checked to lie within their message."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from compress.errors import UnusableModel

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 2_000_000
"""Most fields of one message; a list of numbers takes one each in files of protocol buffers 2."""


@dataclass
class Message:
    """One message: the values of each field in the order of the file, not decoded further."""

    fields: dict[int, list[int | memoryview]] = field(default_factory=dict)

    def messages(self, number: int) -> Iterator["Message"]:
        """Yield the messages of a field, each parsed when it is asked for.

        Raises:
            UnusableModel: If one is torn, or is no message.
        """
        for value in self.fields.get(number, []):
            yield parse_message(_as_bytes(value, number))

    def message(self, number: int) -> "Message":
        """Return the last message of a field; an empty one where there is none."""
        found = self.fields.get(number)
        return parse_message(_as_bytes(found[-1], number)) if found else Message()

    def strings(self, number: int) -> list[str]:
        """Return the texts of a field; bytes that are none become marks."""
        return [bytes(_as_bytes(value, number)).decode("utf-8", "replace") for value in self.fields.get(number, [])]

    def string(self, number: int) -> str:
        return (self.strings(number) or [""])[-1]

    def bytes_of(self, number: int) -> memoryview:
        found = self.fields.get(number)
        return _as_bytes(found[-1], number) if found else memoryview(b"")

    def integer(self, number: int, default: int = 0) -> int:
        return (self.integers(number) or [default])[-1]

    def integers(self, number: int) -> list[int]:
        """Return the signed 64-bit numbers of a field, one by one or packed."""
        found: list[int] = []
        for value in self.fields.get(number, []):
            found += [value] if isinstance(value, int) else _packed_varints(value)
        return [one - (1 << 64) if one >= 1 << 63 else one for one in found]

    def floats(self, number: int) -> np.ndarray:
        """Return the 32-bit numbers of a field, one by one or packed; one by one they are parsed to 4 bytes each."""
        parts = [bytes(_as_bytes(value, number)) for value in self.fields.get(number, [])]
        joined = b"".join(parts)
        if len(joined) % 4:
            raise _torn_error()
        return np.frombuffer(joined, dtype="<f4")


def parse_message(content: memoryview) -> Message:
    """Split a message into its fields.

    Raises:
        UnusableModel: If a field reaches beyond the message, or is of a kind that ONNX has not.
    """
    message, place, count = Message(), 0, 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, place = _varint(content, place)
        elif kind in (_FIXED32, _FIXED64):
            value, place = _take(content, place, 4 if kind == _FIXED32 else 8)
        elif kind == _BYTES:
            length, place = _varint(content, place)
            value, place = _take(content, place, length)
        else:
            raise _torn_error()
        count += 1
        if number == 0 or count > _MOST_FIELDS:
            raise _torn_error()
        message.fields.setdefault(number, []).append(value)
    return message


def float_of(content: memoryview) -> float:
    """Return one 32-bit number."""
    if len(content) != 4:
        raise _torn_error()
    return struct.unpack("<f", content)[0]


def _take(content: memoryview, place: int, length: int) -> tuple[memoryview, int]:
    if length > len(content) - place:
        raise _torn_error()
    return content[place : place + length], place + length


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(content):
            raise _torn_error()
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), place
    raise _torn_error()


def _packed_varints(content: memoryview) -> list[int]:
    found, place = [], 0
    while place < len(content):
        value, place = _varint(content, place)
        found.append(value)
    return found


def _as_bytes(value: int | memoryview, number: int) -> memoryview:
    if isinstance(value, int):
        raise UnusableModel(f"field {number} of the ONNX file is a number where text or a message was expected.")
    return value


def _torn_error() -> UnusableModel:
    return UnusableModel("the ONNX file is truncated or damaged.")
