"""Reader of the generator of ethanyanjiali/deep-vision, a Sequential with subclassed residual blocks.

Keras cannot save such a model's configuration, so its files hold weights alone. The code is public: reflection
padding 3, 7x7; two 3x3 convolutions of stride 2; residual blocks; two transposed ones; reflection padding 3, 7x7, tanh.
No biases but in the last convolution, BatchNorm behind every other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.keras import hdf5

FORMAT = "Keras 2 weights of a deep-vision CycleGAN generator"
KERAS_BATCH_NORM_EPSILON = 1e-3

Parameters = dict[str, np.ndarray]
"""One layer's weights by role: `kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`."""

_NORM_ROLES = frozenset({"gamma", "beta", "moving_mean", "moving_variance"})


@dataclass
class _ConvNorm:
    """Convolution and the BatchNorm behind it."""

    kernel: np.ndarray
    norm: Parameters


def describe_weights_file(opened: h5py.File) -> GeneratorDescription:
    """Describe a generator by a file that `generator.save_weights("x.h5")` wrote.

    Raises:
        UnusableModel: If the weights are not in that generator's order.
    """
    layers: dict[str, Parameters] = {}
    for group in hdf5.read_strings(opened.attrs, "layer_names"):
        for name in hdf5.read_strings(opened[group].attrs, "weight_names"):
            # A block lists what is trained first, then all statistics: grouping by layer brings them together again.
            layer, _, role = name.rpartition("/")
            layers.setdefault(layer, {})[role.partition(":")[0]] = hdf5.read_array(opened[group][name])
    return describe_layers(list(layers.values()), f"{FORMAT} (.h5)")


def describe_layers(layers: Sequence[Parameters], source_format: str) -> GeneratorDescription:
    """Describe a generator by the weights of its layers in order.

    Args:
        layers: Convolutions and BatchNorms; the last is the convolution to RGB, the only one with a bias.
        source_format: Format of the file, for the description.

    Raises:
        UnusableModel: If the order is not that of this generator.
    """
    downs, blocks, ups, head = _split(layers)
    writer = GraphWriter()
    _reflect(writer, downs[0].kernel)
    _convolve(writer, downs[0].kernel)
    _normalise(writer, downs[0], relu=True)
    for step in downs[1:]:
        _convolve(writer, step.kernel, strides=2, padding="same")
        _normalise(writer, step, relu=True)
    for first, second in zip(blocks[::2], blocks[1::2], strict=True):
        _add_block(writer, first, second)
    for step in ups:
        _convolve_transposed(writer, step.kernel)
        _normalise(writer, step, relu=True)
    _reflect(writer, head["kernel"])
    _convolve(writer, head["kernel"], bias=head["bias"])
    writer.add("Activation", {"activation": "tanh"})
    return writer.finish(source_format, (None, None, 3))


def _split(layers: Sequence[Parameters]) -> tuple[list[_ConvNorm], list[_ConvNorm], list[_ConvNorm], Parameters]:
    """Split the layers into those before the residual blocks, the blocks, those after, and the last one."""
    *before_last, head = layers or [{}]
    kernels, norms = before_last[::2], before_last[1::2]
    fits = len(kernels) == len(norms) and set(head) == {"kernel", "bias"}
    if (
        not fits
        or any(set(kernel) != {"kernel"} for kernel in kernels)
        or any(set(norm) != _NORM_ROLES for norm in norms)
    ):
        raise _unknown_weights_error()
    steps = [_ConvNorm(kernel["kernel"], norm) for kernel, norm in zip(kernels, norms, strict=True)]
    square = [number for number, step in enumerate(steps) if step.kernel.shape[2] == step.kernel.shape[3]]
    if not square or len(square) % 2 or square != list(range(square[0], square[-1] + 1)) or square[0] == 0:
        raise _unknown_weights_error()
    return steps[: square[0]], steps[square[0] : square[-1] + 1], steps[square[-1] + 1 :], head


def _unknown_weights_error() -> UnusableModel:
    return UnusableModel(
        "the file holds weights but not the model they belong to, and they are not in the order of a deep-vision "
        "CycleGAN generator; save the whole model: generator.save('generator.h5')."
    )


def _reflect(writer: GraphWriter, kernel: np.ndarray) -> None:
    margin = kernel.shape[0] // 2
    writer.add("ReflectionPadding2D", {"padding": [[margin, margin], [margin, margin]]})


def _convolve(
    writer: GraphWriter,
    kernel: np.ndarray,
    *,
    strides: int = 1,
    padding: str = "valid",
    bias: np.ndarray | None = None,
) -> None:
    config = {"filters": kernel.shape[3], "kernel_size": list(kernel.shape[:2]), "strides": [strides, strides]}
    writer.add(
        "Conv2D", {**config, "padding": padding, "use_bias": bias is not None}, weights={"kernel": kernel, "bias": bias}
    )


def _convolve_transposed(writer: GraphWriter, kernel: np.ndarray) -> None:
    config = {"filters": kernel.shape[2], "kernel_size": list(kernel.shape[:2]), "strides": [2, 2]}
    writer.add("Conv2DTranspose", {**config, "padding": "same", "use_bias": False}, weights={"kernel": kernel})


def _normalise(writer: GraphWriter, step: _ConvNorm, *, relu: bool) -> None:
    writer.add("BatchNormalization", {"epsilon": KERAS_BATCH_NORM_EPSILON}, weights=step.norm)
    if relu:
        writer.add("Activation", {"activation": "relu"})


def _add_block(writer: GraphWriter, first: _ConvNorm, second: _ConvNorm) -> None:
    entry = writer.last
    for step in (first, second):
        _reflect(writer, step.kernel)
        _convolve(writer, step.kernel)
        _normalise(writer, step, relu=step is first)
    writer.add("Add", {}, inputs=(entry, writer.last))
