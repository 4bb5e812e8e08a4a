"""Read state dicts of junyanz/pytorch-CycleGAN-and-pix2pix and its many relatives: the ResNet generator.

Names differ between relatives (`model.10.conv_block.1.weight`, `model.10.block.1.weight`, `module.` in front), shapes
and order do not, so layers are found by the order of their numbers and the rank of their weights.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, GeneratorDescription, Kind, LayerDescription

FORMAT = "PyTorch CycleGAN ResNet generator (.pth)"
PYTORCH_NORM_EPSILON = 1e-5

_NUMBERED = re.compile(r"^model\.(\d+)(?:\.\w+\.(\d+))?\.(weight|bias|running_mean|running_var)$")
_NORM_ROLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


@dataclass
class GraphWriter:
    """Layers and weights of a description as they come, each layer fed by the one before unless told otherwise."""

    layers: list[LayerDescription] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    last: str = INPUT

    def add(
        self, kind: Kind, config: Mapping[str, Any], *, inputs: tuple[str, ...] = (), **weights: np.ndarray | None
    ) -> str:
        """Append a layer and return its name; a weight that is None is one that the layer does not have."""
        name = f"{kind.lower()}_{len(self.layers)}"
        self.layers.append(LayerDescription(name=name, kind=kind, config=config, inputs=inputs or (self.last,)))
        self.weights |= {f"{name}/{role}": value for role, value in weights.items() if value is not None}
        self.last = name
        return name


def accepts(state: Mapping[str, np.ndarray]) -> bool:
    """Whether a state dict is of this family: numbered layers, a first convolution from RGB, no depthwise ones."""
    convolutions = [value for value in state.values() if value.ndim == 4]
    numbered = all(_NUMBERED.match(name) or name.endswith("num_batches_tracked") for name in state)
    return bool(convolutions) and numbered and convolutions[0].shape[1] == 3


def describe(state: Mapping[str, np.ndarray]) -> GeneratorDescription:
    """Turn a state dict into a description.

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
    return GeneratorDescription(
        source_format=FORMAT,
        input_shape=(None, None, 3),
        layers=tuple(writer.layers),
        output=writer.last,
        weights=writer.weights,
    )


Parameters = dict[str, np.ndarray]


@dataclass
class _Step:
    """A convolution and the normalisation behind it; an InstanceNorm without affine weights leaves none in a file."""

    convolution: Parameters
    norm: Parameters = field(default_factory=dict)


def _group(state: Mapping[str, np.ndarray]) -> dict[int, dict[int, Parameters]]:
    """Sort weights by the number of their top-level layer, then of their layer within a block (-1: not in one)."""
    groups: dict[int, dict[int, Parameters]] = {}
    for name, value in state.items():
        if match := _NUMBERED.match(name):
            top, inner, role = match.groups()
            groups.setdefault(int(top), {}).setdefault(int(inner or -1), {})[role] = value
    return dict(sorted(groups.items()))


def _split(groups: dict[int, dict[int, Parameters]]) -> tuple[list[_Step], list[list[_Step]], list[_Step]]:
    """Part the layers into what comes before the residual blocks, the blocks, and what comes after."""
    block_numbers = [number for number, members in groups.items() if -1 not in members]
    if not block_numbers:
        raise UnusableModel("this state dict has no residual blocks; a CycleGAN ResNet generator has 6 or 9.")
    before = [members[-1] for number, members in groups.items() if number < min(block_numbers)]
    after = [members[-1] for number, members in groups.items() if number > max(block_numbers)]
    blocks = [_steps([inner for _, inner in sorted(groups[number].items())]) for number in block_numbers]
    stem, head = _steps(before), _steps(after)
    if not stem or not head or any(len(block) != 2 for block in blocks):
        raise UnusableModel(
            f"this state dict has {len(stem)} convolutions, {len(blocks)} blocks and {len(head)} convolutions; "
            "a CycleGAN ResNet generator has convolutions on both sides and two in each block."
        )
    return stem, blocks, head


