"""One function for each operation of the deploy graph, which writes it as MIL's. Imported only where `child` runs.

MIL's tensors are `(1, channels, height, width)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, TypeVar

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - as all of Apple's documentation calls it

from compress.errors import UnsupportedLayer
from export.config import CoremlPrecision
from export.coreml import weights
from export.coreml.job import PALETTE_BITS
from export.graph.operations import (
    Activate,
    Add,
    Axis,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Function,
    InstanceNorm,
    Margins,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Resize,
    Shape,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
    margins_of,
)
from export.graph.quantized import QuantizedGraph

_CHANNELS, _HEIGHT, _WIDTH = 1, 2, 3
_AXES: dict[Axis, int] = {"channels": _CHANNELS, "height": _HEIGHT, "width": _WIDTH}

Var = Any
"""A value of the program; coremltools carries no types."""
Geometry = TypeVar("Geometry")
"""A setting of an operation that depends on its images' sizes: margins, factors."""


@dataclass(frozen=True)
class EmitContext:
    """Storage of an operation's constants, and the sizes that the program takes."""

    dtype: Any
    """Type of the operation's constants: np.float16 or np.float32."""
    precision: CoremlPrecision
    quantized: QuantizedGraph | None
    shapes: Sequence[Mapping[str, Shape]]
    """Shape `(height, width, channels)` of every tensor, at each size that the program takes."""

    @property
    def is_flexible(self) -> bool:
        """True where there are several sizes."""
        return len(self.shapes) > 1

    def geometry(self, operation: Operation, derive: Callable[[Shape, Shape], Geometry]) -> Geometry:
        """Derive a setting from the shapes of an operation's input and output; it must be the same at every size.

        Raises:
            UnsupportedLayer: If it is not: a program has one operation for all sizes.
        """
        found = [derive(shapes[operation.inputs[0]], shapes[operation.output]) for shapes in self.shapes]
        for shapes, other in zip(self.shapes, found, strict=True):
            if other != found[0]:
                (height, width, _), (high, wide, _) = (each[operation.inputs[0]] for each in (self.shapes[0], shapes))
                raise UnsupportedLayer(
                    f"layer {operation.output} ({type(operation).__name__}) reads {height}x{width} pixels with "
                    f"{found[0]} and {high}x{wide} with {other}; one Core ML package cannot do both. Choose sizes that "
                    "divide alike, such as multiples of 32, or export one package for each."
                )
        return found[0]

    def array(self, values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=self.dtype)

    def number(self, value: float) -> Any:
        return self.dtype(value)

    def kernel(
        self,
        operation: Weighted,
        axes: tuple[int, ...],
        shape: tuple[int, ...],
        *,
        axis: int,
        grown: tuple[int, int] = (0, 0),
    ) -> Var:
        """Store a kernel in MIL's order of axes.

        Args:
            operation: The operation whose kernel it is.
            axes: Order of its axes in MIL.
            shape: Its shape in MIL.
            axis: Output channels in that shape.
            grown: Rows and columns of zeros to add behind it.
        """

        def laid_out(values: np.ndarray) -> np.ndarray:
            whole = np.pad(values, ((0, grown[0]), (0, grown[1]), (0, 0), (0, 0)))
            return np.ascontiguousarray(whole.transpose(axes).reshape(shape))

        if self.quantized is not None and self.quantized.is_integer(operation):
            own = self.quantized.weights[operation.output]
            return self._integers(laid_out(own.kernel), own.scales, axis)
        kernel = laid_out(operation.kernel)
        if kernel.size < weights.FEWEST_WEIGHTS:
            return self.array(kernel)
        if self.precision == "int8_weights":
            return self._integers(*weights.quantize_channels(kernel, axis), axis)
        if self.precision in PALETTE_BITS:
            bits = PALETTE_BITS[self.precision]
            table, indices = weights.palettize(kernel, bits)
            return mb.constexpr_lut_to_dense(
                indices=weights.pack_indices(indices, bits),
                lut=self.array(table),
                shape=np.array(kernel.shape, np.uint32),
            )
        return self.array(kernel)

    def _integers(self, integers: np.ndarray, scales: np.ndarray, axis: int) -> Var:
        return mb.constexpr_affine_dequantize(
            quantized_data=integers, zero_point=np.int8(0), scale=self.array(scales), axis=np.int32(axis)
        )


