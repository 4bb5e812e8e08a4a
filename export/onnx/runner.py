"""An ONNX generator that runs here: in onnxruntime where it is installed, else in onnx's own reference evaluator.

The evaluator computes every operator in NumPy as the standard defines it; it is slow, and no runtime's kernels are
tried. Which of the two ran stands in the manifest.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from compress.errors import UnusableModel
from compress.images import to_float
from export.config import OnnxIoType

Engine = Literal["onnxruntime", "onnx.reference"]
_Run = Callable[[np.ndarray], np.ndarray]
_ROUNDING_OF_REFERENCE = 19
"""The oldest QuantizeLinear and DequantizeLinear that onnx's evaluator has."""
_QUIET = 3
"""onnxruntime's level of errors: its warnings are about graphs that it optimises."""


class OnnxGenerator:
    """A loaded file: photos in, pictures out.

    Args:
        content: The file's bytes.
        io_type: Values that its input and output hold.
        engine: What runs it; onnxruntime where it is installed, if None.

    Raises:
        UnusableModel: If onnxruntime refuses the file.
    """

    def __init__(self, content: bytes, io_type: OnnxIoType, *, engine: Engine | None = None) -> None:
        self.engine: Engine = engine or ("onnxruntime" if importlib.util.find_spec("onnxruntime") else "onnx.reference")
        self._io_type = io_type
        self._run = _open_runtime(content) if self.engine == "onnxruntime" else _open_reference(content)

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float32 picture in [-1, 1]."""
        values = photo.astype(np.float32) if self._io_type == "rgb255" else to_float(photo)
        made = self._run(values.transpose(2, 0, 1)[np.newaxis])[0].transpose(1, 2, 0)
        return made / np.float32(127.5) - 1 if self._io_type == "rgb255" else made


def _open_runtime(content: bytes) -> _Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # Its errors share no class of their own, and carry the reason in their text.
    except Exception as error:
        raise UnusableModel(f"onnxruntime {onnxruntime.__version__} refuses the file: {error}") from error
    name = session.get_inputs()[0].name
    return lambda image: _first(session.run(None, {name: image}))


def _open_reference(content: bytes) -> _Run:
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model_from_string(content)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        # It has later versions' rounding alone; in them, all operators of an int8 file mean the same.
        model.opset_import[0].version = max(model.opset_import[0].version, _ROUNDING_OF_REFERENCE)
    evaluator = ReferenceEvaluator(model)
    name = model.graph.input[0].name
    return lambda image: _first(evaluator.run(None, {name: image}))


def _first(outputs: Any) -> np.ndarray:
    return np.asarray(outputs[0], dtype=np.float32)
