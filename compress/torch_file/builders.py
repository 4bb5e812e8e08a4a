"""Allow-list of the names that a checkpoint's pickle may speak of, and what each becomes: data, never the thing itself.

It is that of PyTorch's own `weights_only` reader (torch/_weights_only_unpickler.py), and `argparse.Namespace`, in which
training loops save their flags.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.torch_file.records import DTYPES, STORAGE_DTYPES, Symbol, Tensor, dtype_of, make_tensor

_UNREAD = {
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without values (meta)",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device",
}
"""Functions that build what is no plain array, and what that is."""
_INERT = re.compile(
    rf"torch\.(?:{'|'.join(DTYPES)}|float[48]_\w+|u?int[1-7]|qu?int\d\w*|complex32|bits\d\w*|per_(?:tensor|channel)_\w+"
    r"|(?:cuda\.)?\w+(?:Storage|Tensor)|Tensor|storage\.UntypedStorage)",
    re.ASCII,
)
"""Names of dtypes, of classes of storages and of tensors; as values they are their names."""
_CLASSES = (
    "argparse.Namespace",
    "torch.nn.parameter.Parameter",
    "torch.Size",
    "collections.OrderedDict",
    "builtins.set",
)
"""What a pickle may make a new one of."""


class Flags(dict[str, Any]):
    """What an `argparse.Namespace` held."""


def find_symbol(module: str, name: str) -> Symbol:
    """Return what a pickle calls by its module and name.

    Raises:
        UnusableModel: If it is not on the list: with its name.
    """
    if module == "__builtin__":
        module = "builtins"
    full = f"{module}.{name}"
    if full in _UNREAD:
        raise UnusableModel(f"it holds {_UNREAD[full]}, which is not read. Save it as a plain one of float32.")
    if full not in _BUILDERS and not _INERT.fullmatch(full):
        raise more_than_data_error(full)
    return Symbol(full)


def more_than_data_error(name: str | None = None) -> UnusableModel:
    """Return the error for a pickle of more than data.

    Args:
        name: The function or class that it asks for, if it is one.
    """
    held = f"{printable_name(name.removeprefix('builtins.'))}, " if name else ""
    return UnusableModel(
        f"it holds more than tensors ({held}perhaps a whole pickled model), and code in a file is never run; "
        "save generator.state_dict() instead."
    )


def build(symbol: Any, arguments: Any) -> Any:
    """Return what a function on the list makes of its arguments.

    Raises:
        UnusableModel: If it is not on the list, or the arguments are not those that `torch.save` writes.
    """
    if not isinstance(symbol, Symbol) or symbol.name not in _BUILDERS or not isinstance(arguments, tuple):
        raise more_than_data_error(symbol.name if isinstance(symbol, Symbol) else None)
    return _BUILDERS[symbol.name](*arguments)


def make_new(symbol: Any, arguments: Any) -> Any:
    """Return a new object of a class on the list.

    Raises:
        UnusableModel: If it is not on the list.
    """
    name = symbol.name if isinstance(symbol, Symbol) else None
    if name not in _CLASSES:
        raise more_than_data_error(name)
    return build(symbol, arguments)


def set_state(built: Any, state: Any) -> None:
    """Give an object its attributes: flags their values; those of a dictionary, versions of layers, are passed over.

    Raises:
        UnusableModel: If it is nothing that has attributes here.
    """
    if isinstance(built, Flags) and isinstance(state, dict) and all(isinstance(name, str) for name in state):
        built.update(state)
    elif type(built) is not OrderedDict or not isinstance(state, dict):
        raise more_than_data_error()


def is_key(value: Any) -> bool:
    """Check whether a value may be a key: a plain one or a tuple of such, since a hash of deep tuples has no end."""
    values = value if isinstance(value, tuple) else (value,)
    return all(one is None or isinstance(one, (str, int, float, bytes)) for one in values)


def fill(mapping: Any, items: list[Any]) -> None:
    """Put keys and values, in turn, into a dictionary.

    Raises:
        UnusableModel: If it is none, or a key is not plain.
    """
    if type(mapping) not in (dict, OrderedDict):
        raise more_than_data_error()
    if len(items) % 2 or not all(map(is_key, items[::2])):
        raise UnusableModel("a dictionary in it has odd keys; the checkpoint is damaged.")
    mapping.update(zip(items[::2], items[1::2], strict=True))


def _flags() -> Flags:
    return Flags()


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """Return a dictionary; Python 2 wrote its keys and values as a list of lists."""
    built: OrderedDict[Any, Any] = OrderedDict()
    for key, value in pairs:
        fill(built, [key, value])
    return built


def _counter(counts: Any = ()) -> dict[Any, Any]:
    built: dict[Any, Any] = {}
    if not isinstance(counts, dict) and counts != ():
        raise UnusableModel("a Counter in it holds no counts; the checkpoint is damaged.")
    built.update(counts)
    return built


def _set(members: Any = ()) -> set[Any]:
    if not isinstance(members, (list, tuple)) or not all(map(is_key, members)):
        raise UnusableModel("a set in it has odd members; the checkpoint is damaged.")
    return set(members)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    return make_tensor(storage, offset, shape, strides)


def _tensor_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:
        raise UnusableModel("it holds a conjugated or negated view, which is not read. Save it after .resolve_conj().")
    return make_tensor(storage, offset, shape, strides)


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> Tensor:
    if metadata or not isinstance(dtype, Symbol):
        raise UnusableModel("it holds a tensor of an odd type, which is not read. Save it as a plain one of float32.")
    return make_tensor(storage, offset, shape, strides, dtype_of(dtype.name, DTYPES))


def _parameter(data: Any, *_: Any) -> Tensor:
    """Return a parameter's tensor; what else it has concerns its training."""
    if not isinstance(data, Tensor):
        raise UnusableModel("a parameter in it holds no tensor; the checkpoint is damaged.")
    return data


