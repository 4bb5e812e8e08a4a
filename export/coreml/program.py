"""One function for each operation of the deploy graph: how MIL spells it. Imported only where `child` runs.

The program is written in the precision that it runs in, operation by operation, rather than left to coremltools'
float16 pass: so a single operation can stay in float32, and compressed weights have float16 scales from the start.
MIL's tensors are `(1, channels, height, width)`.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, TypeVar

import coremltools
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
    Dequantize,
    Function,
    FusedActivation,
    Graph,
    InstanceNorm,
    Margins,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Quantize,
    Resize,
    Shape,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
    margins_of,
)
from export.graph.quantized import QuantizedGraph, TensorScale

WHITE_HALF = 127.5
"""A byte b stands for b / 127.5 - 1. Taking the half away first is exact in float16; scaling first is not."""
_CHANNELS, _HEIGHT, _WIDTH = 1, 2, 3
_AXES: dict[Axis, int] = {"channels": _CHANNELS, "height": _HEIGHT, "width": _WIDTH}
_COPIES_VALUES = (SpaceToDepth, DepthToSpace, Crop, Pad, Concatenate)

Var = Any
"""A value of the program; coremltools carries no types."""
Geometry = TypeVar("Geometry")
"""What an operation is told of its images' sizes: margins, factors."""


def build(
    graph: Graph,
    precision: CoremlPrecision,
    *,
    in_float32: Set[str] = frozenset(),
    quantized: QuantizedGraph | None = None,
    others: Sequence[Mapping[str, Shape]] = (),
) -> Any:
    """Write a graph as a MIL program whose ends are pictures of bytes.

    Args:
        graph: What to write.
        precision: Of weights and arithmetic.
        in_float32: Tensors that float16 does not hold; what reads or writes one stays in float32.
        quantized: For int8, the same graph's integers; what it keeps in float runs in float16 here, unrounded.
        others: The shapes of the graph's tensors at each other size that the program takes too.

    Raises:
        UnsupportedLayer: If an operation has no form in MIL, or none that serves all sizes; the message names it.
    """
    target = coremltools.target.iOS17 if precision == "int8" else coremltools.target.iOS16
    shapes = (graph.shapes, *others)
    writing = _Writing(graph, precision, in_float32, quantized, shapes)
    entry = entry_shape([each[graph.input] for each in shapes])
    sides = entry.symbolic_shape if isinstance(entry, coremltools.EnumeratedShapes) else entry

    # The name of the argument becomes that of the program's input.
    @mb.program(input_specs=[mb.TensorSpec(shape=sides)], opset_version=target)
    def program(image: Var) -> Var:
        return writing.run(image)

    return program


def entry_shape(shapes: Sequence[Shape]) -> Any:
    """What the input is declared as: one `(1, channels, height, width)`, or coremltools' set of them, the first of
    which is what a package is made ready for when it is loaded.
    """
    first, *others = ((1, channels, height, width) for height, width, channels in shapes)
    return coremltools.EnumeratedShapes([first, *others], default=first) if others else first


