"""Networks as Keras 3 saves them, as SavedModel, `.keras` or a folder of its parts: read, or named as what they are."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableModel
from compress.teachers import read
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription

SIDE = 16
Network = Callable[[tuple[int | None, int | None, int]], keras.Model]


def _chain(*made: Callable[[], layers.Layer]) -> Network:
    """Return what makes a network of layers in a row, the last a convolution with tanh."""

    def make(shape: tuple[int | None, int | None, int]) -> keras.Model:
        image = keras.Input(shape)
        features = image
        for one in made:
            features = one()(features)
        return keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(features))

    return make


def _of_batch(shape: tuple[int | None, int | None, int]) -> keras.Model:
    image = keras.Input(shape)
    normalised = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(image), training=True)
    return keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(normalised))


def _down() -> layers.Layer:
    return layers.Conv2D(6, 3, 2, padding="same")


FORMS: dict[str, Network] = {
    "nearest": _chain(_down, lambda: layers.UpSampling2D(2)),
    "bilinear": _chain(_down, lambda: layers.UpSampling2D(2, interpolation="bilinear")),
    "largest": _chain(lambda: layers.MaxPooling2D(2), lambda: layers.UpSampling2D(2)),
    "largest, padded": _chain(lambda: layers.MaxPooling2D(3, 2, padding="same"), lambda: layers.UpSampling2D(2)),
    "mean of batch": _of_batch,
    "slope as a layer": _chain(
        lambda: layers.Conv2D(6, 3, padding="same", activation=layers.LeakyReLU(negative_slope=0.3))
    ),
    "ceiling as a layer": _chain(
        lambda: layers.Conv2D(6, 3, padding="same", activation=layers.ReLU(max_value=6.0)),
        lambda: layers.Activation(layers.Activation("sigmoid")),
    ),
    "functions": _chain(
        lambda: layers.Conv2D(6, 3, padding="same", activation=keras.activations.leaky_relu),
        lambda: layers.Activation(keras.ops.tanh),
        lambda: layers.Activation(keras.activations.silu),
    ),
}
DILATED: dict[str, Network] = {
    "same": _chain(lambda: layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")),
    "of an even window": _chain(lambda: layers.Conv2D(6, 4, padding="same", dilation_rate=(3, 2))),
    "valid": _chain(lambda: layers.ZeroPadding2D(3), lambda: layers.Conv2D(6, 3, dilation_rate=3)),
    "in odd steps": _chain(
        lambda: layers.ZeroPadding2D(((5, 5), (5, 5))), lambda: layers.Conv2D(6, 3, dilation_rate=5)
    ),
    "depthwise": _chain(lambda: layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)),
    "separable": _chain(lambda: layers.SeparableConv2D(6, 3, padding="same", dilation_rate=2)),
}
FIXED, FREE = (SIDE, SIDE, 3), (None, None, 3)


def _made(network: Network, shape: tuple[int | None, int | None, int]) -> keras.Model:
    keras.utils.set_random_seed(3)
    model, random = network(shape), np.random.default_rng(4)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "gamma")):
            variable.assign(random.normal(0.5, 0.3, variable.shape))
    return model


def _unpacked(model: keras.Model, folder: Path) -> Path:
    """Save a `.keras` and unpack it, under the name that it keeps where a download unpacks it."""
    model.save(folder / "packed.keras")
    with zipfile.ZipFile(folder / "packed.keras") as archive:
        archive.extractall(folder / "model.keras")
    return folder / "model.keras"


def _require_pictures(description: GeneratorDescription, model: keras.Model) -> None:
    """Compare pictures of the description and of the model in Keras, one photo a batch."""
    photo = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    found = np.asarray(build_generator(description)(photo))
    np.testing.assert_allclose(found, np.asarray(model(photo)), atol=2e-5)


@pytest.mark.parametrize("shape", [FIXED, FREE], ids=["fixed", "free"])
@pytest.mark.parametrize("form", FORMS)
def test_a_network_is_read_however_keras_saved_it(form: str, shape: tuple, tmp_path: Path) -> None:
    model = _made(FORMS[form], shape)
    _require_pictures(read.describe(_unpacked(model, tmp_path)), model)
    _require_pictures(read.describe(tmp_path / "packed.keras"), model)
    if (form, shape) != ("bilinear", FREE):  # Keras 3.15 cannot export it: keras.Model.export fails.
        model.export(tmp_path / "saved", verbose=False)
        _require_pictures(read.describe(tmp_path / "saved"), model)


@pytest.mark.parametrize("form", DILATED)
def test_a_dilated_convolution_of_a_saved_model_is_one_layer(form: str, tmp_path: Path) -> None:
    model = _made(DILATED[form], FIXED)
    model.export(tmp_path / "saved", verbose=False)
    description = read.describe(tmp_path / "saved")
    _require_pictures(description, model)
    assert sum(layer.config.get("dilation_rate", [1, 1]) != [1, 1] for layer in description.layers) == 1


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    _made(DILATED["same"], FREE).export(tmp_path / "saved", verbose=False)
    with pytest.raises(UnusableModel, match="dilated convolution at a size that is not in the file"):
        read.describe(tmp_path / "saved")
    for activation, words in (
        (layers.PReLU(), "PReLU, with weights of its own"),
        (layers.ELU(0.5), "activation 'ELU'"),
    ):
        network = _chain(lambda activation=activation: layers.Conv2D(6, 3, padding="same", activation=activation))
        _made(network, FIXED).save(tmp_path / "model.keras")
        with pytest.raises(UnusableModel, match=words):
            read.describe(tmp_path / "model.keras")


def test_a_torn_folder_of_a_keras_file_is_refused(tmp_path: Path) -> None:
    folder = _unpacked(_made(FORMS["nearest"], FIXED), tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(UnusableModel, match=r"no usable config\.json"):
        read.describe(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UnusableModel, match="no SavedModel"):
        read.describe(folder)
