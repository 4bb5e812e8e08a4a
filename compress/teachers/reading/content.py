"""What a file is, by its content and not its suffix, and what to do with one that is no generator's file."""

import re
import zipfile
from pathlib import Path
from typing import BinaryIO, Literal

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.reading.protobuf import top_level_fields

Content = Literal["hdf5", "keras", "torch", "safetensors", "onnx"]
"""Kinds of files that have a reader."""

KERAS_MEMBERS = ("config.json", "model.weights.h5")
"""Files in a `.keras`: the model's configuration, and its weights."""
_HEAD_BYTES = 1024
_HDF5, _TAR = b"\x89HDF\r\n\x1a\n", b"ustar"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
"""Bytes with which a zip begins; the second with nothing in it."""
_TAR_PLACE, _FOOTER_BYTES = 257, 8
_TORCH_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
"""The number with which a file of before PyTorch 1.6 begins, within its first pickle."""
_TENSORFLOW_INDEX = bytes.fromhex("57fb808b247547db")
"""The last bytes of a TensorFlow checkpoint's `.index`."""
_MOST_HEADER_BYTES = 100_000_000
"""Longest header of a safetensors file, by its own definition."""
_SAVE_AGAIN = "Save its weights with torch.save(generator.state_dict(), 'generator.pth') and pass that."
_UNPACK = "Unpack it and pass the model in it."
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer and not the file it stands for", "Fetch that: git lfs pull."),
    (4, b"TFL3", "a TensorFlow Lite file, made for phones", "Pass the model that it was made from."),
    (4, b"ET1", "an ExecuTorch program", _SAVE_AGAIN),
    (0, b"GGUF", "a GGUF file of a language model", "Pass an image-to-image generator."),
    (0, b"\x93NUMPY", "a NumPy array", _SAVE_AGAIN),
    (0, b"\x89PNG\r\n", "a PNG picture", "Pass the generator; photos have an argument of their own."),
    (0, b"\xff\xd8\xff", "a JPEG picture", "Pass the generator; photos have an argument of their own."),
    (0, b"GIF8", "a GIF picture", "Pass the generator; photos have an argument of their own."),
    (8, b"WEBP", "a WebP picture", "Pass the generator; photos have an argument of their own."),
    (4, b"ftyp", "a video or an HEIC or AVIF picture", "Pass the generator; photos have an argument of their own."),
    (0, b"%PDF", "a PDF document", "Pass the generator."),
    (0, b"\x7fELF", "a program", "Pass the generator."),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (_TAR_PLACE, _TAR, "a tar archive", _UNPACK),
)
"""Place and bytes of a file of a foreign kind, what it is, and the way out."""


def find_content(path: Path) -> Content:
    """Return the kind of a plain file that has a reader.

    Raises:
        UnusableModel: If it is empty, torn, or of a kind without one: with its name and what to do.
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        size_bytes = stream.seek(0, 2)
        if not head:
            raise UnusableModel("the file is empty.")
        if head.startswith(_HDF5):
            return "hdf5"
        if head.startswith(_ZIP):
            return _find_in_zip(path, stream)
        for place, signature, what, way_out in _SIGNATURES:
            if head.startswith(signature, place):
                raise _refusal(what, way_out)
        if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _MOST_HEADER_BYTES:
            return "safetensors"
        if re.match(rb"\x80[\x02-\x05]", head):
            return _find_in_pickle(head)
        if error := _of_text(head):
            raise error
        return _find_in_protobuf(path, stream, head, size_bytes)


def is_unpacked_keras(path: Path) -> bool:
    """Check whether a path is a folder into which a `.keras` was unpacked, as some systems do on a download."""
    return all((path / member).is_file() for member in KERAS_MEMBERS)


def _find_in_zip(path: Path, stream: BinaryIO) -> Content:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        if path.suffix == ".keras":
            return "keras"
        raise UnusableModel(
            f"the file begins as a zip, as .keras and .pth do, but is truncated, damaged or no PyTorch file ({error}); "
            "download or save it again."
        ) from error
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        way_out = "Where you trust it: torch.save(torch.jit.load('FILE').state_dict(), 'generator.pth'); pass that."
        raise _refusal("a TorchScript program, and code in a file is never run", way_out)
    if any(name.endswith(("serialized_exported_program.json", "/archive_format")) for name in names):
        raise _refusal("a program of torch.export, and code in a file is never run", _SAVE_AGAIN)
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    if path.suffix == ".keras" or set(KERAS_MEMBERS) & set(names):
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        raise _refusal("a NumPy archive (.npz)", _SAVE_AGAIN)
    shown = ", ".join(printable_name(name) for name in names[:3])
    raise _refusal(f"a zip archive that holds {shown or 'nothing'}", _UNPACK)


def _find_in_pickle(head: bytes) -> Content:
    if _TORCH_MAGIC in head[:32]:
        return "torch"
    raise _refusal("a Python pickle that torch.save did not write, and code in a file is never run", _SAVE_AGAIN)


def _find_in_protobuf(path: Path, stream: BinaryIO, head: bytes, size_bytes: int) -> Content:
    fields = top_level_fields(stream, size_bytes)
    if {1, 7} <= fields:
        return "onnx"
    if fields == {1, 2} or path.name == "saved_model.pb":
        raise _refusal("the graph of a SavedModel alone", "Pass the folder in which it and variables/ lie.")
    if 1 in fields and max(fields) >= 200:
        raise _refusal("a Core ML model, made for phones", "Pass the model that it was made from.")
    if path.suffix == ".pb":
        raise _refusal("a frozen graph of TensorFlow 1", "Save the generator as a SavedModel, .keras or .h5.")
    stream.seek(-min(_FOOTER_BYTES, size_bytes), 2)
    if stream.read() == _TENSORFLOW_INDEX or re.search(r"\.data-\d+-of-\d+$", path.name):
        way_out = "Build the generator, load them with load_weights, and save it as .keras, .h5 or SavedModel."
        raise _refusal("a TensorFlow checkpoint: weights without the layers they belong to", way_out)
    raise UnusableModel(
        f"no reader knows a file that starts with {head[:8]!r}; expected .h5, .keras, .pth, .safetensors, .onnx "
        "or a SavedModel directory, whole."
    )


def _of_text(head: bytes) -> UnusableModel | None:
    """Return the error for a text file; None if it is none."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may lie across the end of what was read.
        if error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8")
    if not text.strip("\ufeff \r\n\t") or not all(
        character.isprintable() or character in "\ufeff\r\n\t" for character in text
    ):
        return None
    begins = printable_name(text.removeprefix("\ufeff").strip().splitlines()[0][:60])
    if re.match(r"<(!doctype|html|head|\?xml|!--|svg)", begins, re.IGNORECASE):
        way_out = "Download it again, in a browser or with the host's own tool."
        return _refusal("a web page that was saved in place of the model", way_out)
    return _refusal(f"text that begins with '{begins}'", "Download or save the model again.")


def _refusal(what: str, way_out: str) -> UnusableModel:
    return UnusableModel(f"it is {what}. {way_out}")
