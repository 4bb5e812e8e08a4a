"""Read back the Keras model of an artifact that we wrote."""

import zipfile
from pathlib import Path

import keras

from compress.errors import UnusableArtifact

# Artifacts hold layers of these modules; importing them is what makes Keras know their names.
from compress.models import layers, pocket_generator  # noqa: F401


def load_student(path: Path) -> keras.Model:
    """Load an artifact's `model.keras` as it was saved, names and settings of training included.

    Raises:
        UnusableArtifact: If the file is torn or holds something else.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise UnusableArtifact(f"{path} cannot be loaded ({error}); make the artifact anew.") from error
    if not isinstance(model, keras.Model):
        raise UnusableArtifact(f"{path} holds a {type(model).__name__}; expected a Keras model.")
    return model
