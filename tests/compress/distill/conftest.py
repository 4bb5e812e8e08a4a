"""A tiny teacher."""

from pathlib import Path

import keras
import pytest

from compress import teachers


@pytest.fixture(scope="session")
def teacher(teacher_file: Path) -> keras.Model:
    """A ResNet generator of any image size: 8, 16 and 32 channels on its way down, two residual blocks."""
    return teachers.load(teacher_file)
