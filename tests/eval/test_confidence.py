"""Intervals of differences, which hold the truth as often as they say, by simulation; and the draws behind them."""

import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from compress.errors import UnusableData
from eval.confidence import (
    RESAMPLES,
    float_blocks,
    interval_of_mean,
    normal_interval,
    resample_blocks,
    resample_counts,
    resampled_means,
    resampled_sums,
    smallest_visible_increase,
)
from eval.distribution.fid import frechet_distance, resampled_frechet_distances
from eval.distribution.kid import resampled_kernel_distances, unbiased_kernel_distance

REPETITIONS = 200
FEW_RESAMPLES = 120
TRUTH_DRAWS = 500
"""The mean of so many differences is off by about a twentieth of what a single difference is off."""
REAL_IMAGES = 120
CORRELATION = 0.9
"""Correlation of a candidate's features with the baseline's of the same input."""

WORSE_BY = {"equal": 0.0, "slightly worse": 0.05}
METRICS = {
    "fd": (frechet_distance, resampled_frechet_distances),
    "kid": (unbiased_kernel_distance, resampled_kernel_distances),
}
Differences = dict[tuple[str, str], np.ndarray]
"""The candidate's values less the baseline's, by metric and candidate."""


def deviations(features: int) -> np.ndarray:
    """Return deviations as those of photos' features: few directions hold most of the variance."""
    return 1 / np.sqrt(1 + np.arange(features))


def draw_features(stream: np.random.RandomState, images: int, features: int) -> dict[str, np.ndarray]:
    """Features of the baseline and of both candidates over the same inputs, none of them like the real ones."""
    shared = stream.normal(size=(images, features))
    drawn = {"baseline": shared}
    for name, worse_by in WORSE_BY.items():
        own = stream.normal(size=(images, features))
        mixed = CORRELATION * shared + np.sqrt(1 - CORRELATION**2) * own
        # With less variety and further off.
        drawn[name] = (1 - worse_by) * mixed + worse_by
    return {name: ((0.8 * values + 0.4) * deviations(features)).astype(np.float32) for name, values in drawn.items()}


def differences(real: np.ndarray, drawn: dict[str, np.ndarray], counts: np.ndarray | None = None) -> Differences:
    """Return the differences of values on all images or, with counts, on resamples."""
    found = {}
    for metric, (measure, resample) in METRICS.items():
        values = {
            name: np.asarray(measure(real, fake) if counts is None else resample(real, fake, counts))
            for name, fake in drawn.items()
        }
        found |= {(metric, name): values[name] - values["baseline"] for name in WORSE_BY}
    return found


@pytest.fixture(scope="module", params=[(60, 24), (40, 96)], ids=["60 images, 24 features", "40 images, 96 features"])
def coverage(request: pytest.FixtureRequest) -> dict[tuple[str, str], float]:
    """Return by metric and candidate the share of repetitions whose interval holds the true difference.

    The truth is the mean over new inputs, of the same number and against the same real images.
    """
    images, features = request.param
    real = (np.random.RandomState(9).normal(size=(REAL_IMAGES, features)) * deviations(features)).astype(np.float32)
    stream = np.random.RandomState(1)
    with threadpool_limits(1, user_api="blas"):
        others = [differences(real, draw_features(stream, images, features)) for _ in range(TRUTH_DRAWS)]
        truth = {difference: np.mean([other[difference] for other in others]) for difference in others[0]}
        held = dict.fromkeys(truth, 0)
        for repetition in range(REPETITIONS):
            drawn = draw_features(stream, images, features)
            counts = resample_counts(images, seed=repetition, resamples=FEW_RESAMPLES)
            estimates, resampled = differences(real, drawn), differences(real, drawn, counts)
            for difference, true in truth.items():
                found = normal_interval(float(estimates[difference]), resampled[difference])
                held[difference] += int(found.low <= true <= found.high)
    return {difference: count / REPETITIONS for difference, count in held.items()}


@pytest.mark.timeout(1200)  # 15 s of computing on a free core; many times that beside a training run.
@pytest.mark.parametrize("candidate", WORSE_BY)
@pytest.mark.parametrize("metric", METRICS)
def test_interval_of_a_distance_holds_the_true_difference(
    coverage: dict[tuple[str, str], float], metric: str, candidate: str
) -> None:
    assert 0.90 <= coverage[metric, candidate] <= 0.99


def draw_psnr_differences_db(stream: np.random.RandomState, images: int, worse_by_db: float) -> np.ndarray:
    """Skewed, as PSNR is: some images lose much more than the rest."""
    return worse_by_db * stream.gamma(2.0, 0.5, size=images) + stream.normal(0.0, 1.0, size=images)


@pytest.mark.parametrize("true_db", [0.0, -0.5, -2.0])
def test_interval_of_the_mean_psnr_holds_the_true_difference(true_db: float) -> None:
    stream, held = np.random.RandomState(2), 0
    for repetition in range(REPETITIONS):
        values = draw_psnr_differences_db(stream, 60, true_db)
        counts = resample_counts(60, seed=repetition, resamples=FEW_RESAMPLES)
        found = normal_interval(float(values.mean()), resampled_means(values, counts))
        held += int(found.low <= true_db <= found.high)
    assert 0.90 <= held / REPETITIONS <= 0.99


