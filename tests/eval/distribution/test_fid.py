"""The Fréchet distance against closed forms and the formula with eigenvalues, its resamples against itself."""

import numpy as np
import pytest

from eval.confidence import resample_counts
from eval.distribution.fid import frechet_distance, resampled_frechet_distances


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


@pytest.mark.parametrize(
    ("real_images", "fake_images", "features"),
    [(30, 40, 60), (60, 40, 200), (50, 40, 12), (12, 40, 60), (80, 40, 30)],
    ids=[
        "fewer images than features",
        "more real than generated images",
        "more images than features",
        "fewer real images than a resample holds",
        "as many features as a resample has images",
    ],
)
def test_resamples_equal_the_distance_of_the_repeated_images(real_images: int, fake_images: int, features: int) -> None:
    rng = np.random.default_rng(0)
    # As ReLU features are: far from zero, and a few of them vary most.
    deviations = 1 / (1 + np.arange(features))
    real = (3 + rng.normal(size=(real_images, features)) * deviations).astype(np.float32)
    fake = (3 + rng.normal(0.3, 1.2, size=(fake_images, features)) * deviations).astype(np.float32)
    counts = resample_counts(fake_images, seed=0, resamples=20)
    repeated = [frechet_distance(real, np.repeat(fake, times, axis=0)) for times in counts]
    assert resampled_frechet_distances(real, fake, counts) == pytest.approx(repeated, rel=1e-6)


def test_resample_of_each_image_once_is_the_distance_itself() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(20, 30)), rng.normal(0.3, 1.4, size=(25, 30))
    whole = resampled_frechet_distances(real, fake, np.ones((1, 25), np.int64))
    assert whole == pytest.approx([frechet_distance(real, fake)], rel=1e-9)