@dataclass(frozen=True)
class _Site:
    """Where an operation is written: what its constants are stored as."""

    dtype: Any
    """np.float16 or np.float32."""
    precision: CoremlPrecision
    quantized: QuantizedGraph | None
    shapes: Sequence[Mapping[str, Shape]]
    """`(height, width, channels)` of every tensor, at each size that the program takes."""

    @property
    def is_flexible(self) -> bool:
        """Whether there are several sizes."""
        return len(self.shapes) > 1

    def geometry(self, operation: Operation, of: Callable[[Shape, Shape], Geometry]) -> Geometry:
        """What follows from the shapes of an operation's input and output, which must be the same at every size.

        Raises:
            UnsupportedLayer: If it is not: a program has one operation for all sizes.
        """
        found = [of(shapes[operation.inputs[0]], shapes[operation.output]) for shapes in self.shapes]
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
        """Store a kernel, grown by rows and columns of zeros, its axes permuted and reshaped as MIL has them, output
        channels along `axis`.
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
                indices=weights.pack(indices, bits), lut=self.array(table), shape=np.array(kernel.shape, np.uint32)
            )
        return self.array(kernel)

    def _integers(self, integers: np.ndarray, scales: np.ndarray, axis: int) -> Var:
        return mb.constexpr_affine_dequantize(
            quantized_data=integers, zero_point=np.int8(0), scale=self.array(scales), axis=np.int32(axis)
        )


class _Writing:
    """A program in the making and the values written so far, by the graph's names."""

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

    def run(self, image: Var) -> Var:
        usual = self._site(wide=False)
        centred = mb.sub(x=_as(image, usual), y=usual.number(WHITE_HALF))
        signed = mb.mul(x=centred, y=usual.number(1 / WHITE_HALF))
        self.values[self.graph.input] = self._rounded(self.graph.input, signed, usual)
        for operation in self.graph.operations:
            self._write(operation)
        return self._leave()

    def _site(self, *, wide: bool) -> _Site:
        dtype = np.float32 if wide or self.precision == "fp32" else np.float16
        return _Site(dtype, self.precision, self.quantized, self.shapes)

    def _write(self, operation: Operation) -> None:
        touched = {operation.output, *operation.inputs}
        site = self._site(wide=bool(touched & self.in_float32) or _needs_float32(operation))
        inputs = [_as(self.values[name], site) for name in operation.inputs]
        if isinstance(operation, Quantize | Dequantize):
            # MIL's values are float anyway: the one is what int8 can say of a value, the other is the value as it is.
            self.values[operation.output] = self._rounded(operation.output, inputs[0], site)
            return
        result = emit(operation, site, *inputs)
        fused: FusedActivation = getattr(operation, "activation", "none")
        if fused != "none":
            result = _FUNCTIONS[fused](x=result)
        result.name = _identifier(operation.output)
        if not isinstance(operation, _COPIES_VALUES):
            result = self._rounded(operation.output, result, site)
        self.values[operation.output] = result

    def _rounded(self, name: str, value: Var, site: _Site) -> Var:
        """In int8, what the tensor's integers can say of a value: Core ML's kernels run on integers between such pairs.

        A scale below float16's smallest normal number belongs to a tensor that is all but zero; it stays float. So does
        what is kept in float, which has no scale.
        """
        if self.quantized is None:
            return value
        scale = self.quantized.tensors.get(name)
        if scale is None or scale.scale < np.finfo(np.float16).tiny:
            return value
        return _through_int8(value, scale, site)

    def _leave(self) -> Var:
        """Turn the result in [-1, 1] into bytes' values in [0, 255]. The last operation names the program's output."""
        usual = self._site(wide=False)
        signed = _as(self.values[self.graph.output], usual)
        last = self.graph.operations[-1]
        if not (isinstance(last, Activate) and last.function in ("tanh", "sigmoid")):
            signed = mb.clip(x=signed, alpha=usual.number(-1), beta=usual.number(1))
        stretched = mb.mul(x=signed, y=usual.number(WHITE_HALF))
        picture = mb.add(x=stretched, y=usual.number(WHITE_HALF))
        # An image end is float32 in MIL, also where the program runs in float16: so Apple's own converters write it.
        picture = picture if self.precision == "fp32" else mb.cast(x=picture, dtype="fp32")
        signed.name, picture.name = f"{self.graph.output}_signed", self.graph.output
        return picture


def _as(value: Var, site: _Site) -> Var:
    wanted = "fp16" if site.dtype is np.float16 else "fp32"
    is_half = value.dtype is coremltools.converters.mil.mil.types.fp16
    return value if is_half == (wanted == "fp16") else mb.cast(x=value, dtype=wanted)


