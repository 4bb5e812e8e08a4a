"""The kernel distance against its closed form."""

import numpy as np
import pytest

from eval.kid import kernel_distance, subset_size


@pytest.mark.parametrize(
    ("real", "fake", "expected"), [(120, 500, 60), (4, 4, 2), (1999, 5000, 999), (5000, 5000, 1000)]
)
def test_subset_is_half_of_the_smaller_folder_up_to_the_customary_size(real: int, fake: int, expected: int) -> None:
    assert subset_size(real, fake) == expected


def test_kernel_distance_of_two_points_is_its_closed_form() -> None:
    real, fake = (np.tile(np.asarray(point, np.float32), (9, 1)) for point in ([2.0, 0.0], [1.0, 3.0]))
    # The kernel is (x . y / features + 1)^3: 3^3 and 6^3 within the sets, 2^3 across.
    expected = 3.0**3 + 6.0**3 - 2 * 2.0**3
    assert kernel_distance(real, fake, seed=0).mean == pytest.approx(expected)
    assert kernel_distance(real, fake, seed=0).spread == pytest.approx(0.0)


def test_kernel_distance_of_equally_distributed_sets_is_not_biased_above_zero() -> None:
    rng = np.random.default_rng(0)
    draws = [
        kernel_distance(*(rng.normal(size=(20, 4)).astype(np.float32) for _ in range(2)), seed=0).mean
        for _ in range(30)
    ]
    # With the diagonals left in, as in the biased estimate, the mean would be above 1 here.
    assert np.mean(draws) == pytest.approx(0.0, abs=3 * np.std(draws) / np.sqrt(len(draws)))


def test_seed_draws_the_subsets() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(30, 8)).astype(np.float32), rng.normal(size=(30, 8)).astype(np.float32)
    assert kernel_distance(real, fake, seed=1) == kernel_distance(real, fake, seed=1)
    assert kernel_distance(real, fake, seed=1) != kernel_distance(real, fake, seed=2)
