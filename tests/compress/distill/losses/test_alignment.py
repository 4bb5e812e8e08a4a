"""Kernel alignment, against NumPy."""

import numpy as np
import pytest

from compress.distill import losses


def test_misalignment_matches_numpy_for_nets_of_other_sizes() -> None:
    random = np.random.default_rng(0)
    student, teacher = random.normal(0.3, 1, (4, 3, 3, 2)), random.normal(0.3, 1, (4, 6, 6, 5))
    kernels = [one.reshape(4, -1) @ one.reshape(4, -1).T for one in (student, teacher)]
    aligned = (kernels[0] * kernels[1]).sum() / (np.linalg.norm(kernels[0]) * np.linalg.norm(kernels[1]))
    found = losses.misalignment(student.astype(np.float32), teacher.astype(np.float32))
    assert float(found) == pytest.approx(1 - aligned, abs=1e-5)


def test_one_net_that_tells_photos_apart_and_one_that_does_not() -> None:
    apart = np.eye(4, dtype=np.float32).reshape(4, 2, 2, 1)
    alike = np.ones((4, 1, 3, 2), np.float32)
    # The identity against a matrix of ones: 4 / (2 * 4).
    assert float(losses.misalignment(apart, alike)) == pytest.approx(0.5, abs=1e-6)


def test_the_scale_of_features_does_not_matter() -> None:
    student = np.random.default_rng(1).normal(size=(4, 3, 3, 2)).astype(np.float32)
    assert float(losses.misalignment(student, 30 * student)) == pytest.approx(0, abs=1e-5)
