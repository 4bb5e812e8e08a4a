"""Arrays of a checkpoint's tensors: views of its bytes, so that what is never used is never copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.torch_file.records import Dtype, Storage, Symbol, Tensor, item_bytes

_DEPTH_LIMIT = 64
"""Containers within containers; those of training loops lie four deep, those of optimizers six."""


class Arrays:
    """Makes arrays of tensors, a storage's numbers once for all tensors in it."""

    def __init__(self, storages: Mapping[str, memoryview], *, big_endian: bool) -> None:
        self._storages, self._big_endian = storages, big_endian
        self._numbers: dict[tuple[Storage, Dtype], np.ndarray] = {}
        self.total_bytes = 0
        """Bytes of all arrays, as they were if each were copied."""

    def make(self, tensor: Tensor) -> np.ndarray:
        """Return a tensor's array, read-only; bfloat16 as float32."""
        numbers = self._row(tensor.storage, tensor.dtype)
        self.total_bytes += tensor.count * numbers.itemsize
        if not tensor.count:
            return np.empty(tensor.shape, numbers.dtype)
        # A stride along an axis of one element leads nowhere and may be anything.
        strides = [
            stride * numbers.itemsize if side > 1 else 0
            for side, stride in zip(tensor.shape, tensor.strides, strict=True)
        ]
        return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)

    def _row(self, storage: Storage, dtype: Dtype) -> np.ndarray:
        if (storage, dtype) not in self._numbers:
            self._numbers[storage, dtype] = self._read(self._content(storage), dtype)
        return self._numbers[storage, dtype]

    def _content(self, storage: Storage) -> memoryview:
        size_bytes = item_bytes(storage.dtype)
        return self._storages[storage.key][storage.first * size_bytes :][: storage.count * size_bytes]

    def _read(self, content: memoryview, dtype: Dtype) -> np.ndarray:
        stored = np.dtype("<u2" if dtype == "bfloat16" else dtype)
        if self._big_endian:
            stored = stored.newbyteorder(">")
        numbers = np.frombuffer(content[: len(content) // stored.itemsize * stored.itemsize], stored)
        if dtype == "bfloat16":
            # A bfloat16 is the upper half of a float32.
            return (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers.astype(stored.newbyteorder("=")) if self._big_endian else numbers


def to_plain(value: Any, arrays: Arrays) -> Any:
    """Return a pickle's content as plain data, with tensors as arrays and names as text.

    Raises:
        UnusableModel: If it holds itself, or goes deeper than any checkpoint.
    """
    return _Plain(arrays).convert(value, _DEPTH_LIMIT)


class _Plain:
    """Converts each container once, however often it is referred to."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._done: dict[int, Any] = {}

    def convert(self, value: Any, depth: int) -> Any:
        if not depth:
            raise UnusableModel(f"it nests more than {_DEPTH_LIMIT} deep or holds itself; the checkpoint is damaged.")
        if isinstance(value, Symbol):
            return value.name
        if not isinstance(value, (dict, list, tuple, Tensor, Storage)):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = self._convert_anew(value, depth - 1)
        return self._done[id(value)]

    def _convert_anew(self, value: Any, depth: int) -> Any:
        if isinstance(value, Tensor):
            return self._arrays.make(value)
        if isinstance(value, Storage):
            return self._arrays.make(Tensor(value, value.dtype, 0, (value.count,), (1,)))
        if isinstance(value, dict):
            return {key: self.convert(held, depth) for key, held in value.items()}
        return type(value)(self.convert(held, depth) for held in value)