def _of_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """Return a tensor that was saved with attributes, without them."""
    plain = ("torch.Tensor", "torch.nn.parameter.Parameter")
    if not isinstance(kind, Symbol) or kind.name not in plain or not isinstance(function, Symbol):
        raise more_than_data_error(kind.name if isinstance(kind, Symbol) else None)
    if not function.name.startswith("torch._utils._rebuild_"):
        raise more_than_data_error(function.name)
    return build(function, arguments)


def _bytes(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "ascii", "utf-8"):
        raise UnusableModel("bytes in it are of an odd encoding; the checkpoint is damaged.")
    return text.encode(encoding)


def _bytearray(content: Any = b"", encoding: Any = "latin1") -> bytes:
    return content if isinstance(content, bytes) else _bytes(content, encoding)


def _complex(real: Any, imaginary: Any) -> complex:
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise UnusableModel("a complex number in it is damaged.")
    return complex(real, imaginary)


def _size(sides: Any = ()) -> tuple[Any, ...]:
    if not isinstance(sides, (tuple, list)):
        raise UnusableModel("a size in it is damaged.")
    return tuple(sides)


def _device(kind: Any, number: Any = None) -> str:
    return _layout(kind) if type(number) is not int else f"{_layout(kind)}:{number}"


def _layout(name: Any) -> str:
    if not isinstance(name, str):
        raise UnusableModel("the name of a device or layout in it is damaged.")
    return name


_BUILDERS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "argparse.Namespace": _flags,
    "builtins.set": _set,
    "builtins.bytearray": _bytearray,
    "builtins.complex": _complex,
    "_codecs.encode": _bytes,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.serialization._get_layout": _layout,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._tensor._rebuild_from_type_v2": _of_type,
}


def storage_dtype(kind: Any) -> str:
    """Return the type of the numbers in a storage of a class.

    Raises:
        UnusableModel: If it is no class of storages, or one that NumPy has no numbers for.
    """
    if not isinstance(kind, Symbol) or not kind.name.endswith("Storage"):
        raise UnusableModel("numbers in it are of no known type; the checkpoint is damaged.")
    return dtype_of(kind.name, STORAGE_DTYPES)
