"""A trained generator made into a net that phones run whole: the same layers and kernels, without what costs int8 most.

InstanceNorm becomes BatchNorm, which folds away, and zeros lie beyond the border instead of a mirror image. Neither can
be done to a finished net: it has to be trained again. But then it starts from all that its kernels know.
"""

from typing import Any

import keras
from keras import layers, ops

from compress.models.layers import (
    BATCH_NORM_MOMENTUM,
    ContribInstanceNormalization,
    InstanceNormalization,
    ReflectionPadding2D,
)


def replace_norms(generator: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """The twin of a generator that int8 kernels run whole, to be trained.

    Args:
        generator: A functional image-to-image model; it is left as it is.
        image_size: Height and width in pixels.

    Returns:
        The same graph for images of that size, computing in the arithmetic that `keras.config.dtype_policy` asks for.
        Kernels, gains and offsets are the generator's, BatchNorm's statistics are yet to be found.
    """
    copy = keras.models.clone_model(generator, keras.Input((*image_size, 3), name="image"), clone_function=_replaced)
    for layer in generator.layers:
        if layer.weights:
            _take_over(layer, copy.get_layer(layer.name))
    return copy


def _take_over(layer: Any, successor: Any) -> None:
    values = {variable.name: variable for variable in layer.weights}
    for variable in successor.weights:
        if variable.name in values:
            # One gain for all channels, as old norms have it, becomes one for each.
            variable.assign(ops.broadcast_to(values[variable.name], variable.shape))


def _replaced(layer: Any) -> Any:
    config = layer.get_config()
    config.pop("dtype", None)
    if isinstance(layer, (InstanceNormalization, ContribInstanceNormalization)):
        # An InstanceNorm without gain and offset leaves them to what follows; a BatchNorm, whose statistics are the
        # same for every image, needs its own to make up for that.
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=layer.epsilon, name=layer.name)
    if isinstance(layer, ReflectionPadding2D):
        return layers.ZeroPadding2D(layer.padding, name=layer.name)
    return type(layer).from_config(config)
