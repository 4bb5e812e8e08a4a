"""Writer of ONNX files: nodes, stored tensors, one image in and one out. Knows nothing of generators."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compress.errors import UnusableModel

PRODUCER = "PocketGAN"
_SMALL_BYTES = 1 << 16
"""Tensors up to this size are stored once where they are equal, whatever they belong to."""


class OnnxFile:
    """A file under construction.

    Args:
        opset: Version of ONNX's operators that the file is written in.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []
        self._name_of: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add_node(self, operator: str, inputs: Sequence[str], output: str, *, name: str = "", **attributes: Any) -> None:
        """Append a node, which is called like its output where it gets no name."""
        node = helper.make_node(operator, list(inputs), [output], name=name or output, **attributes)
        self._nodes.append(node)

    def add_constant(self, name: str, values: np.ndarray) -> str:
        """Store a tensor and return its name: that of an equal small one where there is one already."""
        key = values.dtype.str, values.shape, values.tobytes() if values.nbytes <= _SMALL_BYTES else name.encode()
        if key not in self._name_of:
            self._name_of[key] = name
            # Not ascontiguousarray, which makes a vector of a number: old runtimes insist on scalar scales.
            self._stored.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return self._name_of[key]

    def finish(
        self, taken: tuple[str, Sequence[int]], made: tuple[str, Sequence[int]], texts: Mapping[str, str]
    ) -> bytes:
        """Return the file, which `onnx.checker` has passed, shapes included.

        Args:
            taken: Name and shape of the float32 image that the file takes.
            made: Name and shape of the float32 image that it makes.
            texts: Its metadata, and `description`.

        Raises:
            UnusableModel: If the checker refuses the file, which is a bug.
        """
        ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (taken, made)]
        graph = helper.make_graph(self._nodes, "generator", [ends[0]], [ends[1]], self._stored)
        versions = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph,
            producer_name=PRODUCER,
            opset_imports=versions,
            ir_version=helper.find_min_ir_version_for(versions),
            doc_string=texts.get("description", ""),
        )
        helper.set_model_props(model, {key: text for key, text in texts.items() if text and key != "description"})
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise UnusableModel(
                f"onnx.checker refuses the file: {error}. This should not happen: report it with the model."
            ) from error
        return model.SerializeToString(deterministic=True)
