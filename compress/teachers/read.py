"""Child process of `sandbox`: reads one foreign file into a description or arrays, with only the framework it needs."""

import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.check import check_description
from compress.teachers.description import GeneratorDescription
from compress.teachers.keras.inferred_padding import infer_padding_amounts, refuse_lambda_layers

ADDRESS_SPACE_BYTES = 8 << 30
FRAMEWORK_ADDRESS_SPACE_BYTES = 24 << 30
"""Limit for PyTorch and TensorFlow: PyTorch with CUDA maps 11 GB of libraries before it reads a byte."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"


def describe(path: Path, *, lambda_layers: str | None = None) -> GeneratorDescription:
    """Describe the generator in a file by the reader of its format, found by its content, and check the description.

    Raises:
        UnusableModel: If no reader knows the file, or what it holds is no generator.
    """
    description = _read(path)
    if lambda_layers != "reflection_pad":
        refuse_lambda_layers(description)
    description = infer_padding_amounts(description)
    check_description(description)
    return description


def _read(path: Path) -> GeneratorDescription:
    # Readers are imported one by one: h5py alone starts in 0.2 s, PyTorch and TensorFlow in many seconds.
    if path.is_dir():
        from compress.teachers.saved_model import reader

        return reader.describe(path)
    with path.open("rb") as stream:
        start = stream.read(len(HDF5_MAGIC))
    if not start:
        raise UnusableModel("the file is empty.")
    if start == HDF5_MAGIC:
        from compress.teachers.keras import h5

        return h5.describe(path)
    if path.suffix == ".keras" and start.startswith(ZIP_MAGIC):
        from compress.teachers.keras import archive

        return archive.describe(path)
    if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        from compress.teachers.pytorch import reader

        return reader.describe(path)
    raise UnusableModel(
        f"no reader knows a {path.suffix or 'nameless'} file that starts with {start[:4]!r}; "
        "expected .h5, .keras, .pth or a SavedModel directory, whole."
    )


def _save_state_dict(path: Path, result: Path) -> None:
    from compress.teachers.pytorch import reader

    arrays: dict[str, Any] = reader.read_state_dict(path)
    np.savez(result, **arrays)


def _limit_memory(path: Path) -> None:
    light = path.is_file() and path.suffix in (".h5", ".hdf5", ".keras")
    limit = ADDRESS_SPACE_BYTES if light else FRAMEWORK_ADDRESS_SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Read the file of the command line for what it asks; return the exit code of the process."""
    content, path, result, *lambda_layers = sys.argv[1:]
    _limit_memory(Path(path))
    try:
        if content == "state_dict":
            _save_state_dict(Path(path), Path(result))
        else:
            describe(Path(path), lambda_layers=lambda_layers[0] if lambda_layers else None).save(Path(result))
    except UnusableModel as error:
        return _print_reason(str(error))
    except MemoryError:
        return _print_reason("reading it takes more memory than any generator needs; the file is damaged.")
    except Exception as error:
        # Whatever a torn or hostile file makes a reader stumble over is that file's fault.
        return _print_reason(f"the file is damaged or of an unknown layout ({type(error).__name__}: {error}).")
    return 0


def _print_reason(reason: str) -> int:
    print(" ".join(reason.split()), file=sys.stderr)
    return UnusableModel.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