def _through_int8(value: Var, scale: TensorScale, site: _Site) -> Var:
    step = {"scale": site.number(scale.scale), "zero_point": np.int8(scale.zero_point)}
    integers = mb.quantize(input=value, output_dtype="int8", **step)
    return mb.dequantize(input=integers, **step)


def _identifier(name: str) -> str:
    """MIL's names are those of C."""
    identifier = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{identifier}" if identifier[0].isdigit() else identifier


def _needs_float32(operation: Operation) -> bool:
    """Squares that float16 overflows at 256, or an epsilon that it takes for zero."""
    if not isinstance(operation, InstanceNorm):
        return False
    return not _is_fusable(operation) or np.float16(operation.epsilon) == 0


def _is_fusable(operation: InstanceNorm) -> bool:
    return operation.epsilon_on == "variance" and not operation.channels_together


@singledispatch
def emit(operation: Operation, site: _Site, *inputs: Var) -> Var:
    """Write one operation, without its fused activation."""
    kind = type(operation).__name__
    raise UnsupportedLayer(f"layer {operation.output} ({kind}) has no form in Core ML; export it with tflite.")


@emit.register
def _(operation: Convolution, site: _Site, features: Var) -> Var:
    height, width, taken, made = operation.kernel.shape
    kernel = site.kernel(operation, (3, 2, 0, 1), (made, taken, height, width), axis=0)
    return _convolve(operation, site, features, kernel, groups=1)


@emit.register
def _(operation: DepthwiseConvolution, site: _Site, features: Var) -> Var:
    height, width, taken, multiplier = operation.kernel.shape
    kernel = site.kernel(operation, (2, 3, 0, 1), (taken * multiplier, 1, height, width), axis=0)
    return _convolve(operation, site, features, kernel, groups=taken)


