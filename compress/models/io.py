"""Clone and resize Keras models."""

from typing import Any

import keras


def clone(model: keras.Model) -> keras.Model:
    """Return a copy of a functional model with its own weights, in the precision of `keras.config.dtype_policy`."""

    def retyped(layer: Any) -> Any:
        config = layer.get_config()
        config.pop("dtype", None)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=retyped)
    copy.set_weights(model.get_weights())
    return copy


def with_size(model: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """Return a model of any image size fixed to one size, with the same layers and weights.

    Args:
        model: Takes images of any height and width.
        image_size: Height and width, pixels.
    """
    image = keras.Input((*image_size, 3), name="image")
    return keras.Model(image, model(image), name=model.name)


def with_other_size(model: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """Return a model for images of another size that shares the layers, and so the weights, of a functional model.

    Args:
        model: Takes images of a fixed size; none of its layers depends on it.
        image_size: Height and width, pixels.
    """
    image = keras.Input((*image_size, 3), name="image")
    return keras.models.clone_model(
        model,
        input_tensors=image,
        clone_function=lambda layer: layer,
        call_function=lambda layer, *a, **k: layer(*a, **k),
    )
