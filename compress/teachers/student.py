"""Loading of students as they were saved, with their layers' training settings, also those that someone else made."""

from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from compress.artifact import file_fingerprint
from compress.errors import UnusableArtifact, UnusableModel

# Artifacts hold layers of these modules; importing them registers them with Keras.
from compress.models import layers, pocket_generator  # noqa: F401
from compress.teachers.build import require_finite_picture
from compress.teachers.sandbox import describe_student_in_child

_FREE_SIDE_PX = 64
"""Side of the picture that a student of any size makes on trial; no student halves it more often than this allows."""


def load_student(path: Path) -> keras.Model:
    """Load an artifact's `model.keras` as it was saved, uncompiled.

    Raises:
        UnusableArtifact: If the file is torn, holds something else, or makes no finite picture.
        UnsupportedLayer: If it holds a layer that no student has.
    """
    try:
        _check_once(path, file_fingerprint(path) if path.is_file() else "")
        return load_checked_student(path)
    except UnusableModel as error:
        raise UnusableArtifact(f"{error} Make the artifact anew.") from error


def load_checked_student(path: Path) -> keras.Model:
    """Load a file that a child process has checked already.

    Raises:
        UnusableModel: If Keras cannot load it all the same, or it makes no finite picture.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
        if not isinstance(model, keras.Model):
            raise UnusableModel(f"{path} holds a {type(model).__name__}; expected a Keras model.")
        _try(model)
    except UnusableModel:
        raise
    except Exception as error:
        # Keras raises whatever it stumbles over in a configuration that fits itself but not the weights.
        raise UnusableModel(f"{path} cannot be loaded ({error}).") from error
    return model


@lru_cache(maxsize=64)
def _check_once(path: Path, content: str) -> None:
    """Check a file in a child process, once as long as it stays the same."""
    describe_student_in_child(path)


def _try(model: keras.Model) -> None:
    height, width = (side or _FREE_SIDE_PX for side in model.input_shape[1:3])
    if not all(np.isfinite(value).all() for value in model.get_weights()):
        raise UnusableModel(f"{model.name} holds NaN or infinite weights; its training diverged.")
    require_finite_picture(lambda picture: model(picture, training=False), (height, width))
