"""Promises of every loss: 0 for equal inputs, float32, a finite slope, and the same on every backend."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from compress.distill import losses

DISTANCES: list[Callable[[Any, Any], Any]] = [
    losses.l1_loss,
    losses.coarse_loss,
    losses.ssim_loss,
    losses.ms_ssim_loss,
    losses.gradient_loss,
    losses.feature_loss,
    losses.normalized_feature_loss,
    losses.statistics_loss,
    losses.gram_loss,
    losses.channel_distillation_loss,
]


def _image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (2, 24, 16, 3)).astype(np.float32)


@pytest.mark.parametrize("loss", DISTANCES)
def test_equal_inputs_are_no_distance_apart_and_others_are(loss: Callable[..., Any]) -> None:
    assert float(loss(_image(0), _image(0))) == pytest.approx(0, abs=1e-5)
    assert float(loss(_image(0), _image(1))) > 1e-4


@pytest.mark.parametrize("loss", DISTANCES)
def test_half_precision_is_widened_before_anything_is_computed(loss: Callable[..., Any]) -> None:
    student, teacher = (tf.cast(_image(seed), "bfloat16") for seed in range(2))
    value = loss(student, teacher)
    assert value.dtype == tf.float32
    wide = loss(tf.cast(student, "float32"), tf.cast(teacher, "float32"))
    assert float(value) == float(wide)


@pytest.mark.parametrize("loss", DISTANCES)
@pytest.mark.parametrize("teacher", [_image(0), np.zeros((2, 24, 16, 3), np.float32)], ids=["noise", "one_colour"])
def test_a_slope_is_finite_where_images_are_equal(loss: Callable[..., Any], teacher: np.ndarray) -> None:
    student = tf.constant(teacher)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = loss(student, teacher)
    assert np.isfinite(np.asarray(tape.gradient(value, student))).all()


_VALUES = """
import json, sys
import numpy as np
from keras import ops
from compress.distill import losses
pair = [ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (2, 24, 16, 3)).astype("float32"))
        for seed in range(2)]
values = {name: float(getattr(losses, name)(*pair)) for name in json.loads(sys.argv[1])}
assert not sys.modules.get("tensorflow")
print(json.dumps(values))
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_computes_the_same(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    expected = {loss.__name__: float(loss(_image(0), _image(1))) for loss in DISTANCES}
    finished = subprocess.run(
        [sys.executable, "-P", "-c", _VALUES, json.dumps(list(expected))],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == pytest.approx(expected, rel=1e-4)
