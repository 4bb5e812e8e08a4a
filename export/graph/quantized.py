"""Full int8: a graph and the ranges of its tensors become integer weights and one scale per tensor.

Weights are symmetric per output channel in [-127, 127]; activations are asymmetric per tensor; biases are int32 at the
product of both scales. All targets share the result, so they ship the same integers.

Source: Jacob et al. 2018, arXiv:1712.05877, and the TensorFlow Lite 8-bit quantisation specification.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compress.errors import UnsupportedLayer, UnusableModel
from export.graph.mixed_precision import insert_float_islands
from export.graph.operations import (
    Activate,
    Add,
    Concatenate,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Graph,
    InstanceNorm,
    Multiply,
    Operation,
    Pad,
    Pool,
    Resize,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
)

Range = tuple[float, float]

IMAGE_RANGE: Range = (-1.0, 127 / 128)
"""The range of images and of tanh: scale 1/128 and zero point 0, so that a camera's byte b is b - 128."""
SIGMOID_RANGE: Range = (0.0, 255 / 256)
"""TFLite fixes sigmoid's output at scale 1/256 and zero point -128."""
_FIXED_OUTPUTS: Mapping[str, Range] = {"tanh": IMAGE_RANGE, "sigmoid": SIGMOID_RANGE}
TANH_USEFUL_RANGE: Range = (-3.2, 2.7)
"""Outside of it, tanh rounds to the first or the last of its 256 output steps."""

_MOVES_VALUES = (SpaceToDepth, DepthToSpace, Crop, Pad, Resize, Pool, Concatenate)
"""What copies or averages values: input and output share one scale, as the integer kernels demand."""
NARROWEST_RANGE = 1e-5
"""Of a tensor: one that is always zero gets a scale, too."""
LEAST_WEIGHT_SCALE = 1e-12
_LARGEST_REQUANTIZATION = 64.0
"""Of the scale of an operation's sums over its output's, which has hardly a range where a ReLU lets nothing through. In
LiteRT 2.3 a convolution ends the process from 256 on, with a double free; XNNPACK leaves MUL and ADD behind from there,
a RELU from 128. Half of the way to that is left for scales that are shared."""
_NARROWEST_ADDEND = 1 / 512
"""Of the sum's range: XNNPACK leaves an ADD behind whose addend's scale is under 1/1024 of the sum's, as that of a
branch which has learned nothing. Half of the way to that limit is left for scales that are shared."""


@dataclass(frozen=True)
class TensorScale:
    """`real = scale * (integer - zero_point)`."""

    scale: float
    zero_point: int

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to int8, rounded to nearest and saturated."""
        scaled = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.clip(scaled, -128, 127).astype(np.int8)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """int8 to real values, float32."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """What int8 leaves of real values, float32."""
        return self.dequantize(self.quantize(values))


@dataclass(frozen=True)
class ScaleGroup:
    """Tensors that must share one scale, since what lies between them only moves values."""

    members: frozenset[str]
    sources: frozenset[str]
    """Those whose values are not another member's: the group's range is what these need together."""
    fixed: Range | None = None
    """The range that the kernels or the ends demand."""
    useful: Range | None = None
    """Of what only tanh reads: beyond it, nothing changes."""
    symmetric: bool = False
    """Whether the range is centred on zero."""

    def settle(self, ranges: Mapping[str, Range]) -> Range:
        """The range of the group, from those of its members."""
        if self.fixed is not None:
            return self.fixed
        least = min(ranges[name][0] for name in self.members)
        greatest = max(ranges[name][1] for name in self.members)
        if self.useful is not None:
            least, greatest = max(least, self.useful[0]), min(greatest, self.useful[1])
        largest = max(abs(least), abs(greatest))
        return (-largest, largest) if self.symmetric else (least, greatest)


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """An operation's integer weights: `kernel` int8, `bias` int32, `scales` float32 per output channel."""

    kernel: np.ndarray
    bias: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True, eq=False)
