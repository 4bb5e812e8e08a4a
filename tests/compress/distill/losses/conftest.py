"""Images and features of a student and its teacher, small enough for loops in NumPy."""

import numpy as np
import pytest

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def pair() -> Pair:
    """Two images of 24x20 pixels by a student and by its teacher, which differ by noise."""
    random = np.random.default_rng(0)
    teacher = random.uniform(-1, 1, (2, 24, 20, 3)).astype(np.float32)
    student = np.clip(teacher + random.normal(0, 0.2, teacher.shape), -1, 1).astype(np.float32)
    return student, teacher


@pytest.fixture
def features() -> Pair:
    """Features of three images by a net, `(3, 5, 4, 6)`, of a student's images and of its teacher's."""
    random = np.random.default_rng(1)
    return random.normal(size=(3, 5, 4, 6)).astype(np.float32), random.normal(size=(3, 5, 4, 6)).astype(np.float32)
