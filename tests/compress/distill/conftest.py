"""A tiny teacher, and steps that run at once instead of being compiled, which takes longer than running them."""

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from compress import teachers


@pytest.fixture(scope="session")
def teacher(teacher_file: Path) -> keras.Model:
    """A ResNet generator of any image size: 8, 16 and 32 channels on its way down, two residual blocks."""
    return teachers.load(teacher_file)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Run training steps without compiling them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
