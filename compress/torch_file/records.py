"""What a checkpoint's pickle speaks of, before any of its numbers are read: names, storages and views of them."""

from dataclasses import dataclass
from typing import Any

from compress.errors import UnusableModel
from compress.printable import printable_name

MOST_DIMENSIONS = 32
"""Most axes of a tensor; NumPy has no more than that before its second version, and no network needs six."""
_LARGEST = 1 << 48
"""Larger than any size, stride or offset of a tensor in a file."""

Dtype = str
"""NumPy's code of a type in little-endian files, `<f4`, or `bfloat16`."""

STORAGE_DTYPES: dict[str, Dtype] = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "<?", "ComplexFloatStorage": "<c8", "ComplexDoubleStorage": "<c16", "UntypedStorage": "<u1",
}  # fmt: skip
"""Type of the numbers in each class of storages."""
DTYPES: dict[str, Dtype] = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "bfloat16", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "<i1", "uint64": "<u8", "uint32": "<u4", "uint16": "<u2", "uint8": "<u1", "bool": "<?",
    "complex64": "<c8", "complex128": "<c16",
}  # fmt: skip
"""Type of the numbers of each dtype of PyTorch."""
_ITEM_BYTES = {"bfloat16": 2} | {code: int(code[2:] or 1) for code in DTYPES.values() if code != "bfloat16"}


def item_bytes(dtype: Dtype) -> int:
    """Return the size of one number."""
    return _ITEM_BYTES[dtype]


@dataclass(frozen=True)
class Symbol:
    """A name that a pickle may speak of: of a function that builds a tensor, a dtype, a class of storages."""

    name: str
    """Dotted, with its module: `torch._utils._rebuild_tensor_v2`."""


@dataclass(frozen=True)
class Storage:
    """A row of numbers in the file."""

    key: str
    dtype: Dtype
    count: int
    first: int = 0
    """Its first number, where it is a part of another's row; only files of before PyTorch 1.6 have such."""


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage."""

    storage: Storage
    dtype: Dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of its elements."""
        count = 1
        for side in self.shape:
            count *= side
        return count


def make_tensor(storage: Any, offset: Any, shape: Any, strides: Any, dtype: Dtype | None = None) -> Tensor:
    """Return a view of a storage, checked to lie within it.

    Args:
        storage: The storage.
        offset: Its first element, in elements of its own type.
        shape: Elements along each axis.
        strides: Elements from one to the next along each axis.
        dtype: Its type; None for the storage's.

    Raises:
        UnusableModel: If anything is not what it should be.
    """
    if not isinstance(storage, Storage) or not is_count(offset) or not _are_counts(shape) or not _are_counts(strides):
        raise UnusableModel("a tensor in it has an odd place or shape; the checkpoint is damaged.")
    tensor = Tensor(storage, dtype or storage.dtype, offset, tuple(shape), tuple(strides))
    if len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS or tensor.count > _LARGEST:
        raise UnusableModel(
            f"a tensor in it has a shape of {len(shape)} axes that cannot be; the checkpoint is damaged."
        )
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if tensor.count and (last + 1) * item_bytes(tensor.dtype) > storage.count * item_bytes(storage.dtype):
        raise UnusableModel("a tensor in it reaches beyond its numbers; the checkpoint is damaged.")
    return tensor


def dtype_of(name: str, known: dict[str, Dtype]) -> Dtype:
    """Return the type that PyTorch's name of a dtype or of a class of storages stands for.

    Raises:
        UnusableModel: If NumPy has none like it: quantised ones, and those of eight bits and fewer.
    """
    short = name.rpartition(".")[2]
    if short not in known:
        raise UnusableModel(f"it holds {printable_name(short)}, which is not read. Save it as float32.")
    return known[short]


def is_count(value: Any) -> bool:
    """Check whether a value can count what is in a file."""
    return type(value) is int and 0 <= value <= _LARGEST


def _are_counts(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(map(is_count, values))
