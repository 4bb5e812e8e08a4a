"""A model once more: a copy that is trained or frozen on its own, or the same one for images of one size."""

from typing import Any

import keras


def clone(model: keras.Model) -> keras.Model:
    """The same functional model again, computing in the arithmetic that `keras.config.dtype_policy` asks for."""

    def retyped(layer: Any) -> Any:
        config = layer.get_config()
        config.pop("dtype", None)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=retyped)
    copy.set_weights(model.get_weights())
    return copy


def with_size(model: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """The same layers for images of one size, height and width in pixels; a model of any size is fixed to it."""
    image = keras.Input((*image_size, 3), name="image")
    return keras.Model(image, model(image), name=model.name)