class QuantizedGraph:
    """A graph, a scale for each tensor, and integer weights for each operation that has weights and is not in float."""

    graph: Graph
    """With a Dequantize and a Quantize around what computes in float, see `with_islands`."""
    tensors: Mapping[str, TensorScale]
    """Of every tensor's int8 values; what has no scale here is float."""
    weights: Mapping[str, QuantizedWeights]
    """By the operation's output."""
    float_ops: tuple[str, ...] = ()
    """The operations that compute in float, each by the tensor that it writes, in the graph's order."""

    def is_integer(self, operation: Operation) -> bool:
        """Whether an operation writes int8."""
        return operation.output in self.tensors

    def as_json(self) -> dict[str, Any]:
        """Per tensor its `scale` and `zero_point`, as the manifest holds them."""
        return {name: {"scale": tensor.scale, "zero_point": tensor.zero_point} for name, tensor in self.tensors.items()}


def quantize(graph: Graph, ranges: Mapping[str, Range], *, symmetric: bool = False) -> QuantizedGraph:
    """Choose integers for a graph.

    Args:
        graph: A float graph.
        ranges: The least and greatest value of each tensor, as `calibrate` saw them.
        symmetric: Whether ranges are centred on zero, so that their zero point is 0, see `scale_groups`.

    Raises:
        UnsupportedLayer: If an operation has no integer kernel worth shipping.
        UnusableModel: If a tensor is NaN or infinite somewhere.
    """
    for operation in graph.operations:
        _require_integer_kernel(operation)
        if not np.isfinite(ranges[operation.output]).all():
            least, greatest = ranges[operation.output]
            raise UnusableModel(
                f"the output of layer {operation.output} is not finite: {least} to {greatest} on calibration photos. "
                "Its weights are torn or training diverged; export an earlier checkpoint."
            )
    settled = _settle(graph, ranges, symmetric=symmetric)
    return with_scales(graph, {name: _tensor_scale(bounds) for name, bounds in settled.items()})


def with_scales(graph: Graph, tensors: Mapping[str, TensorScale], float_ops: Collection[str] = ()) -> QuantizedGraph:
    """Choose the integers of a graph's weights; each tensor has its scale already.

    Args:
        graph: A float graph.
        tensors: The scale of each of its tensors.
        float_ops: The operations that compute in float, each by the tensor that it writes.
    """
    whole = insert_float_islands(graph, float_ops)
    weights = {
        operation.output: _quantize_weights(operation, tensors[operation.inputs[0]].scale)
        for operation in whole.operations
        if isinstance(operation, Weighted) and operation.output in tensors
    }
    in_order = tuple(operation.output for operation in graph.operations if operation.output in float_ops)
    return QuantizedGraph(whole, tensors, weights, in_order)


def resized(quantized: QuantizedGraph, graph: Graph) -> QuantizedGraph:
    """The same integers for the same generator at another size.

    Args:
        quantized: The generator at its usual size.
        graph: At another one. Where its reflections are spelled as other rows and columns than there, these have the
            scale of what they are cut from.
    """
    scales = {graph.input: quantized.tensors[graph.input]}
    for operation in graph.operations:
        scales[operation.output] = quantized.tensors.get(operation.output, scales[operation.inputs[0]])
    # Biases may have been corrected for the rounding; what is kept in float, under another name, has its own.
    biases = {one.output: one.bias for one in quantized.graph.operations if isinstance(one, Weighted)}
    return with_scales(with_biases(graph, biases), scales, quantized.float_ops)


def with_biases(graph: Graph, biases: Mapping[str, np.ndarray]) -> Graph:
    """The same graph with other biases, by the tensor that an operation writes; what is not named keeps its own."""
    operations = tuple(
        replace(one, bias=biases.get(one.output, one.bias)) if isinstance(one, Weighted) else one
        for one in graph.operations
    )
    return replace(graph, operations=operations)


