"""A training that was begun on one device and goes on on two, or the other way round, ends as an undisturbed one."""

from pathlib import Path

import keras
import numpy as np
import pytest

from compress.training import loop, replicas

PLAN = loop.Plan(steps=8, learning_rate=lambda _: 1e-3, sample_every=4, checkpoint_every=3)
TOLERANCE = 1e-6
"""Largest difference of a weight, an average of Adam's or a statistic: the rounding of float32."""


class _Killed(Exception):
    pass


def _train(work: Path, devices: int, *, kill_at: int | None = None) -> list[np.ndarray]:
    """Train until it is killed, or to the end; return the state of its last checkpoint."""

    def batch(step: int) -> loop.Batch:
        if step == kill_at:
            raise _Killed
        random = np.random.default_rng(step)
        return random.normal(size=(6, 4)).astype(np.float32), random.normal(size=(6, 4)).astype(np.float32)

    with replicas.opened(devices) as together:
        keras.utils.set_random_seed(1)
        with together.scope():
            # Without a bias, which before a norm has no gradient but rounding.
            layers = [keras.layers.Dense(4, use_bias=False), keras.layers.BatchNormalization()]
            model = keras.Sequential([keras.Input((4,)), *layers])
            model.compile(optimizer=keras.optimizers.Adam(use_ema=True), loss="mse", jit_compile=False)
        loop.train(model, PLAN, batch, work=work, run_identity="same", sample=lambda _: {}, name="test")
    with np.load(work / "checkpoint.npz") as stored:
        assert stored["step"] == PLAN.steps
        return [stored[name] for name in stored.files if name.startswith("variable_")]


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_a_checkpoint_goes_on_on_another_number_of_devices(tmp_path: Path, before: int, after: int) -> None:
    undisturbed = _train(tmp_path / "undisturbed", 1)
    with pytest.raises(_Killed):
        _train(tmp_path / "killed", before, kill_at=5)
    resumed = _train(tmp_path / "killed", after)
    assert len(resumed) > 10
    for one, other in zip(undisturbed, resumed, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE)
