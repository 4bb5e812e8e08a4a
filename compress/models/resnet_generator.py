"""Teachers: CycleGAN's ResNet generator, built of nothing but what stock Keras saves and loads.

Source: Zhu et al. 2017, Unpaired Image-to-Image Translation, arXiv:1703.10593; the network of Johnson et al. 2016,
arXiv:1603.08155, with 6 or 9 blocks. With 64 filters, 9 blocks and InstanceNorm it has 11,388,675 parameters.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
from keras import initializers, layers, ops

from compress.models.identity_init import initialize_identity

Normalization = Literal["instance", "batch", "none"]

NORM_EPSILON = 1e-5
_WEIGHT_DEVIATION = 0.02
_PAD = {"module": "keras.ops", "class_name": "function", "config": "pad", "registered_name": "pad"}
"""Reference to `keras.ops.pad`, in the form that Keras loads."""


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """Architecture of a teacher. It is fully convolutional: one set of weights serves every image size."""

    filters: int = 64
    """Channels at full resolution; doubled at a half and at a quarter."""
    blocks: int = 9
    """Residual blocks; published for 6 (128 px) and 9 (256 px)."""
    normalization: Normalization = "instance"
    """InstanceNorm as published, BatchNorm as the article's repository has it, or none: a norm takes the absolute
    colour of flat drawings away."""
    near_identity: bool = False
    """True to start each residual block as the identity: the gain of its last norm starts at zero. Without a norm the
    whole net starts as a copy of its input, see `identity_init`."""


def build_resnet(config: ResnetConfig, image_size: tuple[int | None, int | None] = (None, None)) -> keras.Model:
    """Build an untrained teacher.

    Args:
        config: Its architecture.
        image_size: Height and width in pixels, multiples of 4; None leaves a side open.

    Returns:
        A functional model `(batch, height, width, 3)` in [-1, 1] to the same.
    """
    image = keras.Input((*image_size, 3), name="image")
    filters = config.filters
    features = _norm_relu(_conv(_reflect_pad(image, 3), filters, 7, config), config)
    for scale in (2, 4):
        features = _norm_relu(_conv(features, scale * filters, 3, config, strides=2, padding="same"), config)
    for _ in range(config.blocks):
        features = _residual_block(features, 4 * filters, config)
    for scale in (2, 1):
        enlarged = layers.Conv2DTranspose(
            scale * filters, 3, strides=2, padding="same", kernel_initializer=_kernel_initializer(config)
        )(features)
        features = _norm_relu(enlarged, config)
    generated = layers.Activation("tanh", name="generated", dtype="float32")(
        _conv(_reflect_pad(features, 3), 3, 7, config)
    )
    generator = keras.Model(image, generated, name="generator")
    if config.near_identity and config.normalization == "none":
        initialize_identity(generator)
    return generator


def save_h5(generator: keras.Model, path: Path) -> None:
    """Write a teacher as an `.h5` that stock Keras 3 loads, without custom code.

    Keras itself would write that the paddings call `builtins.pad`, and not find that when it loads the file.

    Args:
        generator: Model from `build_resnet`.
        path: The file to write; ends in `.h5`.
    """
    import h5py

    # Keras warns that HDF5 is old. It is what teachers come in, and what its readers of all versions know.
    with _quiet_absl():
        generator.save(path)
    with h5py.File(path, "r+") as file:
        model = json.loads(str(file.attrs["model_config"]))
        for layer in model["config"]["layers"]:
            if layer["class_name"] == "Lambda":
                layer["config"]["function"] = _PAD
        file.attrs["model_config"] = json.dumps(model)


def normal_initializer() -> keras.Initializer:
    """Return the published initialiser of every convolution: normal with deviation 0.02; a new one for each layer."""
    return initializers.RandomNormal(stddev=_WEIGHT_DEVIATION)


def normalize(features: Any, normalization: Normalization, *, gamma: Any = "ones") -> Any:
    """Apply InstanceNorm with gain and offset (Keras: group norm of one channel each), BatchNorm or none."""
    if normalization == "none":
        return features
    if normalization == "batch":
        return layers.BatchNormalization(momentum=0.9, epsilon=NORM_EPSILON, gamma_initializer=gamma)(features)
    return layers.GroupNormalization(groups=-1, epsilon=NORM_EPSILON, gamma_initializer=gamma)(features)


def _residual_block(features: Any, filters: int, config: ResnetConfig) -> Any:
    branch = _norm_relu(_conv(_reflect_pad(features, 1), filters, 3, config), config)
    last = "zeros" if config.near_identity and config.normalization == "none" else None
    branch = _conv(_reflect_pad(branch, 1), filters, 3, config, kernel=last)
    gamma = "zeros" if config.near_identity else "ones"
    return layers.Add()([features, normalize(branch, config.normalization, gamma=gamma)])


def _conv(
    features: Any,
    filters: int,
    kernel_size: int,
    config: ResnetConfig,
    *,
    strides: int = 1,
    padding: str = "valid",
    kernel: str | None = None,
) -> Any:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        kernel_initializer=kernel or _kernel_initializer(config),
    )(features)


def _kernel_initializer(config: ResnetConfig) -> keras.Initializer:
    # The published deviation leans on the norms: without them, each layer would make its features smaller.
    return initializers.HeNormal() if config.normalization == "none" else normal_initializer()


def _norm_relu(features: Any, config: ResnetConfig) -> Any:
    return layers.ReLU()(normalize(features, config.normalization))


def _reflect_pad(features: Any, width: int) -> Any:
    # A layer of our own would need this package to load the file, and a bare operation has no place in an `.h5`.
    amounts = [[0, 0], [width, width], [width, width], [0, 0]]
    height, across, channels = features.shape[1:]
    # JAX cannot infer the shape of a mirrored border where a side is open.
    shape = (height and height + 2 * width, across and across + 2 * width, channels)
    return layers.Lambda(ops.pad, shape, arguments={"pad_width": amounts, "mode": "reflect"})(features)


@contextmanager
def _quiet_absl() -> Iterator[None]:
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
