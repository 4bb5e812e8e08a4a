"""A `.tflite` file opened in LiteRT as it is, whatever it takes: to be timed or looked into.

`litert` runs one as a generator. This module imports no more than LiteRT, since it also stands in processes whose
memory is measured.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


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
        # A free batch, as the TF converter leaves it, runs as a batch of one.
        if -1 in detail["shape_signature"][1:]:
            signature = "x".join(map(str, detail["shape_signature"]))
            raise ValueError(f"its input is {signature}; export it for one size with --image-size-px.")
        interpreter.set_tensor(detail["index"], _noise(generator, detail["shape"], np.dtype(detail["dtype"])))


def _noise(generator: np.random.Generator, shape: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return generator.uniform(-1, 1, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
