"""Checkpoints written by hand: what they name is never imported or called, and no size in them is taken on trust."""

import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from compress.errors import UnusableModel
from compress.torch_file import machine
from compress.torch_file.legacy import MAGIC
from compress.torch_file.read import read_state

FLOATS = np.arange(6, dtype="<f4").tobytes()
_ORDERED = b"ccollections\nOrderedDict\n)R"


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def _storage(kind: str = "torch\nFloatStorage", key: str = "0", count: int = 6, *, legacy: bool = False) -> bytes:
    view = b"N" if legacy else b""
    return (
        b"("
        + _text("storage")
        + b"c"
        + kind.encode()
        + b"\n"
        + _text(key)
        + _text("cpu")
        + _numbers(count)[1:-1]
        + (view + b"tQ")
    )


def _tensor(shape: Iterable[int], strides: Iterable[int], *, offset: int = 0, storage: bytes | None = None) -> bytes:
    place = _numbers(offset)[1:-1] + _numbers(*shape) + _numbers(*strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + (storage or _storage()) + place + b"\x89" + _ORDERED + b"tR"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., object]:
    """Writes a zip with one pickle, and the numbers 0 to 5 as its storage 0, and reads it."""

    def write_and_read(body: bytes, *, numbers: bytes = FLOATS, byteorder: bytes = b"little") -> object:
        path = tmp_path / "hand.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hand/data.pkl", b"\x80\x02" + body + b".")
            archive.writestr("hand/byteorder", byteorder)
            archive.writestr("hand/data/0", numbers)
        return read_state(path)

    return write_and_read


def test_a_tensor_is_a_read_only_view_of_the_file(read) -> None:
    array = read(_tensor((2, 2), (3, 1), offset=1))
    np.testing.assert_array_equal(array, [[1, 2], [4, 5]])
    assert not array.flags.writeable
    assert not array.flags.owndata


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (_tensor((2, 3), (3, 1), offset=1), "beyond its numbers"),
        (_tensor((7,), (1,)), "beyond its numbers"),
        (_tensor((2,), (6,)), "beyond its numbers"),
        (_tensor((2,), (2**47,)), "beyond its numbers"),
        (_tensor((2,), (-1,)), "odd place or shape"),
        (_tensor((2,), (1,), offset=-1), "odd place or shape"),
        (_tensor((-2,), (1,)), "odd place or shape"),
        (_tensor((2**62,), (0,)), "odd place or shape"),
        (_tensor((2**40, 2**40), (0, 0)), "cannot be"),
        (_tensor((2, 3), (1,)), "cannot be"),
        (_tensor((1,) * 40, (0,) * 40), "cannot be"),
        (_tensor((2**20,), (0,)), "larger than the file"),
        (_tensor((7,), (1,), storage=_storage(count=7)), "declares tensors larger than the file"),
        (_tensor((1,), (1,), storage=_storage(count=2**47)), "declares tensors larger than the file"),
        (_tensor((1,), (1,), storage=_storage(count=-1)), "odd name or length"),
        (_tensor((1,), (1,), storage=_storage(key="1")), "has no hand/data/1"),
        (_tensor((1,), (1,), storage=_storage(key="../../0")), "has no hand/data/"),
        (_tensor((1,), (1,), storage=_storage("torch\nQInt8Storage")), "QInt8Storage, which is not read"),
        (_tensor((1,), (1,), storage=_storage("torch\nfloat32")), "no known type"),
        (_tensor((1,), (1,), storage=b"N"), "odd place or shape"),
    ],
)
def test_a_tensor_that_its_storage_cannot_hold_is_refused_before_it_is_made(read, tensor: bytes, words: str) -> None:
    tracemalloc.start()
    with pytest.raises(UnusableModel, match=words):
        read(tensor)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_an_empty_tensor_needs_no_numbers(read) -> None:
    assert read(_tensor((0, 4), (4, 1), storage=_storage(key="none", count=0))).shape == (0, 4)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"cos\nsystem\n" + _text("true") + b"\x85R", "os.system"),
        (b"cposix\nsystem\n", "posix.system"),
        (b"c__builtin__\neval\n" + _text("1") + b"\x85R", "eval"),
        (b"cbuiltins\ngetattr\n", "getattr"),
        (b"\x8c\x08builtins\x8c\x04exec\x93", "exec"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ctorch.hub\nload\n", "torch.hub.load"),
        (b"ctorch._utils\n_rebuild_anything\n", "torch._utils._rebuild_anything"),
        (b"ctorch\nFloatStorage\n)R", "torch.FloatStorage"),
        (b"ctorch\nfloat32\n)R", "torch.float32"),
        (b"cargparse\nArgumentParser\n", "argparse.ArgumentParser"),
        (b"ccompress.torch_file.read\nread_state\n", "compress.torch_file.read.read_state"),
        (b"ccollections\nOrderedDict\n)\x81cos\nsystem\n", "os.system"),
        (b"cx\x1b[2J\ny\n", r"x\\x1b\[2J.y"),
    ],
)
def test_what_a_pickle_names_is_refused_by_that_name(read, body: bytes, named: str) -> None:
    with pytest.raises(UnusableModel, match=rf"it holds more than tensors \({named}, .*save generator.state_dict"):
        read(body)


