"""The file that operations are written to: which value stands for each tensor, and how its numbers are stored.

In int8 every tensor is rounded where it is written: QuantizeLinear, then DequantizeLinear. What lies between such pairs
is written as float operators, which a runtime joins into integer ones; that is ONNX's form QDQ. Activations are uint8,
the `.tflite`'s integers and 128: of int8, onnxruntime on x86 turns some into uint8 and then leaves what has both in
float.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import onnx

from export.graph.operations import FusedActivation, Graph, Operation, Weighted
from export.graph.quantized import QuantizedGraph
from export.onnx.file import OnnxFile

FloatWeights = Literal["fp32", "fp16"]
"""Storage of a float file's kernels; `fp16` computes in float behind a Cast, which a runtime runs once, at load."""
Layout = Callable[[np.ndarray], np.ndarray]
"""Turns a kernel of the graph into ONNX's order of axes."""
_RELU6_BOUNDS = (0.0, 6.0)
_TO_BYTES = 128
"""What is added to an int8 integer for uint8, and to its zero point."""


class EmitContext:
    """A graph on its way into a file.

    Args:
        file: The file.
        graph: The graph whose operations are written.
        weights: Storage of kernels, where `quantized` is None.
        quantized: The same graph with its integers.
    """

    def __init__(
        self,
        file: OnnxFile,
        graph: Graph,
        *,
        weights: FloatWeights = "fp32",
        quantized: QuantizedGraph | None = None,
    ) -> None:
        self.file, self.graph, self._weights, self._quantized = file, graph, weights, quantized
        self._values: dict[str, str] = {}

    def value(self, name: str) -> str:
        """Return the float value that a reader of a tensor of the graph reads."""
        return self._values.get(name, name)

    def target(self, name: str) -> str:
        """Return the value that the writer of a tensor writes."""
        return f"{name}/real" if self._is_integer(name) else self.value(name)

    def rename(self, name: str, value: str) -> None:
        """Let a tensor of the graph stand in another value than that of its name."""
        self._values[name] = value

    def size_before(self, operation: Operation) -> tuple[int, int]:
        """Return height and width of what an operation reads, pixels."""
        height, width, _ = self.graph.shapes[operation.inputs[0]]
        return height, width

    def write(
        self,
        operation: Operation,
        code: str,
        *constants: str,
        activation: FusedActivation = "none",
        **attributes: Any,
    ) -> None:
        """Write a node that reads the operation's inputs, then constants, and its activation; round the result."""
        inputs = [*(self.value(name) for name in operation.inputs), *constants]
        target = self.target(operation.output)
        sums = target if activation == "none" else f"{operation.output}/sums"
        self.file.add_node(code, inputs, sums, name=operation.output, **attributes)
        self._finish(operation, sums, activation)

    def write_activation(self, operation: Operation, activation: FusedActivation) -> None:
        """Write an operation that is an activation alone."""
        self._finish(operation, self.value(operation.inputs[0]), activation)

    def _finish(self, operation: Operation, sums: str, activation: FusedActivation) -> None:
        target = self.target(operation.output)
        if activation == "relu":
            self.file.add_node("Relu", [sums], target, name=f"{operation.output}/relu")
        elif activation == "relu6":
            bounds = [
                self.file.add_constant(f"bound_{bound:g}", np.array(bound, np.float32)) for bound in _RELU6_BOUNDS
            ]
            self.file.add_node("Clip", [sums, *bounds], target, name=f"{operation.output}/relu6")
        if self._is_integer(operation.output):
            self.quantize(operation.output, target)

    def quantize(self, name: str, real: str) -> None:
        """Round a float value to the integers of a tensor of the graph, and hand those on as float."""
        if self._quantized is None:
            raise ValueError(f"{name} has no scale: its graph is not quantised")
        tensor = self._quantized.tensors[name]
        constants = [
            self.file.add_constant(f"{name}/scale", np.array(tensor.scale, np.float32)),
            self.file.add_constant(f"{name}/zero_point", np.array(tensor.zero_point + _TO_BYTES, np.uint8)),
        ]
        self.file.add_node("QuantizeLinear", [real, *constants], f"{name}/uint8")
        inputs = [f"{name}/uint8", *constants]
        self.file.add_node("DequantizeLinear", inputs, self.value(name), name=f"{name}/dequantized")

    def weights(self, operation: Weighted, layout: Layout, *, axis: int) -> tuple[str, str]:
        """Store kernel and bias; return their values.

        Args:
            operation: The operation that they belong to.
            layout: Turns its kernel into ONNX's order of axes.
            axis: Axis of the output channels in that order.
        """
        name = operation.output
        if self._quantized is not None and self._is_integer(name):
            return self._int8_weights(operation, self._quantized, layout, axis)
        bias = self.file.add_constant(f"{name}/bias", operation.bias)
        kernel = layout(operation.kernel)
        if self._weights == "fp32":
            return self.file.add_constant(f"{name}/kernel", kernel), bias
        stored = self.file.add_constant(f"{name}/kernel_fp16", kernel.astype(np.float16))
        self.file.add_node("Cast", [stored], f"{name}/kernel", to=int(onnx.TensorProto.FLOAT))
        return f"{name}/kernel", bias

    def _int8_weights(
        self, operation: Weighted, quantized: QuantizedGraph, layout: Layout, axis: int
    ) -> tuple[str, str]:
        """Store the integers of the `.tflite` behind a DequantizeLinear each, one scale per output channel."""
        name, weights = operation.output, quantized.weights[operation.output]
        input_scale = np.float32(quantized.tensors[operation.inputs[0]].scale)
        kernel = self._dequantized(f"{name}/kernel", layout(weights.kernel), weights.scales, axis)
        bias = self._dequantized(f"{name}/bias", weights.bias, (weights.scales * input_scale).astype(np.float32), 0)
        return kernel, bias

    def _dequantized(self, name: str, integers: np.ndarray, scales: np.ndarray, axis: int) -> str:
        inputs = [
            self.file.add_constant(f"{name}_{integers.dtype.name}", integers),
            self.file.add_constant(f"{name}_scales", scales),
            self.file.add_constant(f"{name}_zero_points", np.zeros(scales.size, integers.dtype)),
        ]
        self.file.add_node("DequantizeLinear", inputs, name, axis=axis)
        return name

    def _is_integer(self, name: str) -> bool:
        return self._quantized is not None and name in self._quantized.tensors
