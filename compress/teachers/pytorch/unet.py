"""U-Net generators in state dicts of junyanz/pytorch-CycleGAN-and-pix2pix, blocks nested within each other.

`model.model.0.weight` is the outermost convolution, `model.model.1.model.1.weight` the next one, and so on inwards; the
transposed convolutions lie behind the nested block, at index 3 (outermost, innermost) or 5.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.pytorch.layers import Parameters, add_norm

FORMAT = "PyTorch pix2pix U-Net generator (.pth)"
LEAKY_SLOPE = 0.2

_NESTED = re.compile(r"^model((?:\.model\.\d+)+)\.(weight|bias|running_mean|running_var)$")


@dataclass
class _Block:
    """One level of the U: a convolution down, the level within, a transposed convolution up."""

    down: Parameters = field(default_factory=dict)
    down_norm: Parameters = field(default_factory=dict)
    up: Parameters = field(default_factory=dict)
    up_norm: Parameters = field(default_factory=dict)


def accepts(state: Mapping[str, Any]) -> bool:
    """Check whether a state dict is of this family: names nested in each other."""
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    return bool(names) and all(_NESTED.match(name) for name in names)


def describe(state: Mapping[str, np.ndarray]) -> GeneratorDescription:
    """Describe a state dict.

    Raises:
        UnusableModel: If a level lacks one of its convolutions, or one is not 4x4.
    """
    blocks = _blocks(state)
    writer = GraphWriter()
    skips: list[str] = []
    for depth, block in enumerate(blocks):
        if depth:
            writer.add("LeakyReLU", {"negative_slope": LEAKY_SLOPE})
        _add_down(writer, block.down)
        if 0 < depth < len(blocks) - 1:
            add_norm(writer, block.down_norm)
        skips.append(writer.last)
    for depth, block in reversed(list(enumerate(blocks))):
        if depth < len(blocks) - 1:
            writer.add("Concatenate", {"axis": -1}, inputs=(skips[depth], writer.last))
        writer.add("Activation", {"activation": "relu"})
        _add_up(writer, block.up)
        if depth:
            add_norm(writer, block.up_norm)
    writer.add("Activation", {"activation": "tanh"})
    return writer.finish(FORMAT, (None, None, 3))


def _blocks(state: Mapping[str, np.ndarray]) -> list[_Block]:
    levels: dict[int, dict[int, Parameters]] = {}
    for name, value in state.items():
        if match := _NESTED.match(name):
            places = [int(place) for place in re.findall(r"\d+", match[1])]
            levels.setdefault(len(places), {}).setdefault(places[-1], {})[match[2]] = value
    return [_block(levels[depth]) for depth in sorted(levels)]


def _block(layers: dict[int, Parameters]) -> _Block:
    block = _Block()
    for _, parameters in sorted(layers.items()):
        if parameters["weight"].ndim == 4 and not block.down:
            block.down = parameters
        elif parameters["weight"].ndim == 4:
            block.up = parameters
        elif block.up:
            block.up_norm = parameters
        else:
            block.down_norm = parameters
    for convolution in (block.down, block.up):
        if not convolution or convolution["weight"].shape[2:] != (4, 4):
            raise UnusableModel(
                "a level of this U-Net has not one 4x4 convolution down and one up, as pix2pix writes it."
            )
    return block


def _add_down(writer: GraphWriter, parameters: Parameters) -> None:
    kernel, bias = parameters["weight"].transpose(2, 3, 1, 0), parameters.get("bias")
    writer.add("ZeroPadding2D", {"padding": 1})
    config = {"filters": kernel.shape[3], "kernel_size": [4, 4], "strides": [2, 2], "use_bias": bias is not None}
    writer.add("Conv2D", config, weights={"kernel": kernel, "bias": bias})


def _add_up(writer: GraphWriter, parameters: Parameters) -> None:
    """Write a ConvTranspose2d(4, stride 2, padding 1), which drops one pixel of the full result at every side."""
    kernel, bias = parameters["weight"].transpose(2, 3, 1, 0), parameters.get("bias")
    config = {"filters": kernel.shape[2], "kernel_size": [4, 4], "strides": [2, 2], "use_bias": bias is not None}
    writer.add("Conv2DTranspose", config, weights={"kernel": kernel, "bias": bias})
    writer.add("Cropping2D", {"cropping": 1})