_CALLED = b"ctorch._utils\n_rebuild_parameter\n"


@pytest.mark.parametrize(
    "body",
    [
        # Operations that call, import or reach outside in other ways than those that are known.
        b"(ios\nsystem\n",
        b"(cos\n",
        b"\x82\x01",
        b"P0\n",
        b"\x97",
        b"I1\n",
        b"]q\x00b",
        _tensor((1,), (1,)) + b"}b",
        _ORDERED + b"Nb",
        b"]NQ",
        b"(" + _text("module") + b"NtQ",
        b"N)R",
        _text("os") + b")R",
        _CALLED + b"N\x85R",
        _CALLED + b"]R",
        _CALLED + b")R",
        b"ctorch\ndevice\n]\x85R",
        b"ctorch\nSize\nN\x85R",
        b"c_codecs\nencode\n" + _text("a") + _text("rot13") + b"\x86R",
        b"cbuiltins\nset\n](]te\x85R",
        b"}]Ns",
        b"}(((ttt1",
        b"}" + b"(" + b"N" * 3 + b"u",
        b"N(N" + b"e",
        b"h\x00",
        b"r\xff\xff\xff\xff",
        b"\x94",
        b"t",
        b"\x86",
        b"u",
        b"R",
        b"",
        b"X\xff\xff\xff\xff",
        b"\x8d" + b"\xff" * 8 + b"a",
        b"X\x01\x00\x00\x00\xff",
        b"\x80\x01",
        b"cno line feed",
    ],
)
def test_an_odd_operation_is_refused_in_a_line(read, body: bytes) -> None:
    with pytest.raises(UnusableModel) as caught:
        read(body)
    assert str(caught.value).isprintable()


_MANY_FLAGS = (
    b"}q\x00(" + b"".join(_text(str(number)) + b"N" for number in range(1000)) + b"ucargparse\nNamespace\n)\x81"
)


def _deep(levels: int) -> bytes:
    return b"N" + b"\x85" * levels


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_deep(100_000), "nests more than 64 deep"),
        (b"]q\x00h\x00a", "or holds itself"),
        (b"}q\x00" + _text("a") + b"h\x00s", "or holds itself"),
        (b"}" + _deep(100_000) + b"Ns", "odd keys"),
        (b"ccollections\nOrderedDict\n]" + _deep(100_000) + b"N\x86a\x85R", "odd keys"),
        (b"cbuiltins\nset\n]" + _deep(100_000) + b"a\x85R", "odd members"),
        (b"\x8f(" + _deep(100_000) + b"\x90", "more than tensors"),
        (b"cargparse\nNamespace\n]" + _deep(100_000) + b"N\x86a\x85R", "cannot be read"),
        (b"cargparse\nNamespace\n]" + _deep(100_000) + b"N\x86a\x85\x81", "cannot be read"),
        (_MANY_FLAGS + b"h\x00b" * 100_000, "copies"),
        (b"]q\x00(" + b"N" * 50_000 + b"e" + b"ctorch\nSize\nq\x01(" + b"h\x01h\x00\x85R" * 500 + b"t", "copies"),
    ],
    ids=[
        "tuples",
        "a list in itself",
        "a dictionary in itself",
        "a key",
        "pairs",
        "a set",
        "more of a set",
        "flags",
        "new flags",
        "states",
        "copies",
    ],
)
def test_a_pickle_that_would_take_all_memory_or_stack_is_refused_at_once(read, body: bytes, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnusableModel, match=words):
        read(body)
    assert time.monotonic() - started < 10


def test_what_is_referred_to_often_is_read_once(read) -> None:
    """Each list holds the last one twice: two to the fortieth lists, were they written out."""
    body = b"N\x85q\x00" + b"".join(
        b"h" + bytes([number]) + b"h" + bytes([number]) + b"\x86q" + bytes([number + 1]) for number in range(40)
    )
    value = read(body)
    for _ in range(40):
        assert value[0] is value[1]
        value = value[0]
    assert value == (None,)