def _require_integer_kernel(operation: Operation) -> None:
    if isinstance(operation, InstanceNorm):
        raise UnsupportedLayer(
            f"layer {operation.output} (InstanceNormalization) does not survive int8 activations: trained generators "
            "came out 11 to 16 dB from themselves, however it was spelled. Export with --precision dynamic (int8 "
            "weights, a file as small), or distil into a student, which uses BatchNormalization."
        )


def _settle(graph: Graph, ranges: Mapping[str, Range], *, symmetric: bool) -> dict[str, Range]:
    """Ranges with what the kernels fix put in: fixed ends, shared scales, and tanh's useful part."""
    widened = _with_addends_widened(graph, ranges)
    groups = scale_groups(graph, symmetric=symmetric)
    settled: dict[str, Range] = {}
    # What is widened is read by what may be too narrow for it then; a graph has an end.
    while settled != (settled := {name: group.settle(widened) for group in groups for name in group.members}):
        widened |= _with_outputs_widened(graph, settled)
    return settled


def scale_groups(graph: Graph, *, symmetric: bool = False) -> list[ScaleGroup]:
    """All tensors of a graph, by the scale that they share.

    Args:
        graph: Whose tensors.
        symmetric: Whether ranges are centred on zero, but for fixed ones and those of a ReLU that stands alone: XNNPACK
            computes it as a change of scale, in which only the lower end of the range cuts negative values off.
    """
    fixed = {graph.input: IMAGE_RANGE} | _fixed_outputs(graph)
    alone = {one.output for one in graph.operations if isinstance(one, Activate) and one.function in ("relu", "relu6")}
    moved = {operation.output for operation in graph.operations if isinstance(operation, _MOVES_VALUES)}
    groups = []
    for members in _groups(graph):
        pinned = {fixed[name] for name in members if name in fixed}
        groups.append(
            ScaleGroup(
                members=frozenset(members),
                sources=frozenset(members - moved),
                fixed=pinned.pop() if len(pinned) == 1 else None,
                useful=TANH_USEFUL_RANGE if _feeds_tanh_alone(graph, members) else None,
                symmetric=symmetric and not alone & members,
            )
        )
    return groups


