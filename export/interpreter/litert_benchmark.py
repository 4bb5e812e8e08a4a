"""A `.tflite` file made ready to run in LiteRT."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def open_interpreter(model: Path, *, threads: int) -> Interpreter:
    """Load a file with LiteRT's default delegate, allocate its tensors and fill its inputs with noise.

    Noise, since an image of one colour could turn many activations to zero; always the same, for comparable runs.

    Raises:
        ValueError: If the file is none that LiteRT reads, or has no fixed input size.
        RuntimeError: If it needs operators that LiteRT does not have.
    """
    interpreter = load(model, threads=threads)
    fill_inputs(interpreter)
    return interpreter


def load(model: Path, *, threads: int) -> Interpreter:
    """Load a file with LiteRT's default delegate and allocate its tensors.

    Raises:
        ValueError: If the file is none that LiteRT reads.
        RuntimeError: If it needs operators that LiteRT does not have.
    """
    interpreter = Interpreter(model_path=str(model), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def fill_inputs(interpreter: Interpreter) -> None:
    """Set every input of an interpreter to noise, the same each time.

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
