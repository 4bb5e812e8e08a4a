"""Files are told apart by their content: what no reader knows is called what it is, with the way out."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableModel
from compress.teachers.reading.content import find_content
from compress.teachers.reading.protobuf import top_level_fields

LEGACY_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2)
ONNX = b"\x08\x07\x12\x07pytorch\x3a\x02\x0a\x00\x42\x02\x10\x11"
CORE_ML = b"\x08\x01\x12\x00\xa2\x1f\x00"
SAVED_MODEL = b"\x08\x01\x12\x02\x0a\x00"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 45729384\n"
NOT_FOUND = '{"error": "Entrée non trouvée"}'.encode()


def _zip(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            # A ZipInfo has a fixed date. These bytes name tests, and with the date of the clock two workers that start
            # in different seconds collect different tests.
            archive.writestr(zipfile.ZipInfo(name), b"content")
    return packed.getvalue()


def _picture(image_format: str) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (8, 8)).save(packed, image_format)
    return packed.getvalue()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("generator.pth"))
    return packed.getvalue()


def _array() -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.zeros(3))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.h5", _zip("best/data.pkl", "best/data/0", "best/version"), "torch"),
        ("a.pth.tar", _zip("archive/data.pkl", "archive/byteorder"), "torch"),
        ("a", LEGACY_TORCH, "torch"),
        ("a.h5", _zip("metadata.json", "config.json", "model.weights.h5"), "keras"),
        ("a.pth", b"\x89HDF\r\n\x1a\n" + bytes(100), "hdf5"),
        ("a.bin", (2).to_bytes(8, "little") + b"{}", "safetensors"),
        ("a.pth", ONNX, "onnx"),
    ],
)
def test_a_file_is_read_by_its_content_whatever_its_suffix(tmp_path: Path, name: str, content: bytes, kind: str):
    (tmp_path / name).write_bytes(content)
    assert find_content(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pth", b"", "the file is empty"),
        ("a.pth", LFS, "Git LFS pointer.*git lfs pull"),
        ("a.pth", b"<!DOCTYPE html><html><title>Google Drive</title></html>", "web page.*Download it again"),
        ("a.h5", b"\xef\xbb\xbf \n<HTML><head></head>", "web page"),
        ("a.pth", NOT_FOUND, 'text that begins with \'{"error": "Entrée'),
        ("a.pth", "é".encode() * 700, "text that begins with 'é"),
        ("a.pt", _zip("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"), r"TorchScript.*torch\.jit\.load"),
        ("a.pt2", _zip("m/archive_format", "m/data/weights/w"), r"torch\.export"),
        ("a.pth", _zip("pictures.npy"), r"\.npz"),
        ("a.pth", _zip("weights/generator.pth", "README.md"), "zip archive that holds weights/generator.pth.*Unpack"),
        ("a.pth", _zip(), "zip archive that holds nothing"),
        ("a.pth", _zip("archive/data.pkl")[:40], "begins as a zip.*truncated, damaged"),
        ("a.pkl", pickle.dumps({"weight": [1.0]}), r"pickle that torch\.save did not write.*state_dict"),
        ("a.tar", _tar(), "tar archive.*Unpack"),
        ("a.pth", b"\x1f\x8b\x08" + bytes(20), "gzip"),
        ("a.pth", _array(), "NumPy array"),
        ("a.pth", b"\x1c\x00\x00\x00TFL3" + bytes(20), "TensorFlow Lite.*that it was made from"),
        ("a.pth", b"\x1c\x00\x00\x00ET12" + bytes(20), "ExecuTorch"),
        ("a.mlmodel", CORE_ML, "Core ML.*that it was made from"),
        ("saved_model.pb", SAVED_MODEL, "SavedModel alone.*folder"),
        ("a.pb", b"\x0a\x03\x0a\x01x", "frozen graph of TensorFlow 1"),
        ("a.index", bytes(50) + bytes.fromhex("57fb808b247547db"), "TensorFlow checkpoint"),
        ("a.data-00000-of-00001", bytes(range(200, 250)), "TensorFlow checkpoint"),
        ("a.pth", _picture("GIF"), "GIF picture"),
        ("a.pth", _picture("PNG"), "PNG picture"),
        ("a.pth", _picture("JPEG"), "JPEG picture"),
        ("a.pth", b"\x00\x00\x00\x1cftypheic" + bytes(20), "HEIC"),
        ("a.pth", bytes(range(128, 228)), "no reader knows a file that starts with"),
    ],
)
def test_what_no_reader_knows_is_called_what_it_is(tmp_path: Path, name: str, content: bytes, words: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableModel, match=words) as caught:
        find_content(tmp_path / name)
    assert "weights_only" not in str(caught.value)


def test_a_torn_keras_file_is_left_to_its_reader(tmp_path: Path):
    (tmp_path / "a.keras").write_bytes(_zip("config.json")[:40])
    assert find_content(tmp_path / "a.keras") == "keras"


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (ONNX, {1, 2, 7, 8}),
        (b"\x0d\x00\x00\x80\x3f\x11" + bytes(8), {1, 2}),
        (ONNX + b"\x3a\x7f", set()),
        (b"\x00\x01", set()),
        (b"\x0f", set()),
        (b"\xff" * 30, set()),
        (b"\x12", set()),
        (b"", set()),
    ],
    ids=["whole", "fixed widths", "longer than the file", "field 0", "unknown type", "endless number", "torn", "empty"],
)
def test_fields_are_those_of_a_whole_message_alone(content: bytes, fields: set[int]):
    assert top_level_fields(io.BytesIO(content), len(content)) == fields
