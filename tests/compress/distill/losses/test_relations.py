"""Relations between the parts of an image, against loops over pairs and triples."""

import numpy as np
import pytest

from compress.distill import losses
from compress.distill.losses import relations


def _parts(image: np.ndarray) -> list[np.ndarray]:
    """Rows, columns and 8x8 patches of an image of 10x9 pixels; two rows and a column are in no patch."""
    patches = [image[row : row + 1, column : column + 1] for row in range(8) for column in range(8)]
    return [
        np.stack([row.ravel() for row in image]),
        np.stack([column.ravel() for column in image.transpose(1, 0, 2)]),
        np.stack([patch.ravel() for patch in patches]),
    ]


def _relations(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Park et al. 2019: relative distances, and cosines at the middle one of three parts."""
    steps = parts[:, None] - parts[None, :]
    distances = np.linalg.norm(steps, axis=2)
    directions = steps / np.where(distances, distances, 1)[..., None]
    # Element (i, j, k): from j to i times from j to k.
    angles = np.einsum("ijd,kjd->ijk", directions, directions)
    return distances / distances[distances > 0].mean(), angles


def _smooth_l1(difference: np.ndarray) -> float:
    size = np.abs(difference)
    return float(np.where(size < 1, size**2 / 2, size - 0.5).mean())


def test_relation_difference_matches_numpy() -> None:
    random = np.random.default_rng(0)
    student, teacher = (random.uniform(-1, 1, (1, 10, 9, 3)) for _ in range(2))
    expected = 0.0
    for one, other in zip(_parts(student[0]), _parts(teacher[0]), strict=True):
        (distances_s, angles_s), (distances_t, angles_t) = _relations(one), _relations(other)
        expected += _smooth_l1(distances_s - distances_t) + 2 * _smooth_l1(angles_s - angles_t)
    found = losses.relation_difference(student.astype(np.float32), teacher.astype(np.float32))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_contrast_and_colour_of_the_whole_image_are_no_relation() -> None:
    student = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 16, 16, 3)).astype(np.float32)
    assert float(losses.relation_difference(student, 1.5 * student + 0.2)) == pytest.approx(0, abs=1e-6)


def test_many_rows_are_taken_together() -> None:
    image = np.arange(2 * 130 * 4 * 3, dtype=np.float32).reshape(2, 130, 4, 3)
    parts = np.asarray(relations._rows(image))
    # 130 rows: 43 strips of three, the last row left out.
    assert parts.shape == (2, 43, 3 * 4 * 3)
    np.testing.assert_array_equal(parts[1, 2], image[1, 6:9].ravel())


def test_patches_are_an_eighth_of_the_side() -> None:
    image = np.arange(16 * 24 * 3, dtype=np.float32).reshape(1, 16, 24, 3)
    parts = np.asarray(relations._patches(image))
    assert parts.shape == (1, 64, 2 * 3 * 3)
    np.testing.assert_array_equal(parts[0, 9], image[0, 2:4, 3:6].ravel())