def _convolve(operation: Weighted, site: _Site, features: Var, kernel: Var, *, groups: int) -> Var:
    height, width = operation.kernel.shape[:2]
    margins = site.geometry(operation, lambda given, _: margins_of(operation, given[:2], (height, width)))
    return mb.conv(
        x=features,
        weight=kernel,
        bias=site.array(operation.bias),
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
def _(operation: TransposedConvolution, site: _Site, features: Var) -> Var:
    if operation.dilation != (1, 1):
        raise UnsupportedLayer(
            f"layer {operation.output} (TransposedConvolution) has a dilation of {operation.dilation}; expected (1, 1)."
        )
    height, width, made, taken = operation.kernel.shape

    def beyond(given: Shape, wanted: Shape) -> list[int]:
        sides = zip(given, operation.strides, (height, width), wanted, strict=False)
        return [(side - 1) * stride + reach - want for side, stride, reach, want in sides]

    cut = site.geometry(operation, beyond)
    # Where the kernel does not reach the last pixels, zeros make it.
    grown = (max(-cut[0], 0), max(-cut[1], 0))
    shape = (taken, made, height + grown[0], width + grown[1])
    kernel = site.kernel(operation, (3, 2, 0, 1), shape, axis=1, grown=grown)
    cut = [max(each, 0) for each in cut]
    before = [each // 2 if operation.padding == "same" else 0 for each in cut]
    return mb.conv_transpose(
        x=features,
        weight=kernel,
        bias=site.array(operation.bias),
        strides=operation.strides,
        pad_type="custom",
        pad=[before[0], cut[0] - before[0], before[1], cut[1] - before[1]],
        output_shape=None if site.is_flexible else [1, made, *operation.shape[:2]],
    )


@emit.register
def _(operation: Add, site: _Site, first: Var, second: Var) -> Var:
    return mb.add(x=first, y=second)


@emit.register
def _(operation: Multiply, site: _Site, first: Var, second: Var) -> Var:
    return mb.mul(x=first, y=second)


@emit.register
def _(operation: Mean, site: _Site, features: Var) -> Var:
    return mb.reduce_mean(x=features, axes=[_HEIGHT, _WIDTH], keep_dims=True)


@emit.register
def _(operation: Pool, site: _Site, features: Var) -> Var:
    padding = _padding(site.geometry(operation, lambda given, _: margins_of(operation, given[:2], operation.size)))
    windows = {"x": features, "kernel_sizes": operation.size, "strides": operation.strides, **padding}
    if operation.kind == "max":
        return mb.max_pool(**windows)
    return mb.avg_pool(exclude_padding_from_average=True, **windows)


@emit.register
def _(operation: Resize, site: _Site, images: Var) -> Var:
    def scales(given: Shape, wanted: Shape) -> tuple[int, int]:
        if wanted[0] % given[0] or wanted[1] % given[1]:
            raise UnsupportedLayer(
                f"layer {operation.output} (Resize) goes from {given[:2]} to {wanted[:2]} pixels; expected whole "
                "multiples."
            )
        return wanted[0] // given[0], wanted[1] // given[1]

    down, across = site.geometry(operation, scales)
    factors = {"scale_factor_height": np.float32(down), "scale_factor_width": np.float32(across)}
    if operation.method == "nearest":
        return mb.upsample_nearest_neighbor(x=images, **factors)
    return mb.upsample_bilinear(x=images, align_corners=False, half_pixel_centers=True, **factors)


@emit.register
def _(operation: SpaceToDepth, site: _Site, images: Var) -> Var:
    return mb.space_to_depth(x=images, block_size=operation.block_size)


@emit.register
def _(operation: DepthToSpace, site: _Site, features: Var) -> Var:
    return mb.depth_to_space(x=features, block_size=operation.block_size)


@emit.register
def _(operation: Pad, site: _Site, images: Var) -> Var:
    mode = "reflect" if operation.mode == "reflect" else "constant"
    # The constant must be of the images' type, even where none is used.
    return mb.pad(x=images, pad=[*operation.margins[0], *operation.margins[1]], mode=mode, constant_val=site.number(0))


@emit.register
def _(operation: Crop, site: _Site, images: Var) -> Var:
    return mb.crop(x=images, crop_height=operation.margins[0], crop_width=operation.margins[1])


@emit.register
def _(operation: Concatenate, site: _Site, *parts: Var) -> Var:
    return mb.concat(values=parts, axis=_AXES[operation.axis])


@emit.register
def _(operation: InstanceNorm, site: _Site, features: Var) -> Var:
    if _is_fusable(operation):
        return mb.instance_norm(
            x=features,
            gamma=site.array(operation.gamma),
            beta=site.array(operation.beta),
            epsilon=site.number(operation.epsilon),
        )
    axes = [_CHANNELS, _HEIGHT, _WIDTH] if operation.channels_together else [_HEIGHT, _WIDTH]
    centred = mb.sub(x=features, y=mb.reduce_mean(x=features, axes=axes, keep_dims=True))
    variance = mb.reduce_mean(x=mb.mul(x=centred, y=centred), axes=axes, keep_dims=True)
    if operation.epsilon_on == "variance":
        deviation = mb.sqrt(x=mb.add(x=variance, y=site.number(operation.epsilon)))
    else:
        deviation = mb.add(x=mb.sqrt(x=variance), y=site.number(operation.epsilon))
    gain = mb.real_div(x=site.array(operation.gamma.reshape(1, -1, 1, 1)), y=deviation)
    return mb.add(x=mb.mul(x=centred, y=gain), y=site.array(operation.beta.reshape(1, -1, 1, 1)))


@emit.register
def _(operation: Activate, site: _Site, features: Var) -> Var:
    if operation.function == "leaky_relu":
        return mb.leaky_relu(x=features, alpha=site.number(operation.slope))
    return _FUNCTIONS[operation.function](x=features)


_FUNCTIONS: Mapping[Function, Any] = {"relu": mb.relu, "relu6": mb.relu6, "tanh": mb.tanh, "sigmoid": mb.sigmoid}