def test_smallest_visible_increase_is_seen_in_four_of_five_test_sets() -> None:
    stream = np.random.RandomState(3)
    counts = resample_counts(80, seed=0)
    increase = smallest_visible_increase(resampled_means(stream.normal(size=80), counts))
    seen = []
    for _ in range(1000):
        values = stream.normal(increase, 1.0, size=80)
        seen.append(normal_interval(float(values.mean()), resampled_means(values, counts)).low > 0)
    # The spread of one test set, from which the increase is foretold, is itself off by up to 15 %: +-0.12 in power.
    assert 0.68 <= np.mean(seen) <= 0.92


def test_interval_is_the_estimate_and_its_normal_margin() -> None:
    resampled = np.tile([9.0, 11.0], 500)
    found = normal_interval(7.0, resampled)
    assert (found.low, found.high) == pytest.approx((7 - 1.96, 7 + 1.96), rel=1e-3)
    assert smallest_visible_increase(resampled) == pytest.approx(1.96 + 0.84, rel=2e-3)


def test_equal_images_leave_no_doubt() -> None:
    found = normal_interval(0.0, np.zeros(RESAMPLES))
    assert (found.low, found.high) == (0.0, 0.0)


def test_resamples_draw_as_many_images_as_there_are() -> None:
    counts = resample_counts(30, seed=0)
    assert counts.shape == (RESAMPLES, 30)
    assert (counts.sum(axis=1) == 30).all()
    # Each image comes once on average, as a Poisson number of mean 1 nearly: sd 0.98 / sqrt(1000) = 0.03.
    assert counts.mean(axis=0) == pytest.approx(np.ones(30), abs=0.15)


def test_draws_are_frozen() -> None:
    # A baseline file holds values on these very draws: another stream would make it worthless.
    frozen = [[1, 0, 0, 3, 1], [1, 1, 1, 1, 1], [2, 1, 1, 0, 1]]
    assert resample_counts(5, seed=0, resamples=3).tolist() == frozen
    assert resample_counts(5, seed=1, resamples=3).tolist() != frozen


def test_no_resample_holds_one_image_alone() -> None:
    counts = resample_counts(2, seed=0)
    assert counts.tolist() == [[1, 1]] * RESAMPLES
    assert (np.count_nonzero(resample_counts(4, seed=0), axis=1) > 1).all()


def test_one_image_cannot_be_resampled() -> None:
    with pytest.raises(UnusableData, match=r"1 image.* 2 or more"):
        resample_counts(1, seed=0)


def test_resampled_mean_is_the_mean_of_the_repeated_values() -> None:
    values, counts = np.array([1.0, 2.0, 6.0]), np.array([[1, 1, 1], [0, 1, 2], [3, 0, 0]])
    assert resampled_means(values, counts).tolist() == pytest.approx([3.0, 14 / 3, 1.0])


def test_resamples_are_drawn_as_all_at_once() -> None:
    """Scores of earlier versions compare with those of this one only while the draws are the same."""
    drawn = np.random.RandomState(3).randint(0, 700, size=(40, 700), dtype=np.int64)
    expected = [np.bincount(row, minlength=700) for row in drawn]
    np.testing.assert_array_equal(resample_counts(700, seed=3, resamples=40), expected)


@pytest.mark.parametrize("images", [2, 5, 700])
def test_blocks_of_resamples_are_all_resamples(images: int) -> None:
    blocks = list(resample_blocks(images, seed=3))
    np.testing.assert_array_equal(np.concatenate(blocks), resample_counts(images, seed=3))


def test_interval_of_a_mean_is_that_of_its_resamples_and_takes_no_more_memory_for_more_images() -> None:
    values, peaks = np.random.default_rng(0).normal(size=20_000), []
    for images in (2000, 20_000):
        tracemalloc.start()
        interval_of_mean(values[:images])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # All resamples at once would take a byte for each of 18,000,000 counts more.
    assert peaks[1] - peaks[0] < 4e6
    resampled = resampled_means(values[:5003], resample_counts(5003, seed=0))
    assert interval_of_mean(values[:5003]) == normal_interval(float(values[:5003].mean()), resampled)
    assert interval_of_mean([1.0]) is None


def test_sums_of_a_few_resamples_at_a_time_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, in blocks as large as they are: BLAS sums a few numbers in another order than many."""
    stream, counts = np.random.RandomState(0), resample_counts(5003, seed=0)
    values, table = stream.normal(size=5003), stream.normal(size=(5003, 24))
    weights = counts.astype(np.float64)
    for rows in (None, 64, 200, 1000):
        if rows:
            monkeypatch.setattr("eval.confidence._BLOCK_BYTES", rows * 5003 * 8)
        assert len(list(float_blocks(counts))) == -(-RESAMPLES // (rows or 416))
        np.testing.assert_array_equal(resampled_sums(values, counts), weights @ values)
        np.testing.assert_array_equal(resampled_sums(table, counts), weights @ table)
