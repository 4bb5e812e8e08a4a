"""The deploy graph as a MIL program whose input and output are pictures of bytes. Imported only where `child` runs.

The program is written in the precision that it runs in, operation by operation, rather than left to coremltools'
float16 pass: so a single operation can stay in float32, and compressed weights have float16 scales from the start.
"""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import coremltools
import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - as all of Apple's documentation calls it

from export.config import CoremlPrecision
from export.coreml.operators import FUNCTIONS, EmitContext, Var, emit, is_fusable
from export.graph.operations import (
    Activate,
    Concatenate,
    Crop,
    DepthToSpace,
    Dequantize,
    FusedActivation,
    Graph,
    InstanceNorm,
    Operation,
    Pad,
    Quantize,
    Shape,
    SpaceToDepth,
)
from export.graph.quantized import QuantizedGraph, TensorScale

WHITE_HALF = 127.5
"""A byte b stands for b / 127.5 - 1. Taking the half away first is exact in float16; scaling first is not."""
_COPIES_VALUES = (SpaceToDepth, DepthToSpace, Crop, Pad, Concatenate)


def build_program(
    graph: Graph,
    precision: CoremlPrecision,
    *,
    in_float32: Set[str] = frozenset(),
    quantized: QuantizedGraph | None = None,
    others: Sequence[Mapping[str, Shape]] = (),
) -> Any:
    """Write a graph as a MIL program that takes and returns pictures of bytes.

    Args:
        graph: The graph at its usual size.
        precision: Precision of weights and arithmetic.
        in_float32: Tensors that float16 does not hold; operations that read or write one stay in float32.
        quantized: For int8, the same graph's integers; its float operations run in float16 here, unrounded.
        others: The shapes of the graph's tensors at each other size that the program takes too.

    Raises:
        UnsupportedLayer: If an operation has no form in MIL, or none that serves all sizes; the message names it.
    """
    target = coremltools.target.iOS17 if precision == "int8" else coremltools.target.iOS16
    shapes = (graph.shapes, *others)
    writer = _ProgramWriter(graph, precision, in_float32, quantized, shapes)
    entry = entry_shape([each[graph.input] for each in shapes])
    sides = entry.symbolic_shape if isinstance(entry, coremltools.EnumeratedShapes) else entry

    # The name of the argument becomes that of the program's input.
    @mb.program(input_specs=[mb.TensorSpec(shape=sides)], opset_version=target)
    def program(image: Var) -> Var:
        return writer.write(image)

    return program


def entry_shape(shapes: Sequence[Shape]) -> Any:
    """Return the declaration of the input: one `(1, channels, height, width)`, or coremltools' set of them.

    A package is made ready for the first of a set when it is loaded.
    """
    first, *others = ((1, channels, height, width) for height, width, channels in shapes)
    return coremltools.EnumeratedShapes([first, *others], default=first) if others else first


class _ProgramWriter:
    """Writes a program; holds the values written so far by the graph's names."""

    def __init__(
        self,
        graph: Graph,
        precision: CoremlPrecision,
        in_float32: Set[str],
        quantized: QuantizedGraph | None,
        shapes: Sequence[Mapping[str, Shape]],
    ) -> None:
        self.graph, self.in_float32, self.quantized, self.shapes = graph, in_float32, quantized, shapes
        self.precision: CoremlPrecision = precision
        self.values: dict[str, Var] = {}

    def write(self, image: Var) -> Var:
        """Write all operations between the picture that is taken and the one that is returned."""
        usual = self._context(wide=False)
        centred = mb.sub(x=_cast(image, usual), y=usual.number(WHITE_HALF))
        signed = mb.mul(x=centred, y=usual.number(1 / WHITE_HALF))
        self.values[self.graph.input] = self._quantize_dequantize(self.graph.input, signed, usual)
        for operation in self.graph.operations:
            self._write_operation(operation)
        return self._write_output()

    def _context(self, *, wide: bool) -> EmitContext:
        dtype = np.float32 if wide or self.precision == "fp32" else np.float16
        return EmitContext(dtype, self.precision, self.quantized, self.shapes)

    def _write_operation(self, operation: Operation) -> None:
        touched = {operation.output, *operation.inputs}
        context = self._context(wide=bool(touched & self.in_float32) or _needs_float32(operation))
        inputs = [_cast(self.values[name], context) for name in operation.inputs]
        if isinstance(operation, Quantize | Dequantize):
            # MIL's values are float anyway: a Quantize rounds them to int8's, a Dequantize has nothing to do.
            self.values[operation.output] = self._quantize_dequantize(operation.output, inputs[0], context)
            return
        result = emit(operation, context, *inputs)
        fused: FusedActivation = getattr(operation, "activation", "none")
        if fused != "none":
            result = FUNCTIONS[fused](x=result)
        result.name = _identifier(operation.output)
        if not isinstance(operation, _COPIES_VALUES):
            result = self._quantize_dequantize(operation.output, result, context)
        self.values[operation.output] = result

    def _quantize_dequantize(self, name: str, value: Var, context: EmitContext) -> Var:
        """In int8, round a value to the tensor's integers: Core ML's kernels run on integers between such pairs.

        A scale below float16's smallest normal number belongs to a tensor that is all but zero; it stays float. So does
        the tensor of a float operation, which has no scale.
        """
        if self.quantized is None:
            return value
        scale = self.quantized.tensors.get(name)
        if scale is None or scale.scale < np.finfo(np.float16).tiny:
            return value
        return _through_int8(value, scale, context)

    def _write_output(self) -> Var:
        """Turn the result in [-1, 1] into bytes' values in [0, 255]. The last operation names the program's output."""
        usual = self._context(wide=False)
        signed = _cast(self.values[self.graph.output], usual)
        last = self.graph.operations[-1]
        if not (isinstance(last, Activate) and last.function in ("tanh", "sigmoid")):
            signed = mb.clip(x=signed, alpha=usual.number(-1), beta=usual.number(1))
        stretched = mb.mul(x=signed, y=usual.number(WHITE_HALF))
        picture = mb.add(x=stretched, y=usual.number(WHITE_HALF))
        # A picture is float32 in MIL, also where the program runs in float16: so Apple's own converters write it.
        picture = picture if self.precision == "fp32" else mb.cast(x=picture, dtype="fp32")
        signed.name, picture.name = f"{self.graph.output}_signed", self.graph.output
        return picture


def _cast(value: Var, context: EmitContext) -> Var:
    wanted = "fp16" if context.dtype is np.float16 else "fp32"
    is_half = value.dtype is coremltools.converters.mil.mil.types.fp16
    return value if is_half == (wanted == "fp16") else mb.cast(x=value, dtype=wanted)


def _through_int8(value: Var, scale: TensorScale, context: EmitContext) -> Var:
    step = {"scale": context.number(scale.scale), "zero_point": np.int8(scale.zero_point)}
    integers = mb.quantize(input=value, output_dtype="int8", **step)
    return mb.dequantize(input=integers, **step)


def _identifier(name: str) -> str:
    """Turn a tensor's name into one that MIL allows, which are those of C."""
    identifier = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{identifier}" if identifier[0].isdigit() else identifier


def _needs_float32(operation: Operation) -> bool:
    """Return whether float16 would overflow, as squares do from 256 on, or take an epsilon for zero."""
    if not isinstance(operation, InstanceNorm):
        return False
    return not is_fusable(operation) or np.float16(operation.epsilon) == 0
