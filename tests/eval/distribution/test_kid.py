"""The kernel distance against its closed form, and by either way of computing it; for torch-fidelity see torch_side."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from compress.images import list_images
from eval.distribution import kid
from eval.distribution.fid import frechet_distance
from eval.distribution.kid import kernel_distance, subset_size, unbiased_kernel_distance
from eval.features.extract import extract_features
from eval.features.networks import choose_network
from eval.features.weights import find_weights


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


@pytest.mark.parametrize(("real_images", "fake_images"), [(30, 21), (12, 2100)])
def test_both_ways_of_computing_it_agree(real_images: int, fake_images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(images, 8)).astype(np.float32) for images in (real_images, fake_images))
    either = kernel_distance(real, fake, seed=5)
    monkeypatch.setattr(kid, "_distances_by_table", kid._distances_one_by_one)
    one_by_one = kernel_distance(real, fake, seed=5)
    monkeypatch.undo()
    monkeypatch.setattr(kid, "_distances_one_by_one", kid._distances_by_table)
    by_table = kernel_distance(real, fake, seed=5)
    assert asdict(by_table) == pytest.approx(asdict(one_by_one), rel=1e-9)
    assert either in (by_table, one_by_one)


def test_mean_over_subsets_tends_to_the_distance_over_all_images() -> None:
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(centre, size=(60, 8)).astype(np.float32) for centre in (0.0, 0.5))
    subsets = kernel_distance(real, fake, seed=0)
    standard_error = subsets.spread / np.sqrt(subsets.subsets)
    assert unbiased_kernel_distance(real, fake) == pytest.approx(subsets.mean, abs=3 * standard_error)


@pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed")
def test_distances_are_the_same_for_any_batch_size(tmp_path: Path, draw: Callable[..., Path]) -> None:
    network = choose_network("efficientnet-lite0", None)
    folders = draw(tmp_path / "real", 7, seed=1), draw(tmp_path / "fake", 6, seed=2, blur_px=1.0)
    alone, together = (
        [extract_features(list_images(folder), (64, 64), network, batch_size=size) for folder in folders]
        for size in (1, 4)
    )
    assert frechet_distance(*alone) == pytest.approx(frechet_distance(*together), rel=1e-4)
    assert unbiased_kernel_distance(*alone) == pytest.approx(unbiased_kernel_distance(*together), rel=1e-4)
