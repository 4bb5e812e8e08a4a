"""A `.tflite` file opened in LiteRT as it is, whatever it takes: to be timed or looked into.

`litert` runs one as a generator. This module imports no more than LiteRT, since it also stands in processes whose
memory is measured.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

FREE = -1
"""Side of a tensor's signature that is chosen when the file is run; until then, LiteRT's own shape says 1."""


def open_file(model: Path, *, threads: int) -> Interpreter:
    """Load a file with LiteRT's default delegate and allocate its tensors.

    Raises:
        ValueError: If the file is none that LiteRT reads.
        RuntimeError: If it needs operators that LiteRT does not have.
    """
    interpreter = Interpreter(model_path=str(model), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def open_filled_file(model: Path, *, threads: int) -> Interpreter:
    """Open a file and fill its inputs, ready to be invoked.

    Raises:
        ValueError: If the file is none that LiteRT reads, or has no fixed input size.
        RuntimeError: If it needs operators that LiteRT does not have.
    """
    interpreter = open_file(model, threads=threads)
    fill_inputs(interpreter)
    return interpreter


def fill_inputs(interpreter: Interpreter) -> None:
    """Set every input of an interpreter to noise, the same each time.

    An image of one colour could turn many activations to zero; noise that is always the same makes runs comparable.

    Raises:
        ValueError: If an input has no fixed size.
    """
    generator = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        if has_free_size(detail):
            raise ValueError(f"it takes images of any size ({format_shape(detail)}). Write the file for one size.")
        interpreter.set_tensor(detail["index"], _noise(generator, detail["shape"], np.dtype(detail["dtype"])))


def has_free_size(detail: Mapping[str, Any]) -> bool:
    """Check whether a tensor's size is still to be chosen; a free batch, as the TF converter leaves it, is one."""
    return any(
        side == FREE and held == 1
        for side, held in zip(detail["shape_signature"][1:], detail["shape"][1:], strict=True)
    )


def format_shape(detail: Mapping[str, Any]) -> str:
    """Return a tensor's shape for an error, batch first: `1 x any x any x 3`."""
    shape = [1 if index == 0 and side == FREE else side for index, side in enumerate(detail["shape_signature"])]
    return " x ".join("any" if side == FREE else str(side) for side in shape)


def choose_size(interpreter: Interpreter, size: tuple[int, int]) -> None:
    """Give a file that takes images of any size one, pixels; the size of a fixed file stays as it is.

    Its tensors are to be allocated afterwards.
    """
    for detail in interpreter.get_input_details():
        if len(detail["shape"]) == 4 and has_free_size(detail):
            batch, *sides, channels = detail["shape_signature"].tolist()
            height, width = (wanted if side == FREE else side for side, wanted in zip(sides, size, strict=True))
            interpreter.resize_tensor_input(detail["index"], [max(batch, 1), height, width, channels])


def _noise(generator: np.random.Generator, shape: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return generator.uniform(-1, 1, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
