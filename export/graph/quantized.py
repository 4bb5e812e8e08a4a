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
from export.graph.passes import apply_passes, mixed_precision
from export.graph.sum_scales import widen_for_sums

Range = tuple[float, float]

IMAGE_RANGE: Range = (-1.0, 127 / 128)
"""The range of images and of tanh: scale 1/128 and zero point 0, so that a camera's byte b is b - 128."""
SIGMOID_RANGE: Range = (0.0, 255 / 256)
"""TFLite fixes sigmoid's output at scale 1/256 and zero point -128."""
_FIXED_OUTPUTS: Mapping[str, Range] = {"tanh": IMAGE_RANGE, "sigmoid": SIGMOID_RANGE}
TANH_USEFUL_RANGE: Range = (-3.2, 2.7)
"""Outside of it, tanh rounds to the first or the last of its 256 output steps."""

_MOVES_VALUES = (SpaceToDepth, DepthToSpace, Crop, Pad, Resize, Pool, Concatenate)
"""Operations that copy or average values: input and output share one scale, as the integer kernels demand."""
NARROWEST_RANGE = 1e-5
"""The least width of a tensor's range: one that is always zero gets a scale, too."""
LEAST_WEIGHT_SCALE = 1e-12
"""The least scale of a kernel: one of zeros gets a scale, too."""
_LARGEST_REQUANTIZATION = 64.0
"""The most that the scale of an operation's sums is over its output's, whose range is next to nothing where a ReLU lets
nothing through. In LiteRT 2.3 a convolution ends the process from 256 on, with a double free; XNNPACK takes no MUL and
no ADD from there on, no RELU from 128. Half of the way to that is left for scales that are shared."""
_NARROWEST_ADDEND = 1 / 512
"""The least range of an addend relative to the sum's: XNNPACK does not take an ADD whose addend's scale is under 1/1024
of the sum's, as that of a branch which has learned nothing. Half of the way to that limit is left for scales that are
shared."""


@dataclass(frozen=True)
class TensorScale:
    """The meaning of a tensor's integers: `real = scale * (integer - zero_point)`."""

    scale: float
    zero_point: int

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Turn real values into int8, rounded to nearest and saturated."""
        scaled = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.clip(scaled, -128, 127).astype(np.int8)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Turn int8 into real values, float32."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)

    def fake_quantize(self, values: np.ndarray) -> np.ndarray:
        """Round real values to those that int8 holds, float32."""
        return self.dequantize(self.quantize(values))


@dataclass(frozen=True)
class ScaleGroup:
    """Tensors that must share one scale, since the operations between them only move values."""

    members: frozenset[str]
    sources: frozenset[str]
    """Members whose values are not copied from another: the group's range covers all of these."""
    fixed: Range | None = None
    """The range that the kernels, or the file's input and output, demand."""
    useful: Range | None = None
    """The range beyond which nothing changes, of a tensor that only tanh reads."""
    symmetric: bool = False
    """True of a range that is centred on zero."""

    def settle(self, ranges: Mapping[str, Range]) -> Range:
        """Return the range of the group from those of its members."""
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
    """A graph, a scale for each tensor, and integer weights for each operation that computes with weights in int8."""

    graph: Graph
    """The graph with a Dequantize and a Quantize around operations that compute in float."""
    tensors: Mapping[str, TensorScale]
    """Scale of every tensor that holds int8; a tensor without one is float."""
    weights: Mapping[str, QuantizedWeights]
    """Integer weights by the operation's output."""
    float_ops: tuple[str, ...] = ()
    """The operations that compute in float, each by the tensor that it writes, in the graph's order."""

    def is_integer(self, operation: Operation) -> bool:
        """Return whether an operation writes int8."""
        return operation.output in self.tensors

    def as_json(self) -> dict[str, Any]:
        """Return `scale` and `zero_point` of each tensor, as the manifest holds them."""
        return {name: {"scale": tensor.scale, "zero_point": tensor.zero_point} for name, tensor in self.tensors.items()}


