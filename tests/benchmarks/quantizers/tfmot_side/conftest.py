"""Fixtures that load tf_keras, after TensorFlow is told that it is its Keras."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "1"

SIZE_PX = 32


def pytest_configure(config: pytest.Config) -> None:
    for ignored in (
        # tf_keras, TFMOT and the converter, which is announced to move.
        "ignore::DeprecationWarning",
        "ignore:.*tf.lite:UserWarning",
        "ignore:Statistics for quantized inputs were expected:UserWarning",
    ):
        config.addinivalue_line("filterwarnings", ignored)


@pytest.fixture(scope="session")
def student() -> Callable[[str], Any]:
    """Build a 32x32 student of a family, with random weights and statistics."""
    from compress.models.pocket_generator import PocketConfig, build_student

    def make(family: str) -> Any:
        shape: Any = {"family": family}
        model = build_student(PocketConfig(image_size_px=SIZE_PX, width=8, blocks=2, **shape))
        random = np.random.default_rng(7)
        for variable in model.variables:
            variable.assign(variable + np.abs(random.normal(0, 0.1, tuple(variable.shape))))
        return model

    return make


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """Describe a model as the process that trains it gets it."""
    from compress import teachers

    def describe(model: Any) -> Any:
        path = tmp_path_factory.mktemp("models") / "model.keras"
        model.save(path)
        return teachers.describe(path)

    return describe


@pytest.fixture(scope="session")
def pairs() -> Any:
    """Twelve pairs of a photo and its negative."""
    from compress.distill.training_data.pairs import Pairs
    from export.parity import synthetic_photos

    photos = np.stack(synthetic_photos((SIZE_PX, SIZE_PX), count=12, seed=1))
    return Pairs(photos, 255 - photos, np.arange(len(photos)))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return the folder of a training of ours."""
    return tmp_path / "training"
