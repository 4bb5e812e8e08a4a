"""Interpreter of pickles that knows the operations of data alone; it imports and calls nothing of what a pickle names.

Operations: https://github.com/python/cpython/blob/main/Lib/pickletools.py. Those of protocols 2 to 5 that build data
are here, protocol 2 being what `torch.save` writes; `builders` has the names that may stand in it.
"""

import pickle
import struct
from collections.abc import Callable
from typing import Any, Protocol

from compress.errors import UnusableModel
from compress.torch_file import builders
from compress.torch_file.records import Storage

PICKLE_BYTES_LIMIT = 64 << 20
"""Largest pickle of a checkpoint's names and shapes; a generator's takes some 30 kB."""
OPERATIONS_LIMIT = 4 << 20
"""Most operations of a pickle; a generator's takes some 10,000, with an optimizer's state 30,000."""
COPIED_LIMIT = 16 << 20
"""Most elements and characters of what a pickle has copied; a few lines could ask for gigabytes."""
_NAME_BYTES_LIMIT = 1 << 10
"""Longest line with the name of a module or of what is in it."""

LoadStorage = Callable[[tuple[Any, ...]], Storage]
"""Returns the storage that a pickle refers to by a tuple of its kind, key, place and length."""
_STORAGE_WORDS = ("storage", b"storage")


