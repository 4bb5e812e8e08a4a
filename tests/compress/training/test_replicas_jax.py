"""A student's training on two devices of JAX is that on one, in a process without TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

FIRST_STEP, LAST_STEP = 1e-6, 1e-5
"""Largest differences of a weight after a step and after twenty, as in `replicas_side`."""

_CHILD = """
import json, sys
sys.modules["tensorflow"] = None
from compress.training import replicas

with replicas.opened(2):
    pass
import keras
import numpy as np
from compress.distill import distiller
from compress.distill.config import FitConfig
from compress.distill.discriminators import patch
from compress.distill.step_inputs import step_inputs
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student

patch._POOL_SIZE = 10
CONFIG = FitConfig(
    steps=20, batch_size=4, learning_rate=1e-4, adversarial_weight=1.0, discriminator="patch",
    discriminator_filters=4, discriminator_crop_px=32, adversarial_from_step=0, l1_final_scale=0.1,
    precision="float32",
)
random = np.random.default_rng(0)
photos = random.uniform(-1, 1, (20, 4, 40, 40, 3)).astype(np.float32)
real = random.integers(0, 256, (9, 40, 40, 3)).astype(np.uint8)


def train(devices):
    with replicas.opened(devices) as together:
        keras.utils.set_random_seed(0)
        with together.scope():
            student = build_student(PocketConfig(image_size_px=40, width=8, blocks=1))
            model = distiller.compile_distiller(student, CONFIG)
            model.optimizer.build(model.trainable_variables)
        together.prepare(model)
        model.optimizer.epsilon = 1e-3
        places = {str(place) for one in model.variables for place in one.value.devices()}
        states = []
        for step in range(20):
            together.train_on_batch(model, (step_inputs(photos[step], step, CONFIG, real), -photos[step]))
            states.append([np.asarray(one) for one in model.variables])
        return len(places), states


(few, one), (many, two) = train(1), train(2)
apart = [max(float(np.abs(x - y).max()) for x, y in zip(one[step], two[step])) for step in (0, 19)]
print(json.dumps({"places": [few, many], "apart": apart}))
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_of_jax_train_as_one() -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout.splitlines()[-1])
    print(found)
    assert found["places"] == [1, 2]
    first, last = found["apart"]
    assert first <= FIRST_STEP
    assert last <= LAST_STEP
