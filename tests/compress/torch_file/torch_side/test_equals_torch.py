"""What `torch.load(weights_only=True)` reads is read to the last bit, in both formats; what it refuses is refused."""

import argparse
import random
import time
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.errors import UnusableModel
from compress.torch_file.read import read_state

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
)  # fmt: skip
FORMATS = ("zip", "legacy")


def _save(content: Any, path: Path, form: str = "zip", **options: Any) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=form == "zip", **options)
    return path


def _load(path: Path) -> Any:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _require_same(wanted: Any, read: Any) -> None:
    if isinstance(wanted, torch.Tensor):
        wanted = wanted.detach()
        array = (wanted.float() if wanted.dtype == torch.bfloat16 else wanted).numpy()
        assert isinstance(read, np.ndarray)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()
    elif isinstance(wanted, (torch.TypedStorage, torch.UntypedStorage)):
        assert isinstance(read, np.ndarray)
    elif callable(wanted):
        # The name of a function that nothing calls.
        assert isinstance(read, str)
    elif isinstance(wanted, argparse.Namespace):
        _require_same(vars(wanted), read)
    elif isinstance(wanted, Mapping):
        assert list(read) == list(wanted)
        for key, value in wanted.items():
            _require_same(value, read[key])
    elif isinstance(wanted, (list, tuple)):
        assert isinstance(read, (list, tuple))
        assert len(read) == len(wanted)
        for one, other in zip(wanted, read, strict=True):
            _require_same(one, other)
    else:
        # A dtype, a device and a layout are their names.
        assert read == (str(wanted) if isinstance(wanted, (torch.dtype, torch.device, torch.layout)) else wanted)


def _require_read(content: Any, path: Path, form: str) -> Any:
    _save(content, path, form)
    read = read_state(path)
    _require_same(_load(path), read)
    return read


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_equals_torch(tmp_path: Path, form: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = (torch.randn(3, 4, 5) * 50).abs().to(dtype)
    read = _require_read({"weight": values, "scalar": values[1, 2, 3].clone()}, tmp_path / "file", form)
    assert read["weight"].shape == (3, 4, 5)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64], ids=str)
def test_unsigned_dtypes_equal_what_was_saved(tmp_path: Path, form: str, dtype: torch.dtype) -> None:
    """PyTorch cannot read its own files of before 1.6 with them."""
    values = torch.arange(60).reshape(3, 20).to(dtype)
    _require_same(values[:, 3:], read_state(_save(values[:, 3:], tmp_path / "file", form)))


def _views() -> dict[str, Any]:
    whole = torch.arange(240, dtype=torch.float32).reshape(4, 5, 12)
    shared = torch.arange(6, dtype=torch.float32)
    return {
        "whole": whole,
        "transposed": whole.permute(2, 0, 1),
        "offset": whole[1:, 2:4],
        "stepped": whole[::2, :, ::5],
        "repeated": torch.ones(2, 1).expand(2, 7),
        "empty": torch.zeros(0, 3),
        "empty view": whole[2:2],
        "scalar view": whole[3, 4, 11],
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "one long stride": torch.zeros(1, 4).as_strided((1, 4), (2**40, 1)),
        "shared": [shared, shared, shared.view(2, 3), {"again": shared}],
        "half": torch.arange(24, dtype=torch.bfloat16).reshape(2, 12)[:, ::3],
    }


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", _views())
def test_every_view_equals_torch(tmp_path: Path, form: str, name: str) -> None:
    _require_read({"value": _views()[name]}, tmp_path / "file", form)


