"""ResNet generators in state dicts of junyanz/pytorch-CycleGAN-and-pix2pix and its many relatives.

Relatives include mit-han-lab/gan-compression, whose mobile and sub-mobile generators have separable convolutions in
their blocks and any list of channels. Names differ between relatives (`model.10.conv_block.1.weight`,
`model.10.block.1.weight`, `model.10.conv_block.1.conv.0.weight`), shapes and order do not, so layers are found by the
order of their numbers and the shape of their weights.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.pytorch.layers import Parameters, add_norm

FORMAT = "PyTorch CycleGAN ResNet generator (.pth)"
MOBILE_FORMAT = "PyTorch GAN Compression mobile ResNet generator (.pth)"

_NUMBERED = re.compile(r"^model\.(\d+)(?:\.\w+\.(\d+)(?:\.conv\.(\d+))?)?\.(weight|bias|running_mean|running_var)$")


def accepts(state: Mapping[str, np.ndarray]) -> bool:
    """Check whether a state dict is of this family: numbered layers, convolutions from RGB to RGB."""
    convolutions = [value for value in state.values() if value.ndim == 4]
    numbered = all(_NUMBERED.match(name) or name.endswith("num_batches_tracked") for name in state)
    # A PatchGAN's layers are numbered too, and begin at RGB, but end in one channel.
    return bool(convolutions) and numbered and convolutions[0].shape[1] == convolutions[-1].shape[0] == 3


def describe(state: Mapping[str, np.ndarray]) -> GeneratorDescription:
    """Describe a state dict.

    Raises:
        UnusableModel: If the order of layers is not that of a ResNet generator.
    """
    stem, blocks, head = _split(_group(state))
    writer = GraphWriter()
    _add_reflected_convolution(writer, stem[0].convolution)
    _add_norm_and_relu(writer, stem[0])
    for step in stem[1:]:
        _add_downsampling(writer, step)
    for block in blocks:
        _add_block(writer, block)
    for step in head[:-1]:
        _add_upsampling(writer, step)
    _add_reflected_convolution(writer, head[-1].convolution)
    writer.add("Activation", {"activation": "tanh"})
    mobile = any(_is_depthwise(step) for block in blocks for step in block)
    return writer.finish(MOBILE_FORMAT if mobile else FORMAT, (None, None, 3))


@dataclass
class _ConvNorm:
    """Convolution and the norm behind it; an InstanceNorm without affine weights leaves none in a file."""

    convolution: Parameters
    norm: Parameters = field(default_factory=dict)


Place = tuple[int, int]
"""Number of a layer within its block, and within the separable convolution there; -1 outside of one."""

_TOP_LEVEL: Place = (-1, -1)


def _group(state: Mapping[str, np.ndarray]) -> dict[int, dict[Place, Parameters]]:
    """Group weights by the number of their top-level layer, then by their place within it."""
    groups: dict[int, dict[Place, Parameters]] = {}
    for name, value in state.items():
        if match := _NUMBERED.match(name):
            top, inner, part, role = match.groups()
            place = (int(inner or -1), int(part or -1))
            groups.setdefault(int(top), {}).setdefault(place, {})[role] = value
    return dict(sorted(groups.items()))


def _split(
    groups: dict[int, dict[Place, Parameters]],
) -> tuple[list[_ConvNorm], list[list[_ConvNorm]], list[_ConvNorm]]:
    """Split the layers into those before the residual blocks, the blocks, and those after."""
    block_numbers = [number for number, members in groups.items() if _TOP_LEVEL not in members]
    if not block_numbers:
        raise UnusableModel("this state dict has no residual blocks; a CycleGAN ResNet generator has 6 or 9.")
    before = [members[_TOP_LEVEL] for number, members in groups.items() if number < min(block_numbers)]
    after = [members[_TOP_LEVEL] for number, members in groups.items() if number > max(block_numbers)]
    blocks = [_steps([inner for _, inner in sorted(groups[number].items())]) for number in block_numbers]
    stem, head = _steps(before), _steps(after)
    if not stem or not head or any(not _is_residual(block) for block in blocks):
        raise UnusableModel(
            f"this state dict has {len(stem)} convolutions, {len(blocks)} blocks and {len(head)} convolutions; "
            "a CycleGAN ResNet generator has convolutions on both sides and two, plain or separable, in each block."
        )
    return stem, blocks, head


def _steps(layers: list[Parameters]) -> list[_ConvNorm]:
    steps: list[_ConvNorm] = []
    for parameters in layers:
        if "weight" in parameters and parameters["weight"].ndim == 4:
            steps.append(_ConvNorm(parameters))
        elif steps:
            steps[-1].norm = parameters
    return steps


def _add_reflected_convolution(writer: GraphWriter, parameters: Parameters) -> None:
    _add_reflection(writer, parameters)
    _add_convolution(writer, parameters)


def _add_reflected_depthwise(writer: GraphWriter, parameters: Parameters) -> None:
    _add_reflection(writer, parameters)
    kernel = parameters["weight"].transpose(2, 3, 0, 1)
    bias = parameters.get("bias")
    config = {"kernel_size": list(kernel.shape[:2]), "use_bias": bias is not None}
    writer.add("DepthwiseConv2D", config, weights={"kernel": kernel, "bias": bias})


def _add_reflection(writer: GraphWriter, parameters: Parameters) -> None:
    if margin := parameters["weight"].shape[-1] // 2:
        writer.add("ReflectionPadding2D", {"padding": ((margin, margin), (margin, margin))})


def _add_convolution(writer: GraphWriter, parameters: Parameters, *, strides: int = 1) -> None:
    kernel = parameters["weight"].transpose(2, 3, 1, 0)
    config = {"filters": kernel.shape[3], "kernel_size": list(kernel.shape[:2]), "strides": strides}
    bias = parameters.get("bias")
    writer.add("Conv2D", {**config, "use_bias": bias is not None}, weights={"kernel": kernel, "bias": bias})


def _add_downsampling(writer: GraphWriter, step: _ConvNorm) -> None:
    margin = step.convolution["weight"].shape[-1] // 2
    writer.add("ZeroPadding2D", {"padding": margin})
    _add_convolution(writer, step.convolution, strides=2)
    _add_norm_and_relu(writer, step)


def _add_upsampling(writer: GraphWriter, step: _ConvNorm) -> None:
    """Write a ConvTranspose2d(3, stride 2, padding 1, output_padding 1), which drops the first row and column."""
    kernel = step.convolution["weight"].transpose(2, 3, 1, 0)
    if kernel.shape[:2] != (3, 3) or kernel.shape[3] != _channels(writer):
        raise UnusableModel(
            f"an up-sampling layer has a kernel of {step.convolution['weight'].shape}; "
            "expected a ConvTranspose2d of 3x3 with stride 2, as pytorch-CycleGAN-and-pix2pix writes it."
        )
    bias = step.convolution.get("bias")
    config = {"filters": kernel.shape[2], "kernel_size": 3, "strides": 2, "use_bias": bias is not None}
    writer.add("Conv2DTranspose", config, weights={"kernel": kernel, "bias": bias})
    writer.add("Cropping2D", {"cropping": ((1, 0), (1, 0))})
    _add_norm_and_relu(writer, step)


def _add_block(writer: GraphWriter, block: list[_ConvNorm]) -> None:
    """Write two convolutions, plain or separable, with a ReLU between them; a separable one is two of `block`."""
    entry = writer.last
    for number, step in enumerate(block, start=1):
        if _is_depthwise(step):
            _add_reflected_depthwise(writer, step.convolution)
        else:
            _add_reflected_convolution(writer, step.convolution)
        add_norm(writer, step.norm)
        if 2 * number == len(block):
            writer.add("Activation", {"activation": "relu"})
    writer.add("Add", {}, inputs=(entry, writer.last))


def _is_residual(block: list[_ConvNorm]) -> bool:
    return [_is_depthwise(step) for step in block] in ([False, False], [True, False, True, False])


def _is_depthwise(step: _ConvNorm) -> bool:
    return step.convolution["weight"].shape[1] == 1 and step.convolution["weight"].shape[0] > 1


def _add_norm_and_relu(writer: GraphWriter, step: _ConvNorm) -> None:
    add_norm(writer, step.norm)
    writer.add("Activation", {"activation": "relu"})


def _channels(writer: GraphWriter) -> int:
    """Return the output channels of the last written convolution."""
    return next(layer.config["filters"] for layer in reversed(writer.layers) if "filters" in layer.config)
