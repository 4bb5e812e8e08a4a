"""Students: small generators whose every operation an int8 delegate runs on a phone.

Four families, one module each in `compress.models.pocket`, all with BatchNorm (it folds away) and zero padding
(reflection is not delegated), for one fixed image size.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from compress.models.pocket import pixel_shuffle, separable, space_to_depth, unet
from compress.models.pocket.config import Family, PocketConfig

_FAMILIES: dict[Family, Callable[[Any, PocketConfig], Any]] = {
    "pixel_shuffle": pixel_shuffle.build_body,
    "separable": separable.build_body,
    "space_to_depth": space_to_depth.build_body,
    "unet": unet.build_body,
}


def build_student(config: PocketConfig) -> keras.Model:
    """Build an untrained student.

    Returns:
        A functional model `(batch, image_size_px, image_size_px, 3)` in [-1, 1] to the same, named `student`.
    """
    image = keras.Input((config.image_size_px, config.image_size_px, 3), name="image")
    features = _FAMILIES[config.family](image, config)
    return keras.Model(image, layers.Activation("tanh", name="generated")(features), name="student")