def _with_addends_widened(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    widened = dict(ranges)
    for addition in graph.operations:
        if isinstance(addition, Add):
            least, greatest = ranges[addition.output]
            half_span = (greatest - least) * _NARROWEST_ADDEND / 2
            for name in addition.inputs:
                low, high = widened[name]
                if high - low < 2 * half_span:
                    widened[name] = min(low, -half_span), max(high, half_span)
    return widened


def _with_outputs_widened(graph: Graph, settled: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges of outputs that are too narrow for what they are made of, as wide as they have to be."""
    scales = {name: _tensor_scale(bounds).scale for name, bounds in settled.items()}
    widened = {}
    for operation in graph.operations:
        span = 255 * _scale_of_sums(operation, scales) / _LARGEST_REQUANTIZATION
        least, greatest = settled[operation.output]
        if max(greatest, 0.0) - min(least, 0.0) < span:
            # What is never negative keeps its zero at the lower end.
            half = span / 2 if least < 0 else 0.0
            widened[operation.output] = min(least, -half), max(greatest, span - half)
    return widened


def _scale_of_sums(operation: Operation, scales: Mapping[str, float]) -> float:
    """The scale of an operation's integers before they are brought to its output's; 0 where they are not brought."""
    read = [scales[name] for name in operation.inputs]
    if isinstance(operation, Weighted):
        return read[0] * float(_weight_scales(operation, read[0]).max())
    if isinstance(operation, Multiply):
        return read[0] * read[1]
    if isinstance(operation, Add):
        return max(read)
    if isinstance(operation, Activate) and operation.function not in _FIXED_OUTPUTS:
        return read[0]
    return 0.0


def _fixed_outputs(graph: Graph) -> dict[str, Range]:
    activations = [operation for operation in graph.operations if isinstance(operation, Activate)]
    return {one.output: _FIXED_OUTPUTS[one.function] for one in activations if one.function in _FIXED_OUTPUTS}


def _groups(graph: Graph) -> list[set[str]]:
    """Sets of tensors that must share a scale."""
    group_of = {name: {name} for name in graph.shapes}
    for operation in graph.operations:
        if isinstance(operation, _MOVES_VALUES):
            joined = group_of[operation.output].union(*(group_of[name] for name in operation.inputs))
            group_of |= dict.fromkeys(joined, joined)
    return list({id(group): group for group in group_of.values()}.values())


def _feeds_tanh_alone(graph: Graph, members: set[str]) -> bool:
    readers = [reader for name in members for reader in graph.consumers[name] if reader.output not in members]
    return bool(readers) and all(isinstance(reader, Activate) and reader.function == "tanh" for reader in readers)


def _tensor_scale(bounds: Range) -> TensorScale:
    # Zero must be a whole number of steps: it is what convolutions pad with.
    least, greatest = min(bounds[0], 0.0), max(bounds[1], 0.0)
    scale = np.float32(max(greatest - least, NARROWEST_RANGE) / 255)
    zero_point = int(np.clip(np.rint(-128 - least / scale), -128, 127))
    return TensorScale(float(scale), zero_point)


def quantize_kernel(operation: Weighted, least_scales: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Choose an operation's integer weights: symmetric, in [-127, 127].

    Args:
        operation: What has a kernel.
        least_scales: A bound from below for the scales, for all or for each output channel.

    Returns:
        The kernel in its own layout, int8, and its scales, `(out_channels,)` float32.
    """
    kernel = _channels_last(operation)
    largest = np.abs(kernel).reshape(-1, operation.bias.size).max(axis=0)
    scales = np.maximum(np.maximum(largest / 127, least_scales), LEAST_WEIGHT_SCALE).astype(np.float32)
    integers = np.clip(np.rint(kernel / scales), -127, 127).astype(np.int8)
    return _restore(integers, operation), scales


def _weight_scales(operation: Weighted, input_scale: float) -> np.ndarray:
    return quantize_kernel(operation, _least_scales(operation, input_scale))[1]


def _least_scales(operation: Weighted, input_scale: float) -> np.ndarray:
    # A channel of tiny weights and a large bias would overflow int32: its scale is what lets the bias fit.
    return np.abs(operation.bias) / (np.float32(input_scale) * 2.0**30)


def _quantize_weights(operation: Weighted, input_scale: float) -> QuantizedWeights:
    kernel, scales = quantize_kernel(operation, _least_scales(operation, input_scale))
    bias = np.rint(operation.bias.astype(np.float64) / (np.float64(np.float32(input_scale)) * scales))
    return QuantizedWeights(kernel, bias.astype(np.int32), scales)


def _channels_last(operation: Weighted) -> np.ndarray:
    """The kernel with its output channels as the last axis."""
    kernel = operation.kernel
    if isinstance(operation, DepthwiseConvolution):
        return kernel.reshape(*kernel.shape[:2], -1)
    return kernel.swapaxes(2, 3) if isinstance(operation, TransposedConvolution) else kernel


def dequantized_kernel(operation: Weighted, weights: QuantizedWeights) -> np.ndarray:
    """An operation's kernel as the int8 file sees it, float32, in the layout of the operation's own."""
    channels_last = _channels_last(replace(operation, kernel=weights.kernel.astype(np.float32)))
    return _restore(channels_last * weights.scales, operation)


def _restore(integers: np.ndarray, operation: Weighted) -> np.ndarray:
    if isinstance(operation, TransposedConvolution):
        return np.ascontiguousarray(integers.swapaxes(2, 3))
    return integers.reshape(operation.kernel.shape)