@singledispatch
def emit(operation: Operation, context: EmitContext, *inputs: Var) -> Var:
    """Write one operation, without its fused activation."""
    kind = type(operation).__name__
    raise UnsupportedLayer(f"layer {operation.output} ({kind}) has no form in Core ML; export it with tflite.")


@emit.register
def _(operation: Convolution, context: EmitContext, features: Var) -> Var:
    height, width, in_channels, out_channels = operation.kernel.shape
    kernel = context.kernel(operation, (3, 2, 0, 1), (out_channels, in_channels, height, width), axis=0)
    return _convolve(operation, context, features, kernel, groups=1)


@emit.register
def _(operation: DepthwiseConvolution, context: EmitContext, features: Var) -> Var:
    height, width, in_channels, multiplier = operation.kernel.shape
    kernel = context.kernel(operation, (2, 3, 0, 1), (in_channels * multiplier, 1, height, width), axis=0)
    return _convolve(operation, context, features, kernel, groups=in_channels)


def _convolve(operation: Weighted, context: EmitContext, features: Var, kernel: Var, *, groups: int) -> Var:
    height, width = operation.kernel.shape[:2]
    margins = context.geometry(operation, lambda before, _: margins_of(operation, before[:2], (height, width)))
    return mb.conv(
        x=features,
        weight=kernel,
        bias=context.array(operation.bias),
        strides=operation.strides,
        dilations=operation.dilation,
        groups=groups,
        **_padding(margins),
    )


def _padding(margins: Margins) -> dict[str, Any]:
    if margins == ((0, 0), (0, 0)):
        return {"pad_type": "valid"}
    return {"pad_type": "custom", "pad": [*margins[0], *margins[1]]}


