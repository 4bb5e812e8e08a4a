"""The Fréchet distance against closed forms and against the formula with eigenvalues."""

import numpy as np
import pytest

from eval.fid import frechet_distance


def sample_with(mean: np.ndarray, covariance: np.ndarray, count: int) -> np.ndarray:
    """A sample whose own mean and covariance are exactly those asked for."""
    raw = np.random.default_rng(3).normal(size=(count, len(mean)))
    centred = raw - raw.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_distance_of_two_gaussians_is_their_closed_form() -> None:
    # With diagonal covariances the distance is a sum over axes: (difference of means)^2 + (difference of deviations)^2.
    first_mean, second_mean = np.array([0.0, 1.0, -2.0]), np.array([0.5, 1.0, 1.0])
    first_deviation, second_deviation = np.array([1.0, 2.0, 0.5]), np.array([1.5, 0.25, 0.5])
    expected = ((first_mean - second_mean) ** 2 + (first_deviation - second_deviation) ** 2).sum()
    measured = frechet_distance(
        sample_with(first_mean, np.diag(first_deviation**2), 50),
        sample_with(second_mean, np.diag(second_deviation**2), 80),
    )
    assert measured == pytest.approx(expected, rel=1e-9)


def test_distance_of_correlated_gaussians_is_their_closed_form() -> None:
    # Proportional covariances commute: trace(S + c S - 2 sqrt(c) S) = (1 - sqrt(c))^2 trace(S).
    covariance = np.array([[2.0, 0.6], [0.6, 1.0]])
    measured = frechet_distance(sample_with(np.zeros(2), covariance, 40), sample_with(np.zeros(2), 9 * covariance, 40))
    assert measured == pytest.approx(4 * np.trace(covariance), rel=1e-9)


@pytest.mark.parametrize("count", [9, 40], ids=["fewer images than features", "more images than features"])
def test_distance_equals_the_eigenvalue_formula(count: int) -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(count, 16)), rng.normal(0.3, 1.4, size=(count, 16))
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = np.real(np.sqrt(np.linalg.eigvals(first @ second).astype(complex))).sum()
    offset = real.mean(axis=0) - fake.mean(axis=0)
    expected = offset @ offset + np.trace(first) + np.trace(second) - 2 * root
    # Rounding noise in the eigenvalues of a product that has no full rank passes through a square root.
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-5)


def test_equal_sets_have_no_distance() -> None:
    features = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32)
    assert frechet_distance(features, features[::-1]) == pytest.approx(0.0, abs=1e-9)