def test_more_operations_than_any_checkpoint_has_are_refused(read, monkeypatch) -> None:
    monkeypatch.setattr(machine, "OPERATIONS_LIMIT", 100)
    with pytest.raises(UnusableModel, match="more than 100 steps"):
        read(b"N" * 100)


def test_a_byte_order_that_is_none_is_refused(read) -> None:
    with pytest.raises(UnusableModel, match="neither little nor big"):
        read(_tensor((1,), (1,)), byteorder=b"middle")


def _legacy(body: bytes, keys: object, rest: bytes) -> bytes:
    heads = b"".join(pickle.dumps(value, protocol=2) for value in (MAGIC, 1001, {"little_endian": True}))
    return heads + b"\x80\x02" + body + b"." + pickle.dumps(keys, protocol=2) + rest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_legacy(b"N", [], b""), None),
        (_legacy(_tensor((6,), (1,), storage=_storage(legacy=True)), ["0"], b"\x06" + bytes(7) + FLOATS), None),
        (
            _legacy(_tensor((6,), (1,), storage=_storage(legacy=True)), ["0"], b"\x06" + bytes(7) + FLOATS[:-1]),
            "not whole",
        ),
        (_legacy(_tensor((6,), (1,), storage=_storage(legacy=True)), ["0"], b"\x07" + bytes(7) + FLOATS), "not whole"),
        (_legacy(_tensor((6,), (1,), storage=_storage(legacy=True)), ["0", "0"], b""), "other numbers"),
        (_legacy(_tensor((6,), (1,), storage=_storage(legacy=True)), [], b""), "other numbers"),
        (_legacy(b"N", ["0"], b""), "other numbers"),
        (_legacy(b"N", 3, b""), "other numbers"),
        (_legacy(b"N", [((),)], b""), "other numbers"),
        (pickle.dumps(MAGIC, protocol=2) + pickle.dumps(7, protocol=2), "does not begin as torch.save"),
        (b"\x80\x02N.", "does not begin as torch.save"),
        (b"<html>", "no file that torch.save wrote"),
        (b"", "empty"),
    ],
)
def test_files_of_before_1_6_are_read_whole_or_refused(tmp_path: Path, content: bytes, words: str | None) -> None:
    path = tmp_path / "old.pth"
    path.write_bytes(content)
    if words is None:
        assert read_state(path) is None or np.array_equal(read_state(path), np.arange(6))
        return
    with pytest.raises(UnusableModel, match=words):
        read_state(path)


def test_a_part_of_older_storages_is_read(tmp_path: Path) -> None:
    """Before PyTorch 1.0 a storage could be a part of another's: its first number and length stood beside it."""
    part = b"(" + _text("9") + _numbers(2, 3)[1:-1] + b"t"
    storage = _storage(legacy=True).replace(b"NtQ", part + b"tQ")
    (tmp_path / "old.pth").write_bytes(
        _legacy(_tensor((3,), (1,), storage=storage), ["0"], b"\x06" + bytes(7) + FLOATS)
    )
    np.testing.assert_array_equal(read_state(tmp_path / "old.pth"), [2, 3, 4])


def test_a_state_dict_of_python_2_is_read(tmp_path: Path) -> None:
    """The first CycleGAN checkpoints: strings of bytes, a dictionary of lists, the builder of before PyTorch 0.4."""

    def string(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    storage = b"(" + string("storage") + b"ctorch\nFloatStorage\n" + string("94") + string("cuda:0") + b"M\x06\x00NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x00" + _numbers(2, 3) + _numbers(3, 1) + b"tR"
    pair = b"]q\x03(" + string("model.1.weight") + tensor + b"e"
    body = b"ccollections\nOrderedDict\nq\x01]q\x02" + pair + b"a\x85R"
    path = tmp_path / "old.pth"
    path.write_bytes(_legacy(body, ["94"], b"\x06" + bytes(7) + FLOATS))
    state = read_state(path)
    assert list(state) == ["model.1.weight"]
    np.testing.assert_array_equal(state["model.1.weight"], np.arange(6).reshape(2, 3))


def test_inspecting_a_pytorch_teacher_never_imports_torch(teacher_file: Path, tmp_path: Path) -> None:
    """A package of that name, before all others, would leave a note; the child process would import it, too."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    line = [sys.executable, "-P", "-m", "compress", "inspect", str(teacher_file), "--json"]
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}", "PATH": "/usr/bin:/bin"}
    finished = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert "CycleGAN ResNet" in finished.stdout
    assert not (tmp_path / "imported").exists()
    subprocess.run([sys.executable, "-P", "-c", "import torch"], env=environment, check=True)
    assert (tmp_path / "imported").exists()