@emit.register
def _(operation: TransposedConvolution, context: EmitContext, features: Var) -> Var:
    if operation.dilation != (1, 1):
        raise UnsupportedLayer(
            f"layer {operation.output} (TransposedConvolution) has a dilation of {operation.dilation}; expected (1, 1)."
        )
    height, width, out_channels, in_channels = operation.kernel.shape

    def beyond(before: Shape, after: Shape) -> list[int]:
        sides = zip(before, operation.strides, (height, width), after, strict=False)
        return [(side - 1) * stride + reach - want for side, stride, reach, want in sides]

    cut = context.geometry(operation, beyond)
    # Where the kernel does not reach the last pixels, zeros make it.
    grown = (max(-cut[0], 0), max(-cut[1], 0))
    shape = (in_channels, out_channels, height + grown[0], width + grown[1])
    kernel = context.kernel(operation, (3, 2, 0, 1), shape, axis=1, grown=grown)
    cut = [max(each, 0) for each in cut]
    cut_before = [each // 2 if operation.padding == "same" else 0 for each in cut]
    return mb.conv_transpose(
        x=features,
        weight=kernel,
        bias=context.array(operation.bias),
        strides=operation.strides,
        pad_type="custom",
        pad=[cut_before[0], cut[0] - cut_before[0], cut_before[1], cut[1] - cut_before[1]],
        output_shape=None if context.is_flexible else [1, out_channels, *operation.shape[:2]],
    )


@emit.register
def _(operation: Add, context: EmitContext, first: Var, second: Var) -> Var:
    return mb.add(x=first, y=second)


@emit.register
def _(operation: Multiply, context: EmitContext, first: Var, second: Var) -> Var:
    return mb.mul(x=first, y=second)


@emit.register
def _(operation: Mean, context: EmitContext, features: Var) -> Var:
    return mb.reduce_mean(x=features, axes=[_HEIGHT, _WIDTH], keep_dims=True)


@emit.register
def _(operation: Pool, context: EmitContext, features: Var) -> Var:
    padding = _padding(context.geometry(operation, lambda before, _: margins_of(operation, before[:2], operation.size)))
    windows = {"x": features, "kernel_sizes": operation.size, "strides": operation.strides, **padding}
    if operation.kind == "max":
        return mb.max_pool(**windows)
    return mb.avg_pool(exclude_padding_from_average=True, **windows)


@emit.register
def _(operation: Resize, context: EmitContext, images: Var) -> Var:
    def scales(before: Shape, after: Shape) -> tuple[int, int]:
        if after[0] % before[0] or after[1] % before[1]:
            raise UnsupportedLayer(
                f"layer {operation.output} (Resize) goes from {before[:2]} to {after[:2]} pixels; expected whole "
                "multiples."
            )
        return after[0] // before[0], after[1] // before[1]

    down, across = context.geometry(operation, scales)
    factors = {"scale_factor_height": np.float32(down), "scale_factor_width": np.float32(across)}
    if operation.method == "nearest":
        return mb.upsample_nearest_neighbor(x=images, **factors)
    return mb.upsample_bilinear(x=images, align_corners=False, half_pixel_centers=True, **factors)


@emit.register
def _(operation: SpaceToDepth, context: EmitContext, images: Var) -> Var:
    return mb.space_to_depth(x=images, block_size=operation.block_size)


@emit.register
def _(operation: DepthToSpace, context: EmitContext, features: Var) -> Var:
    return mb.depth_to_space(x=features, block_size=operation.block_size)


@emit.register
def _(operation: Pad, context: EmitContext, images: Var) -> Var:
    mode = "constant" if operation.mode == "zero" else operation.mode
    # The constant must be of the images' type, even where none is used.
    return mb.pad(
        x=images, pad=[*operation.margins[0], *operation.margins[1]], mode=mode, constant_val=context.number(0)
    )


@emit.register
def _(operation: Crop, context: EmitContext, images: Var) -> Var:
    return mb.crop(x=images, crop_height=operation.margins[0], crop_width=operation.margins[1])


@emit.register
def _(operation: Concatenate, context: EmitContext, *parts: Var) -> Var:
    return mb.concat(values=parts, axis=_AXES[operation.axis])


@emit.register
def _(operation: InstanceNorm, context: EmitContext, features: Var) -> Var:
    if is_fusable(operation):
        return mb.instance_norm(
            x=features,
            gamma=context.array(operation.gamma),
            beta=context.array(operation.beta),
            epsilon=context.number(operation.epsilon),
        )
    axes = [_CHANNELS, _HEIGHT, _WIDTH] if operation.channels_together else [_HEIGHT, _WIDTH]
    centred = mb.sub(x=features, y=mb.reduce_mean(x=features, axes=axes, keep_dims=True))
    variance = mb.reduce_mean(x=mb.mul(x=centred, y=centred), axes=axes, keep_dims=True)
    if operation.epsilon_on == "variance":
        deviation = mb.sqrt(x=mb.add(x=variance, y=context.number(operation.epsilon)))
    else:
        deviation = mb.add(x=mb.sqrt(x=variance), y=context.number(operation.epsilon))
    gain = mb.real_div(x=context.array(operation.gamma.reshape(1, -1, 1, 1)), y=deviation)
    return mb.add(x=mb.mul(x=centred, y=gain), y=context.array(operation.beta.reshape(1, -1, 1, 1)))


@emit.register
def _(operation: Activate, context: EmitContext, features: Var) -> Var:
    if operation.function == "leaky_relu":
        return mb.leaky_relu(x=features, alpha=context.number(operation.slope))
    return FUNCTIONS[operation.function](x=features)


FUNCTIONS: Mapping[Function, Any] = {"relu": mb.relu, "relu6": mb.relu6, "tanh": mb.tanh, "sigmoid": mb.sigmoid}
"""MIL's operation for each function without settings."""


def is_fusable(operation: InstanceNorm) -> bool:
    """Return whether MIL has one operation for it."""
    return operation.epsilon_on == "variance" and not operation.channels_together