def _steps(layers: list[Parameters]) -> list[_Step]:
    steps: list[_Step] = []
    for parameters in layers:
        if "weight" in parameters and parameters["weight"].ndim == 4:
            steps.append(_Step(parameters))
        elif steps:
            steps[-1].norm = parameters
    return steps


def _add_reflected_convolution(writer: GraphWriter, parameters: Parameters) -> None:
    margin = parameters["weight"].shape[-1] // 2
    writer.add("ReflectionPadding2D", {"padding": ((margin, margin), (margin, margin))})
    _add_convolution(writer, parameters)


def _add_convolution(writer: GraphWriter, parameters: Parameters, *, strides: int = 1) -> None:
    kernel = parameters["weight"].transpose(2, 3, 1, 0)
    config = {"filters": kernel.shape[3], "kernel_size": list(kernel.shape[:2]), "strides": strides}
    bias = parameters.get("bias")
    writer.add("Conv2D", {**config, "use_bias": bias is not None}, kernel=kernel, bias=bias)


def _add_downsampling(writer: GraphWriter, step: _Step) -> None:
    margin = step.convolution["weight"].shape[-1] // 2
    writer.add("ZeroPadding2D", {"padding": margin})
    _add_convolution(writer, step.convolution, strides=2)
    _add_norm_and_relu(writer, step)


def _add_upsampling(writer: GraphWriter, step: _Step) -> None:
    """PyTorch's ConvTranspose2d(3, stride 2, padding 1, output_padding 1) keeps the rows and columns from 1 on."""
    kernel = step.convolution["weight"].transpose(2, 3, 1, 0)
    if kernel.shape[:2] != (3, 3) or kernel.shape[3] != _channels(writer):
        raise UnusableModel(
            f"an up-sampling layer has a kernel of {step.convolution['weight'].shape}; "
            "expected a ConvTranspose2d of 3x3 with stride 2, as pytorch-CycleGAN-and-pix2pix writes it."
        )
    bias = step.convolution.get("bias")
    config = {"filters": kernel.shape[2], "kernel_size": 3, "strides": 2, "use_bias": bias is not None}
    writer.add("Conv2DTranspose", config, kernel=kernel, bias=bias)
    writer.add("Cropping2D", {"cropping": ((1, 0), (1, 0))})
    _add_norm_and_relu(writer, step)


def _add_block(writer: GraphWriter, block: list[_Step]) -> None:
    entry = writer.last
    _add_reflected_convolution(writer, block[0].convolution)
    _add_norm_and_relu(writer, block[0])
    _add_reflected_convolution(writer, block[1].convolution)
    _add_norm(writer, block[1].norm)
    writer.add("Add", {}, inputs=(entry, writer.last))


def _add_norm_and_relu(writer: GraphWriter, step: _Step) -> None:
    _add_norm(writer, step.norm)
    writer.add("Activation", {"activation": "relu"})


def _add_norm(writer: GraphWriter, norm: Parameters) -> None:
    """BatchNorm has weights and running statistics; InstanceNorm of early PyTorch has unused statistics alone."""
    if "weight" in norm and "running_mean" in norm:
        roles = {_NORM_ROLES[role]: value for role, value in norm.items()}
        writer.add("BatchNormalization", {"epsilon": PYTORCH_NORM_EPSILON}, **roles)
        return
    affine = "weight" in norm
    config = {"epsilon": PYTORCH_NORM_EPSILON, "center": affine, "scale": affine}
    writer.add("InstanceNormalization", config, gamma=norm.get("weight"), beta=norm.get("bias"))


def _channels(writer: GraphWriter) -> int:
    """How many channels the last written convolution puts out."""
    return next(layer.config["filters"] for layer in reversed(writer.layers) if "filters" in layer.config)
