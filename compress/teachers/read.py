"""Child process of `sandbox`: reads one foreign file into a description or arrays, with only the framework it needs."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np

from compress.config import from_mapping
from compress.console.parent import die_with_parent
from compress.errors import UnsupportedLayer, UnusableModel, UsageError
from compress.printable import printable
from compress.teachers.check import check_description
from compress.teachers.description import GeneratorDescription
from compress.teachers.keras.inferred_padding import infer_padding_amounts, refuse_lambda_layers
from compress.teachers.limits import limit_reading
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.teachers.reading.content import Content, find_content, is_unpacked_keras
from compress.teachers.reading.value_range import find_value_ranges

CANNOT_WRITE = 74
"""Exit code where the file was read but the result could not be written: `EX_IOERR` of sysexits.h."""
_MEMBERS_LIMIT = 10_000


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a file by the reader of its format, found by its content, and check the description.

    Raises:
        UnusableModel: If no reader knows the file, or what it holds is no generator.
    """
    require_regular(path)
    description = _read(path, reading)
    if reading.lambda_layers != "reflection_pad":
        refuse_lambda_layers(description)
    description = infer_padding_amounts(description)
    check_description(description)
    return find_value_ranges(description)


def describe_student(path: Path) -> GeneratorDescription:
    """Describe a student's `.keras` file, and check it, so that Keras can load it as it is.

    Raises:
        UnusableModel: If it is torn or no generator, or holds a class that no network of convolutions has.
        UnsupportedLayer: If it holds a layer that no student has.
    """
    from compress.teachers.keras.layer_writer import UnknownLayer
    from compress.teachers.keras.saved_student import check_classes

    require_regular(path)
    check_classes(path)
    try:
        return describe(path)
    except UnknownLayer as error:
        fault, _, _ = str(error).partition(". ")
        raise UnsupportedLayer(f"layer {fault}. Nothing can be made of such a student.") from error


def require_regular(path: Path) -> int:
    """Refuse pipes, devices and sockets, also in a directory, since reading one might never end; return all bytes.

    Raises:
        UnusableModel: With the path of the first that is no plain file.
    """
    members = [path]
    if path.is_dir():
        members += [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    if len(members) > _MEMBERS_LIMIT:
        raise UnusableModel(f"it holds {len(members):,} files; expected a SavedModel or one file.")
    total = 0
    for member in members:
        try:
            found = member.stat()
        except OSError as error:
            raise UnusableModel(f"{member.name} cannot be read ({error.strerror}).") from error
        if stat.S_IFMT(found.st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise UnusableModel(f"{member.name} is no file but a pipe, a device or the like.")
        total += found.st_size
    return total


def _read(path: Path, reading: ReadingConfig) -> GeneratorDescription:
    # Readers are imported one by one: h5py alone starts in 0.2 s, TensorFlow in many seconds.
    if path.is_dir() and not is_unpacked_keras(path):
        from compress.teachers.saved_model import reader

        return reader.describe(path, reading)
    content: Content = "keras" if path.is_dir() else find_content(path)
    if content == "hdf5":
        from compress.teachers.keras import h5

        return h5.describe(path, reading)
    if content == "keras":
        from compress.teachers.keras import archive

        return archive.describe(path, reading)
    if content == "onnx":
        from compress.teachers.onnx import reader as onnx_reader

        return onnx_reader.describe(path, reading)
    from compress.teachers.pytorch import reader

    if content == "safetensors":
        return reader.describe_safetensors(path, reading)
    return reader.describe(path, reading)


def load_framework(path: Path) -> None:
    """Load what reading a file needs, so that its limits of time and memory count the reading alone."""
    if path.is_dir() and not is_unpacked_keras(path):
        import tensorflow  # noqa: F401
    elif path.is_dir() or find_content(path) in ("hdf5", "keras"):
        import h5py  # noqa: F401


def main() -> int:
    """Read the file of the command line for what it asks; return the exit code of the process."""
    parent, content, path, result, *options = sys.argv[1:]
    die_with_parent(int(parent))
    try:
        reading = from_mapping(ReadingConfig, json.loads(options[0]) if options else {}, origin="the command line")
        read = _read_within_limits(content, Path(path), reading)
    except (UnusableModel, UnsupportedLayer, UsageError) as error:
        return print_reason(str(error), error.exit_code)
    except MemoryError:
        return print_reason("reading it takes more memory than any generator needs; the file is damaged.")
    except Exception as error:
        # Whatever a torn or hostile file makes a reader stumble over is that file's fault.
        return print_reason(f"the file is damaged or of an unknown layout ({type(error).__name__}: {error}).")
    return _save(read, Path(result))


def _read_within_limits(content: str, path: Path, reading: ReadingConfig) -> Any:
    size_bytes = require_regular(path)
    load_framework(path)
    limit_reading(size_bytes)
    if content == "state_dict":
        from compress.teachers.pytorch import reader

        return reader.read_state_dict(path)
    if content == "student":
        return describe_student(path)
    if content == "keras_model":
        from compress.teachers.keras.saved_student import check_saved_model

        return check_saved_model(path)
    return describe(path, reading)


def _save(read: Any, result: Path) -> int:
    try:
        if isinstance(read, GeneratorDescription):
            read.save(result)
        elif read is not None:
            with result.open("wb") as stream:
                np.savez(stream, **read)
    except OSError as error:
        print(error.errno, file=sys.stderr)
        return CANNOT_WRITE
    return 0


def print_reason(reason: str, exit_code: int = UnusableModel.exit_code) -> int:
    """Print why a file is refused, on one line and without control characters; return the exit code."""
    print(printable(" ".join(reason.split())), file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
