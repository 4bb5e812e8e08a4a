"""A stranger's `.tflite` file, opened and run in a child process before it is opened in this one.

LiteRT trusts what a file says of itself: a damaged one can end the process or never come back. The child loads it,
finds out from the shapes of its tensors what a picture takes in memory, and makes one of noise, which must be finite.
"""

import math
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import file_fingerprint
from compress.console.parent import die_with_parent
from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.limits import BASE_BYTES, limit_memory, limit_reading
from compress.teachers.memory import most_bytes, peak_live_bytes, require_memory
from compress.teachers.read import print_reason, require_regular
from compress.teachers.sandbox import run_in_child

_SIDES_LIMIT = 1 << 16
_MAGIC, _MAGIC_AT = b"TFL3", 4


def check_file(path: Path, size: tuple[int, int] | None = None) -> None:
    """Check a file in a child process, once as long as it stays the same.

    Args:
        path: The file.
        size: Height and width to run a file of any size at, pixels; without, such a file is loaded alone.

    Raises:
        UnusableModel: If it is missing, no plain file, LiteRT does not load and run it within the limits of
            `compress.teachers.limits`, what it returns is not finite, or it holds several generators of one size.
    """
    if not path.is_file():
        raise UnusableModel(f"{path} does not exist or is no plain file; expected a .tflite file.")
    _check_once(path, file_fingerprint(path), size)


@lru_cache(maxsize=64)
def _check_once(path: Path, content: str, size: tuple[int, int] | None) -> None:
    run_in_child("export.interpreter.checked_file", str(path.resolve()), *map(str, size or ()), path=path)


def open_and_run(path: Path, size: tuple[int, int] | None = None) -> None:
    """Open a file and run it once on noise, in the process that is to end should the file end one.

    Raises:
        UnusableModel: If LiteRT refuses it, it needs more memory than any generator, a result is not finite, or two of
            its signatures make different pictures of one size.
    """
    from ai_edge_litert.interpreter import Interpreter

    from export.interpreter.open_file import choose_size, fill_inputs, has_free_size

    content = path.read_bytes()
    if content[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise UnusableModel("it is no .tflite file.")
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        needed = _needed_bytes(interpreter)
        if size is not None and any(map(has_free_size, interpreter.get_input_details())):
            # How large the tensors within become is known once they are allocated.
            choose_size(interpreter, size)
            needed = most_bytes(math.prod(size))
        limit_memory(BASE_BYTES + 2 * needed)
        interpreter.allocate_tensors()
        _needed_bytes(interpreter)
        _require_one_generator(interpreter)
        if not any(map(has_free_size, interpreter.get_input_details())):
            fill_inputs(interpreter)
            interpreter.invoke()
            _require_finite_outputs(interpreter)
    except (ValueError, RuntimeError) as error:
        raise UnusableModel(f"it is no .tflite that LiteRT can load: {error}") from error


def _needed_bytes(interpreter: Any) -> int:
    """Return the bytes of tensors that are held at a time, which must be no more than any generator needs."""
    details = {str(detail["index"]): detail for detail in interpreter.get_tensor_details()}
    sizes = {index: _size_of(detail) for index, detail in details.items()}
    steps = [
        ([str(index) for index in one["inputs"] if index >= 0], [str(index) for index in one["outputs"]])
        for one in interpreter._get_ops_details()
    ]
    kept = [str(detail["index"]) for detail in (*interpreter.get_input_details(), *interpreter.get_output_details())]
    needed = peak_live_bytes(steps, lambda index: sizes.get(index, 0), kept=kept)
    pixels = max((math.prod(details[index]["shape"].tolist()[1:3]) for index in kept), default=0)
    require_memory(needed, pixels)
    return needed


def _size_of(detail: Mapping[str, Any]) -> int:
    shape = detail["shape"].tolist()
    if any(side < 0 or side > _SIDES_LIMIT**2 for side in shape):
        raise UnusableModel(f"it holds a tensor of shape {shape}; the file is damaged.")
    return math.prod(shape) * np.dtype(detail["dtype"]).itemsize


def _require_one_generator(interpreter: Any) -> None:
    """Refuse signatures that take the same input and do not return the same: nobody could say which is meant."""
    found: dict[Any, tuple[str, Any]] = {}
    for key in filter(None, interpreter.get_signature_list()):
        runner = interpreter.get_signature_runner(key)
        taken = [detail["shape_signature"].tolist() for detail in runner.get_input_details().values()]
        returned = runner._subgraph_index, sorted(runner._signature_def["outputs"].values())
        other, same = found.setdefault(str(taken), (key, returned))
        if same != returned:
            raise UnusableModel(
                f"its signatures {printable_name(other)} and {printable_name(key)} are two models that take the same "
                "input. Write a file of each."
            )


def _require_finite_outputs(interpreter: Any) -> None:
    for detail in interpreter.get_output_details():
        output = interpreter.get_tensor(detail["index"])
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            raise UnusableModel("the picture that it makes holds NaN or infinite values.")


def main() -> int:
    """Open and run the file of the command line; return the exit code of the process."""
    parent, path, *size = sys.argv[1:]
    die_with_parent(int(parent))
    try:
        size_bytes = require_regular(Path(path))
        import ai_edge_litert.interpreter  # noqa: F401

        limit_reading(size_bytes)
        open_and_run(Path(path), (int(size[0]), int(size[1])) if size else None)
    except UnusableModel as error:
        return print_reason(str(error))
    except MemoryError:
        return print_reason("running it takes more memory than any generator needs; the file is damaged.")
    except Exception as error:
        # Whatever a torn or hostile file makes LiteRT's Python side stumble over is that file's fault.
        return print_reason(f"the file is damaged ({type(error).__name__}: {error}).")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
