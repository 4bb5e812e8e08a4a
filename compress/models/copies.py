"""A model once more: the same layers and weights, free to be trained or frozen on its own."""

from typing import Any

import keras


def copied(model: keras.Model) -> keras.Model:
    """The same functional model again, computing in the arithmetic that `keras.config.dtype_policy` asks for."""

    def retyped(layer: Any) -> Any:
        config = layer.get_config()
        config.pop("dtype", None)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=retyped)
    copy.set_weights(model.get_weights())
    return copy