@pytest.mark.parametrize("form", FORMATS)
def test_what_training_loops_save_along_equals_torch(tmp_path: Path, form: str) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    attributed = torch.nn.Parameter(torch.ones(2))
    attributed.owner = "generator"  # pyright: ignore[reportAttributeAccessIssue]
    content = {
        "net": net.state_dict(),
        "parameters": OrderedDict(net.named_parameters()),
        "optimizer": optimizer.state_dict(),
        "flags": argparse.Namespace(lr=2e-4, name="fox", size=(64, 64)),
        "attributed": attributed,
        "numbers": [None, True, False, 0, 255, 65535, -1, 2**31, -(2**62), 2**200, 1.5, float("inf"), 1j, ()],
        "text": ["", "käse", "\ud800", b"\x00\xff", bytearray(b"ab"), "x" * 300],
        "torch": [torch.float32, torch.qint8, torch.device("cpu"), torch.Size([1, 2]), torch.strided],
        "kinds": [Counter("aab"), {1, 2}, {(1, "a"): 2, None: 3, 1.5: 4}],
    }
    _require_read(content, tmp_path / "file", form)
    assert read_state(tmp_path / "file")["net"]["1.num_batches_tracked"] == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_storage_is_a_row(tmp_path: Path, form: str) -> None:
    """A storage has no shape; here it is an array of one axis."""
    with warnings.catch_warnings():
        # PyTorch would rather that nobody did this.
        warnings.simplefilter("ignore", UserWarning)
        path = _save({"row": torch.arange(5, dtype=torch.int16).storage()}, tmp_path / "file", form)
    np.testing.assert_array_equal(read_state(path)["row"], np.arange(5, dtype=np.int16))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_newer_pickles_are_read_as_well(tmp_path: Path, protocol: int) -> None:
    """PyTorch writes them when asked, and refuses to read them without running code."""
    content = {"net": OrderedDict(a=torch.arange(3.0)), "numbers": [1, {2}, b"3" * 300, "4" * 300]}
    path = _save(content, tmp_path / "file", pickle_protocol=protocol)
    _require_same(content, read_state(path))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_written_anew_is_read(tmp_path: Path, compression: int) -> None:
    path, again = _save({"a": torch.arange(3000.0)}, tmp_path / "file"), tmp_path / "again"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(again, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    _require_same(_load(again), read_state(again))


def test_numbers_of_a_big_endian_machine_are_turned(tmp_path: Path) -> None:
    path, turned = _save({"a": torch.arange(9.0), "b": torch.arange(4)}, tmp_path / "file"), tmp_path / "turned"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(turned, "w") as target:
        for name in source.namelist():
            width = {"file/data/0": 4, "file/data/1": 8}.get(name, 1)
            content = np.frombuffer(source.read(name), np.uint8).reshape(-1, width)[:, ::-1].tobytes()
            target.writestr(name, b"big" if name.endswith("byteorder") else content)
    _require_same(_load(turned), read_state(turned))


def _quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.randn(2, 3), 0.1, 0, torch.qint8)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_quantised, "quantised tensor"),
        (lambda: torch.eye(3).to_sparse(), "sparse tensor"),
        (lambda: torch.zeros(2, device="meta"), "without values"),
        (lambda: torch.zeros(4).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda: torch.randn(3, dtype=torch.complex64).conj(), "conjugated"),
        (lambda: torch.nn.Linear(2, 2), r"more than tensors \(torch.nn.modules.linear.Linear"),
        (lambda: np.float32(1), r"more than tensors \(numpy"),
        (lambda: print, r"more than tensors \(print"),
    ],
    ids=["quantised", "sparse", "meta", "float8", "conjugated", "module", "numpy", "function"],
)
def test_what_is_no_plain_array_is_refused_by_its_name(tmp_path: Path, form: str, make: Any, words: str) -> None:
    # What warns is PyTorch's own code for quantised tensors.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = _save({"net": {"weight": make()}}, tmp_path / "file", form)
    with pytest.raises(UnusableModel, match=words):
        read_state(path)


def test_the_models_that_people_report_equal_torch(material: Path) -> None:
    folders = [material / "field" / "models", material / "teachers"]
    files = [
        path for folder in folders for path in sorted(folder.glob("*.p*")) if path.suffix in (".pth", ".pkl", ".tar")
    ]
    read = 0
    for path in files:
        try:
            wanted = _load(path)
        except Exception:
            with pytest.raises(UnusableModel):
                read_state(path)
            continue
        _require_same(wanted, read_state(path))
        read += 1
    assert read >= 15


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_files_are_refused_or_read_as_torch_reads_them(tmp_path: Path, form: str) -> None:
    """Bytes flipped, cut and exchanged where names and shapes are; a CRC, where there is one, made right."""
    torch.manual_seed(0)
    content = {f"model.{place}.weight": torch.randn(2, 3) for place in range(4)} | {
        "flags": [1, (2.5, "a"), {"b": None}]
    }
    whole = _save(content, tmp_path / "whole", form).read_bytes()
    mutant, draw, kinds = tmp_path / "mutant", random.Random(0), Counter()
    started = time.monotonic()
    for _ in range(300):
        _write_mutant(whole, mutant, form, draw)
        try:
            read = read_state(mutant)
        except UnusableModel:
            kinds["refused"] += 1
            continue
        kinds["read"] += 1
        try:
            wanted = _load(mutant)
        except Exception:
            # More is read than PyTorch reads: newer pickles, a key that is written twice.
            continue
        kinds["same"] += 1
        _require_same(wanted, read)
    assert kinds["refused"] > 100
    assert kinds["same"] > 5
    # 2 ms each.
    assert time.monotonic() - started < 30


def _write_mutant(whole: bytes, mutant: Path, form: str, draw: random.Random) -> None:
    if form == "legacy":
        # Its pickles come first.
        mutant.write_bytes(_damaged(whole[:1200], draw) + whole[1200:])
        return
    scratch = mutant.with_name("scratch")
    scratch.write_bytes(whole)
    with zipfile.ZipFile(scratch) as source, zipfile.ZipFile(mutant, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, _damaged(content, draw) if name.endswith("data.pkl") else content)


def _damaged(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        place, other = draw.randrange(len(damaged)), draw.randrange(len(damaged))
        match draw.randrange(4):
            case 0:
                damaged[place] ^= 1 << draw.randrange(8)
            case 1:
                damaged[place] = draw.choice(b"}]()tsuRb\x85\x86\x87\x88\x89qhcQKMJX.0\x8a\x94\x93")
            case 2:
                damaged[place], damaged[other] = damaged[other], damaged[place]
            case _:
                del damaged[place : place + draw.choice((1, 2, 8))]
    return bytes(damaged)
