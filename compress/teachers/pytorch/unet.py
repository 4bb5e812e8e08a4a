"""U-Net generators in state dicts of junyanz/pytorch-CycleGAN-and-pix2pix, blocks nested within each other.

`model.model.0.weight` is the outermost convolution, `model.model.1.model.1.weight` the next one, and so on inwards; the
transposed convolutions lie behind the nested block, at index 3 (outermost, innermost) or 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from compress.errors import UnusableModel, UsageError
from compress.teachers.description import GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.pytorch.layers import (
    Norms,
    Parameters,
    add_padded_convolution,
    add_transposed,
    channels_convention,
    is_convolution,
    is_norm,
    judge_norms,
    make_rgb,
    take_rgb,
    unfit_tensors,
)
from compress.teachers.pytorch.networks import Layers
from compress.teachers.pytorch.unseen import UnseenLayers
from compress.teachers.reading.config import Padding

NAME = "a pix2pix U-Net generator"
FORMAT = "PyTorch pix2pix U-Net generator"
LEAKY_SLOPE = 0.2


@dataclass
class _Level:
    """One level of the U: a convolution down, the level within, a transposed convolution up."""

    down: Parameters = field(default_factory=dict)
    down_norm: Parameters | None = None
    up: Parameters = field(default_factory=dict)
    up_norm: Parameters | None = None
    numbers: tuple[int, int, int] = (0, 0, 0)
    """Numbers of the convolution down, of the level within (in the innermost one, the activation) and up."""

    def pairs(self) -> Iterator[tuple[Parameters, Parameters | None]]:
        yield self.down, self.down_norm
        yield self.up, self.up_norm


def misfit(layers: Layers) -> str | None:
    """Return what keeps a network from being of this family; None where nothing does."""
    spines = sorted({place[:-1] for place in layers}, key=len)
    if len(spines) < 2 or any(len(one) + 1 != len(other) or other[:-1] != one for one, other in pairwise(spines)):
        return "its layers are not nested within each other, one block in each"
    for spine in spines:
        level = [parameters for place, parameters in layers.items() if place[:-1] == spine]
        kernels = [parameters["weight"].shape for parameters in level if is_convolution(parameters)]
        if len(kernels) != 2 or any(shape[2:] != (4, 4) for shape in kernels):
            sizes = ", ".join("x".join(map(str, shape[2:])) for shape in kernels)
            return (
                f"its level {len(spine) + 1} has convolutions of {sizes or 'no size'}; expected a 4x4 down and a 4x4 up"
            )
    return None


def describe(layers: Layers, padding: Padding | None, unseen: UnseenLayers) -> GeneratorDescription:
    """Describe a network.

    Args:
        layers: Its layers by their places.
        padding: What the user says of it; its convolutions pad zeros themselves.
        unseen: What its layers without weights are.

    Raises:
        UsageError: If the user says that another padding is there.
        UnusableModel: If a level holds more than a U-Net's.
    """
    if padding not in (None, "zero"):
        raise UsageError(
            f"padding = {padding}, but no layer of a U-Net pads; its convolutions pad zeros. Leave it out."
        )
    levels = [_level(layers, depth) for depth in sorted({len(place) for place in layers})]
    _check_numbers(levels)
    _mark_unseen_norms(levels)
    pairs = [pair for level in levels for pair in level.pairs()]
    norms = judge_norms(pairs)
    if any(norm == {} for _, norm in pairs) and unseen.kind_of("Norm", norms.convention.because) == "identity":
        for level in levels:
            level.down_norm, level.up_norm = level.down_norm or None, level.up_norm or None
        norms = judge_norms(pair for level in levels for pair in level.pairs())
    levels[0].down, grey_in = take_rgb(levels[0].down)
    levels[0].up, grey_out = make_rgb(levels[0].up, axis=1)
    writer = GraphWriter()
    _write(writer, levels, norms)
    unseen.add_last(writer)
    told = channels_convention(grey_in=grey_in, grey_out=grey_out)
    told += [norms.convention] if "norm" not in unseen.topics() else []
    described = writer.finish(FORMAT, (None, None, 3))
    return replace(described, conventions=tuple(told), batch_norm_told=not norms.batch)


def _level(layers: Layers, depth: int) -> _Level:
    level = _Level()
    convolutions = []
    for place, parameters in layers.items():
        if len(place) != depth:
            continue
        if is_convolution(parameters):
            convolutions.append(place[-1])
            level.down, level.up = (level.down, parameters) if level.down else (parameters, {})
        elif is_norm(parameters) and level.up:
            level.up_norm = parameters
        elif is_norm(parameters):
            level.down_norm = parameters
        else:
            raise unfit_tensors(f"its level {depth}", parameters)
    within = {place[depth - 1] for place in layers if len(place) > depth} or {convolutions[0] + 1}
    level.numbers = (convolutions[0], within.pop(), convolutions[1])
    return level


def _check_numbers(levels: list[_Level]) -> None:
    """Refuse levels whose numbers leave room for anything but activations and norms."""
    for depth, level in enumerate(levels, start=1):
        down, within, up = level.numbers
        ends = depth in (1, len(levels))
        behind = 1 if depth == len(levels) else 2
        if down != (depth > 1) or up - within != behind or within - down not in ((1,) if ends else (1, 2)):
            raise UnusableModel(
                f"level {depth} of this U-Net has its convolutions at {down} and {up} and the level within at "
                f"{within}; pix2pix has only an activation and a norm between them."
            )


def _mark_unseen_norms(levels: list[_Level]) -> None:
    """Mark norms of which the file holds nothing: none down at both ends of the U, and none up at its outermost."""
    between = levels[1:-1]
    for level in between:
        if level.numbers[1] - level.numbers[0] == 2 and level.down_norm is None:
            level.down_norm = {}
    if all(level.down_norm is not None for level in between):
        for level in levels[1:]:
            level.up_norm = level.up_norm or {}


def _write(writer: GraphWriter, levels: list[_Level], norms: Norms) -> None:
    skips: list[str] = []
    for level in levels:
        if skips:
            writer.add("LeakyReLU", {"negative_slope": LEAKY_SLOPE})
        add_padded_convolution(writer, level.down, "zero", strides=2)
        norms.add(writer, level.down_norm)
        skips.append(writer.last)
    for level, skip in reversed(list(zip(levels, skips, strict=True))):
        if level is not levels[-1]:
            writer.add("Concatenate", {"axis": -1}, inputs=(skip, writer.last))
        writer.add("Activation", {"activation": "relu"})
        add_transposed(writer, level.up)
        norms.add(writer, level.up_norm)