class Content(Protocol):
    """Bytes that need not lie in memory: `bytes`, or a mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: slice, /) -> bytes: ...
    def find(self, sought: bytes, start: int, end: int, /) -> int: ...


def read_pickle(content: Content, place: int, load_storage: LoadStorage) -> tuple[Any, int]:
    """Read one pickle.

    Args:
        content: Bytes in which it lies.
        place: Its first byte.
        load_storage: Returns the storages that it refers to.

    Returns:
        What it holds, tensors as `records.Tensor`, and the place behind it.

    Raises:
        UnusableModel: If it is truncated or damaged, too long, or holds more than data.
    """
    machine = _Machine(content, place, load_storage)
    try:
        return machine.run(), machine.place
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, EOFError, struct.error) as error:
        raise UnusableModel(
            f"its tensors cannot be read ({type(error).__name__}); the checkpoint is truncated or damaged."
        ) from error


class _Machine:
    """The stack, the marks on it and the memo of one pickle that is being read."""

    def __init__(self, content: Content, place: int, load_storage: LoadStorage) -> None:
        self.content, self.place, self.load_storage = content, place, load_storage
        self.end = min(len(content), place + PICKLE_BYTES_LIMIT)
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def run(self) -> Any:
        for _ in range(OPERATIONS_LIMIT):
            code = self.take(1)
            if code == pickle.STOP:
                return self.stack.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise builders.more_than_data_error()
            operation(self)
        raise UnusableModel(f"it takes more than {OPERATIONS_LIMIT:,} steps to read; the checkpoint is damaged.")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        start, self.place = self.place, self.place + count
        if self.place > self.end:
            raise EOFError
        return self.content[start : self.place]

    def take_number(self, layout: str) -> Any:
        """Return the next number, by its layout as `struct` has it."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def take_sized(self, layout: str) -> bytes:
        """Return bytes that follow their length."""
        return self.take(self.take_number(layout))

    def take_line(self) -> str:
        end = self.content.find(b"\n", self.place, min(self.end, self.place + _NAME_BYTES_LIMIT))
        if end < 0:
            raise EOFError
        return self.take(end + 1 - self.place)[:-1].decode()

    def pop_to_mark(self) -> list[Any]:
        """Return all above the last mark."""
        taken, self.stack = self.stack, self.below_marks.pop()
        return taken

    def mark(self) -> None:
        self.below_marks.append(self.stack)
        self.stack = []

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        self.stack[len(self.stack) - count :] = [tuple(self.stack[len(self.stack) - count :])]

    def remember(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise builders.more_than_data_error()
        self.stack[-1].extend(items)

    def add_to_set(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set or not all(map(builders.is_key, items)):
            raise builders.more_than_data_error()
        self.stack[-1].update(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        builders.fill(self.stack[-1], [key, value])

    def set_items(self) -> None:
        items = self.pop_to_mark()
        builders.fill(self.stack[-1], items)

    def append_all(self) -> None:
        items = self.pop_to_mark()
        self.extend(items)

    def add_all(self) -> None:
        items = self.pop_to_mark()
        self.add_to_set(items)

    def push_global(self) -> None:
        module = self.take_line()
        self.stack.append(builders.find_symbol(module, self.take_line()))

    def push_stacked_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError
        self.stack.append(builders.find_symbol(module, name))

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.count_copied(arguments)
        self.stack[-1] = builders.build(self.stack[-1], arguments)

    def new_object(self) -> None:
        arguments = self.stack.pop()
        self.count_copied(arguments)
        self.stack[-1] = builders.make_new(self.stack[-1], arguments)

    def count_copied(self, arguments: Any) -> None:
        self.copied += sum(len(one) for one in arguments if hasattr(one, "__len__"))
        if self.copied > COPIED_LIMIT:
            raise UnusableModel("it copies what it holds many times over; the checkpoint is damaged.")

    def set_state(self) -> None:
        state = self.stack.pop()
        self.count_copied((state,))
        builders.set_state(self.stack[-1], state)

    def push_storage(self) -> None:
        reference = self.stack.pop()
        if not isinstance(reference, tuple) or not reference or reference[0] not in _STORAGE_WORDS:
            raise builders.more_than_data_error()
        self.stack.append(self.load_storage(reference))


def _push(value_of: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    """Return the operation that pushes a value."""

    def push(machine: _Machine) -> None:
        # To a mark, the value takes the stack away: it comes first.
        value = value_of(machine)
        machine.stack.append(value)

    return push


_OPERATIONS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: lambda machine: _require_protocol(machine.take(1)[0]),
    pickle.FRAME: lambda machine: machine.take_number("<Q"),
    pickle.NONE: _push(lambda _: None),
    pickle.NEWTRUE: _push(lambda _: True),
    pickle.NEWFALSE: _push(lambda _: False),
    pickle.EMPTY_TUPLE: _push(lambda _: ()),
    pickle.EMPTY_LIST: _push(lambda _: []),
    pickle.EMPTY_DICT: _push(lambda _: {}),
    pickle.EMPTY_SET: _push(lambda _: set()),
    pickle.BININT: _push(lambda machine: machine.take_number("<i")),
    pickle.BININT1: _push(lambda machine: machine.take(1)[0]),
    pickle.BININT2: _push(lambda machine: machine.take_number("<H")),
    pickle.LONG1: _push(lambda machine: int.from_bytes(machine.take_sized("<B"), "little", signed=True)),
    pickle.BINFLOAT: _push(lambda machine: machine.take_number(">d")),
    pickle.BINUNICODE: _push(lambda machine: machine.take_sized("<I").decode("utf-8", "surrogatepass")),
    pickle.SHORT_BINUNICODE: _push(lambda machine: machine.take_sized("<B").decode("utf-8", "surrogatepass")),
    pickle.BINUNICODE8: _push(lambda machine: machine.take_sized("<Q").decode("utf-8", "surrogatepass")),
    # Python 2 wrote its strings so.
    pickle.SHORT_BINSTRING: _push(lambda machine: machine.take_sized("<B").decode()),
    pickle.BINSTRING: _push(lambda machine: machine.take_sized("<I").decode()),
    pickle.SHORT_BINBYTES: _push(lambda machine: machine.take_sized("<B")),
    pickle.BINBYTES: _push(lambda machine: machine.take_sized("<I")),
    pickle.BINBYTES8: _push(lambda machine: machine.take_sized("<Q")),
    pickle.BYTEARRAY8: _push(lambda machine: machine.take_sized("<Q")),
    pickle.BINGET: _push(lambda machine: machine.memo[machine.take(1)[0]]),
    pickle.LONG_BINGET: _push(lambda machine: machine.memo[machine.take_number("<I")]),
    pickle.BINPUT: lambda machine: machine.remember(machine.take(1)[0]),
    pickle.LONG_BINPUT: lambda machine: machine.remember(machine.take_number("<I")),
    pickle.MEMOIZE: lambda machine: machine.remember(len(machine.memo)),
    pickle.MARK: _Machine.mark,
    pickle.TUPLE: _push(lambda machine: tuple(machine.pop_to_mark())),
    pickle.TUPLE1: lambda machine: machine.tuple_of(1),
    pickle.TUPLE2: lambda machine: machine.tuple_of(2),
    pickle.TUPLE3: lambda machine: machine.tuple_of(3),
    pickle.APPEND: lambda machine: machine.extend([machine.stack.pop()]),
    pickle.APPENDS: _Machine.append_all,
    pickle.ADDITEMS: _Machine.add_all,
    pickle.SETITEM: _Machine.set_item,
    pickle.SETITEMS: _Machine.set_items,
    pickle.GLOBAL: _Machine.push_global,
    pickle.STACK_GLOBAL: _Machine.push_stacked_global,
    pickle.REDUCE: _Machine.reduce,
    pickle.NEWOBJ: _Machine.new_object,
    pickle.BUILD: _Machine.set_state,
    pickle.BINPERSID: _Machine.push_storage,
}


def _require_protocol(number: int) -> None:
    if not 2 <= number <= pickle.HIGHEST_PROTOCOL:
        raise UnusableModel(f"its pickle is of protocol {number}; expected 2, as torch.save writes it.")
