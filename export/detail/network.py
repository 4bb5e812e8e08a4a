"""The lens's detail beyond the model's size as a deploy graph: windows, thresholds and gains of `export.lens.detail`.

The lens adds `gain * (photo - image)` to what was generated, with all but the photo enlarged. Here that is ordered as
`photo + (generated - image) + (gain - 1) * (photo - image)`: where the model changes nothing, only zeros are added, and
the photo comes back to the bit, in floats too.
"""

from collections.abc import Sequence
from typing import Any

from export.graph.operations import (
    INPUT,
    OUTPUT,
    Activate,
    Add,
    Affine,
    Clip,
    Divide,
    Graph,
    Multiply,
    Operation,
    Pad,
    Pool,
    Resize,
    Shape,
    Subtract,
)
from export.lens.detail import FLAT, LARGEST, MISFIT, RADIUS_PX, SMOOTHING_PX

PHOTO, DETAILED = "photo", "detailed"
"""Names of the large input and of the output; the small inputs are called as a student's own input and output."""
_UNIT = 127.5
"""Steps of a byte that the graph's 1 is: pictures lie in -1..1."""


def build_detail_graph(photo_px: int, image_px: int, *, bounded: bool) -> Graph:
    """Build the graph of three pictures in -1..1: the photo's square, the same as the model saw it, what it made of it.

    Args:
        photo_px: Side of the photo's square and of the output, pixels.
        image_px: Side of the others.
        bounded: Whether the output is kept in -1..1; else it goes beyond, where bytes end by themselves.
    """
    large, small = (photo_px, photo_px, 3), (image_px, image_px, 3)
    writer = _Writer({PHOTO: large, INPUT: small, OUTPUT: small})
    layers = {"excess": _write_excess(writer), "change": writer.add(Subtract, "change", OUTPUT, INPUT), "seen": INPUT}
    excess, change, seen = (
        writer.add(Resize, f"{name}_enlarged", layer, shape=large, method="bilinear") for name, layer in layers.items()
    )
    unseen = writer.add(Subtract, "unseen", PHOTO, seen)
    kept = writer.add(Multiply, "kept_unseen", excess, unseen)
    changed = writer.add(Add, "changed", PHOTO, change)
    made = writer.add(Add, "unbounded" if bounded else DETAILED, changed, kept)
    if bounded:
        made = writer.add(Clip, DETAILED, made, least=-1.0, greatest=1.0)
    return Graph(
        input=PHOTO,
        output=made,
        input_shape=large,
        operations=tuple(writer.operations),
        other_inputs={INPUT: small, OUTPUT: small},
    )


class _Writer:
    """The operations that are written so far, and the shapes of all tensors."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.operations: list[Operation] = []
        self.shapes = shapes

    def add(
        self, kind: type[Operation], output: str, /, *inputs: str, shape: Shape | None = None, **fields: Any
    ) -> str:
        """Append an operation, whose output is shaped as its first input where no shape is given."""
        self.shapes[output] = self.shapes[inputs[0]] if shape is None else shape
        self.operations.append(kind(inputs=inputs, output=output, shape=self.shapes[output], **fields))
        return output

    def pad(self, name: str, source: str, pixels: int) -> str:
        """Append a border that repeats the picture's own."""
        height, width, channels = self.shapes[source]
        shape = (height + 2 * pixels, width + 2 * pixels, channels)
        return self.add(Pad, name, source, shape=shape, margins=((pixels, pixels),) * 2, mode="replicate")

    def window_means(self, name: str, source: str, radius: int) -> str:
        """Append the mean of each window that lies inside: along columns, then along rows, which is a third faster."""
        height, width, channels = self.shapes[source]
        side = 2 * radius + 1
        fields = {"kind": "average", "strides": (1, 1), "padding": "valid"}
        shape = (height - 2 * radius, width, channels)
        columns = self.add(Pool, f"{name}_columns", source, shape=shape, size=(side, 1), **fields)
        shape = (height - 2 * radius, width - 2 * radius, channels)
        return self.add(Pool, name, columns, shape=shape, size=(1, side), **fields)


def _write_excess(writer: _Writer) -> str:
    """Write by how much each place's gain exceeds 1, step by step what `local_gain` does."""
    one, other = (writer.pad(f"{name}_padded", name, RADIUS_PX + SMOOTHING_PX) for name in (INPUT, OUTPUT))
    means = [writer.window_means(f"{name}_mean", name, RADIUS_PX) for name in (one, other)]
    variance = _write_covariance(writer, "variance", (one, one), (means[0], means[0]))
    shared = _write_covariance(writer, "covariance", (one, other), means)
    spread = _write_covariance(writer, "generated_variance", (other, other), (means[1], means[1]))
    flat, misfit = FLAT / _UNIT**2, MISFIT / _UNIT**2
    widened = (writer.add(Affine, f"{name}_widened", name, offset=flat) for name in (shared, variance))
    gain = writer.add(Divide, "gain", *widened)
    # What the fit leaves is spread - gain * (2 * shared - gain * variance).
    explained = writer.add(Multiply, "explained", gain, variance)
    unexplained = writer.add(Subtract, "unexplained", shared, explained)
    doubled = writer.add(Add, "doubled", shared, unexplained)
    fitted = writer.add(Multiply, "fitted", gain, doubled)
    left = writer.add(Subtract, "misfit", spread, fitted)
    positive = writer.add(Activate, "misfit_positive", left, function="relu")
    exponent = writer.add(Affine, "exponent", positive, gain=-1 / misfit)
    sure = writer.add(Activate, "sure", exponent, function="exp")
    bounded = writer.add(Clip, "gain_bounded", gain, least=-LARGEST, greatest=LARGEST)
    kept = writer.add(Multiply, "gain_kept", bounded, sure)
    # Before the mean: a mean of zeros is zero, one of ones may be a rounding beside one.
    excess = writer.add(Affine, "gain_excess", kept, offset=-1.0)
    return writer.window_means("gain_excess_mean", excess, SMOOTHING_PX)


def _write_covariance(writer: _Writer, name: str, pair: Sequence[str], means: Sequence[str]) -> str:
    product = writer.add(Multiply, f"{name}_product", *pair)
    mean = writer.window_means(f"{name}_product_mean", product, RADIUS_PX)
    return writer.add(Subtract, name, mean, writer.add(Multiply, f"{name}_means", *means))