def quantize_graph(
    graph: Graph, ranges: Mapping[str, Range], *, symmetric: bool = False, alike_sums: bool = False
) -> QuantizedGraph:
    """Choose integers for a graph.

    Args:
        graph: A float graph.
        ranges: The least and greatest value of each tensor, as `observe_ranges` saw them.
        symmetric: Whether ranges are centred on zero, so that their zero point is 0, see `scale_groups`.
        alike_sums: Whether ranges of additions grow so far that every runtime adds alike, see `widen_for_sums`; not
            those that a training has learnt to round to.

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
    if alike_sums:
        settled = _widen_for_sums(graph, settled, symmetric=symmetric)
    return quantize_with_scales(graph, {name: _tensor_scale(bounds) for name, bounds in settled.items()})


def quantize_with_scales(
    graph: Graph, tensors: Mapping[str, TensorScale], float_ops: Collection[str] = ()
) -> QuantizedGraph:
    """Choose the integers of a graph's weights; each tensor has its scale already.

    Args:
        graph: A float graph.
        tensors: The scale of each of its tensors.
        float_ops: The operations that compute in float, each by the tensor that it writes.
    """
    mixed = apply_passes(graph, mixed_precision(float_ops))
    weights = {
        operation.output: _quantize_weights(operation, tensors[operation.inputs[0]].scale)
        for operation in mixed.operations
        if isinstance(operation, Weighted) and operation.output in tensors
    }
    in_order = tuple(operation.output for operation in graph.operations if operation.output in float_ops)
    return QuantizedGraph(mixed, tensors, weights, in_order)


def quantize_like(graph: Graph, usual: QuantizedGraph) -> QuantizedGraph:
    """Quantize a generator with the integers that it has at its usual size.

    Args:
        graph: The generator at another size. Where its reflections are cut into other rows and columns than at the
            usual size, these have the scale of the tensor that they are cut from.
        usual: The generator at its usual size.
    """
    scales = {graph.input: usual.tensors[graph.input]}
    for operation in graph.operations:
        scales[operation.output] = usual.tensors.get(operation.output, scales[operation.inputs[0]])
    # Biases may have been corrected for the rounding; float operations, whose name differs, have their own.
    biases = {one.output: one.bias for one in usual.graph.operations if isinstance(one, Weighted)}
    return quantize_with_scales(replace_biases(graph, biases), scales, usual.float_ops)


def replace_biases(graph: Graph, biases: Mapping[str, np.ndarray]) -> Graph:
    """Return the same graph with other biases, each by the tensor that its operation writes."""
    operations = tuple(
        replace(one, bias=biases.get(one.output, one.bias)) if isinstance(one, Weighted) else one
        for one in graph.operations
    )
    return replace(graph, operations=operations)


def _require_integer_kernel(operation: Operation) -> None:
    if isinstance(operation, InstanceNorm):
        raise UnsupportedLayer(
            f"layer {operation.output} (InstanceNormalization) does not survive int8 activations: trained generators "
            "came out 11 to 16 dB from themselves, however it was written. Export with --precision dynamic (int8 "
            "weights, a file as small), or distil into a student, which uses BatchNormalization."
        )


def _settle(graph: Graph, ranges: Mapping[str, Range], *, symmetric: bool) -> dict[str, Range]:
    """Apply what the kernels demand: fixed inputs and outputs, shared scales, and tanh's useful part."""
    widened = _widen_addends(graph, ranges)
    groups = scale_groups(graph, symmetric=symmetric)
    settled: dict[str, Range] = {}
    # An operation that reads a widened tensor may be too narrow for it then; this ends, since a graph does.
    while settled != (settled := {name: group.settle(widened) for group in groups for name in group.members}):
        widened |= _widen_outputs(graph, settled)
    return settled


def _widen_for_sums(graph: Graph, settled: Mapping[str, Range], *, symmetric: bool) -> dict[str, Range]:
    groups = scale_groups(graph, symmetric=symmetric)
    scales = {name: _tensor_scale(bounds).scale for name, bounds in settled.items()}
    fixed = {name for group in groups if group.fixed is not None for name in group.members}
    factors = widen_for_sums(graph, [group.members for group in groups], scales, fixed)
    return {
        name: (least * factors.get(name, 1.0), greatest * factors.get(name, 1.0))
        for name, (least, greatest) in settled.items()
    }


def scale_groups(graph: Graph, *, symmetric: bool = False) -> list[ScaleGroup]:
    """Group all tensors of a graph by the scale that they share.

    Args:
        graph: A float graph.
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


def _widen_addends(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
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


def _widen_outputs(graph: Graph, settled: Mapping[str, Range]) -> dict[str, Range]:
    """Widen outputs that are too narrow for the sums they are rounded from."""
    scales = {name: _tensor_scale(bounds).scale for name, bounds in settled.items()}
    widened = {}
    for operation in graph.operations:
        span = 255 * _scale_of_sums(operation, scales) / _LARGEST_REQUANTIZATION
        least, greatest = settled[operation.output]
        if max(greatest, 0.0) - min(least, 0.0) < span:
            # A range without negative values keeps its zero at the lower end.
            half = span / 2 if least < 0 else 0.0
            widened[operation.output] = min(least, -half), max(greatest, span - half)
    return widened


def _scale_of_sums(operation: Operation, scales: Mapping[str, float]) -> float:
    """Return the scale of an operation's integers before requantisation; 0 where there is none."""
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
    """Return the sets of tensors that must share a scale."""
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
        operation: An operation with a kernel.
        least_scales: A lower bound for the scales, for all or for each output channel.

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
    """Return the kernel with its output channels as the last axis."""
    kernel = operation.kernel
    if isinstance(operation, DepthwiseConvolution):
        return kernel.reshape(*kernel.shape[:2], -1)
    return kernel.swapaxes(2, 3) if isinstance(operation, TransposedConvolution) else kernel


def dequantize_kernel(operation: Weighted, weights: QuantizedWeights) -> np.ndarray:
    """Return an operation's kernel as the int8 file sees it, float32, in the operation's own layout."""
    channels_last = _channels_last(replace(operation, kernel=weights.kernel.astype(np.float32)))
    return _restore(channels_last * weights.scales, operation)


def _restore(integers: np.ndarray, operation: Weighted) -> np.ndarray:
    if isinstance(operation, TransposedConvolution):
        return np.ascontiguousarray(integers.swapaxes(2, 3))
    return integers.reshape(operation.kernel.shape)
