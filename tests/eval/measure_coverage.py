"""Measure how often 95 % intervals of scores, and of the gate's differences, hold the truth.

`python tests/eval/measure_coverage.py --features 64 --images 50 100 500`. The truth is known, since the images are
drawn: a population of 10,000, of which each repetition takes a few. Their features are drawn rather than computed, as
a network's are: rectified mixtures of few directions, of which few hold most of the variance.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from eval.confidence import Interval, normal_interval, resample_counts
from eval.distribution.fid import frechet_distance, resampled_frechet_distances
from eval.distribution.kid import resampled_kernel_distances, unbiased_kernel_distance

POPULATION = 10_000
REAL_IMAGES = 500
DIRECTIONS = 48
CORRELATION = 0.9
"""Correlation of a candidate's images with the baseline's of the same input."""
METRICS: Mapping[str, tuple[Callable, Callable]] = {
    "kid": (unbiased_kernel_distance, resampled_kernel_distances),
    "fd": (frechet_distance, resampled_frechet_distances),
}
EXPECTED_OVER = 400
"""Draws whose mean stands for the expected score of so few images, from which their own is off by chance alone."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Features of 10,000 images of each kind, `(images, features)` float32; generated ones of the same inputs."""

    real: np.ndarray
    baseline: np.ndarray
    candidate: np.ndarray

    def kinds(self) -> dict[str, np.ndarray]:
        """Return the generated images' features by their name."""
        return {"baseline": self.baseline, "candidate": self.candidate}


def draw_population(features: int, *, seed: int = 0, images: int = POPULATION) -> Population:
    """Draw features: the baseline's images vary less than the real ones and lie aside, the candidate's more."""
    stream = np.random.RandomState(seed)
    deviations = 1 / np.sqrt(1 + np.arange(DIRECTIONS))
    mixing = stream.normal(size=(DIRECTIONS, features)) / np.sqrt(DIRECTIONS)
    bias = stream.normal(0.0, 0.2, size=features)

    def seen(latent: np.ndarray) -> np.ndarray:
        return np.maximum(latent * deviations @ mixing * 3 + bias, 0).astype(np.float32)

    shared = stream.normal(size=(images, DIRECTIONS))
    own = stream.normal(size=(images, DIRECTIONS))
    moved = 0.95 * (CORRELATION * shared + np.sqrt(1 - CORRELATION**2) * own)
    return Population(
        real=seen(stream.normal(size=(images, DIRECTIONS))),
        baseline=seen(0.8 * shared + 0.3),
        candidate=seen(0.8 * moved + 0.35),
    )


def measure_coverage(
    population: Population,
    images: int,
    *,
    repetitions: int,
    resamples: int,
    interval: Callable[[float, np.ndarray], Interval] = normal_interval,
    seed: int = 1,
) -> dict[str, float]:
    """Return the share of repetitions whose interval holds the truth.

    Args:
        population: What the images are taken from.
        images: How many a repetition takes of each kind; the first `REAL_IMAGES` real ones are the reference of all.
        repetitions: How often.
        resamples: Of each repetition.
        interval: What makes an interval of an estimate and its resamples.
        seed: Of the choice of images.

    Returns:
        By name: `kid` and `fd` of the baseline, `kid difference` and `fd difference` of candidate and baseline; each
        with ` of 10,000`, against the value of the whole population, and ` of as many`, against the mean over draws of
        as many images, which a bias of small numbers moves as much.
    """
    real, stream, held = population.real[:REAL_IMAGES], np.random.RandomState(seed), dict[str, list[bool]]()
    with threadpool_limits(1, user_api="blas"):
        truths = {"of 10,000": _values(real, population.kinds()), "of as many": _expected(real, population, images)}
        for repetition in range(repetitions):
            drawn = _choose(population, stream, images)
            counts = resample_counts(images, seed=repetition, resamples=resamples)
            estimates, resampled = _values(real, drawn), _resampled(real, drawn, counts)
            for name, estimate in estimates.items():
                found = interval(float(estimate), resampled[name])
                for what, truth in truths.items():
                    held.setdefault(f"{name} {what}", []).append(found.low <= truth[name] <= found.high)
    return {name: float(np.mean(one)) for name, one in held.items()}


def _choose(population: Population, stream: np.random.RandomState, images: int) -> dict[str, np.ndarray]:
    chosen = stream.choice(len(population.baseline), images, replace=False)
    return {name: features[chosen] for name, features in population.kinds().items()}


def _expected(real: np.ndarray, population: Population, images: int) -> dict[str, float]:
    stream = np.random.RandomState(0)
    found = [_values(real, _choose(population, stream, images)) for _ in range(EXPECTED_OVER)]
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _values(real: np.ndarray, drawn: Mapping[str, np.ndarray]) -> dict[str, float]:
    return _named(
        {(m, kind): measure(real, fake) for m, (measure, _) in METRICS.items() for kind, fake in drawn.items()}
    )


def _resampled(real: np.ndarray, drawn: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
    return _named(
        {
            (m, kind): resample(real, fake, counts)
            for m, (_, resample) in METRICS.items()
            for kind, fake in drawn.items()
        }
    )


def _named(values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    found = {}
    for metric in METRICS:
        found[metric] = values[metric, "baseline"]
        found[f"{metric} difference"] = values[metric, "candidate"] - values[metric, "baseline"]
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[50, 100, 500])
    parser.add_argument("--features", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=120)
    chosen = parser.parse_args()
    for features in chosen.features:
        population = draw_population(features)
        for images in chosen.images:
            found = measure_coverage(population, images, repetitions=chosen.repetitions, resamples=chosen.resamples)
            for name, share in found.items():
                print(f"{features:>4} features  {images:>4} images  {name:<28} {share:.1%}", flush=True)


if __name__ == "__main__":
    main()
