"""Students from a teacher: a trained generator whose norms and paddings are replaced by those that int8 kernels run.

InstanceNorm becomes BatchNorm, which folds away, and reflection padding becomes zero padding. The net has to be trained
again, but starts from the teacher's kernels.
"""

from typing import Any

import keras
from keras import layers, ops

from compress.models.layers import (
    BATCH_NORM_MOMENTUM,
    ContribInstanceNormalization,
    InstanceNormalization,
    ReflectionPadding2D,
    ReplicationPadding2D,
)


def replace_norms(generator: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """Return a copy of a generator with BatchNorm and zero padding, to be trained again.

    Args:
        generator: A functional image-to-image model; it is not changed.
        image_size: Height and width in pixels.

    Returns:
        The same graph for images of that size, in the precision of `keras.config.dtype_policy`. Kernels, gains and
        offsets are the generator's; BatchNorm's statistics are untrained.
    """
    copy = keras.models.clone_model(
        generator, keras.Input((*image_size, 3), name="image"), clone_function=_replace_layer
    )
    for layer in generator.layers:
        if layer.weights:
            _copy_weights(layer, copy.get_layer(layer.name))
    return copy


def _copy_weights(layer: Any, successor: Any) -> None:
    values = {variable.name: variable for variable in layer.weights}
    for variable in successor.weights:
        if variable.name in values:
            # One gain for all channels, as old norms have it, becomes one for each.
            variable.assign(ops.broadcast_to(values[variable.name], variable.shape))


def _replace_layer(layer: Any) -> Any:
    config = layer.get_config()
    config.pop("dtype", None)
    if isinstance(layer, (InstanceNormalization, ContribInstanceNormalization)):
        # An InstanceNorm without gain and offset leaves them to what follows; a BatchNorm, whose statistics are the
        # same for every image, needs its own to make up for that.
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=layer.epsilon, name=layer.name)
    if isinstance(layer, (ReflectionPadding2D, ReplicationPadding2D)):
        return layers.ZeroPadding2D(layer.padding, name=layer.name)
    return type(layer).from_config(config)
