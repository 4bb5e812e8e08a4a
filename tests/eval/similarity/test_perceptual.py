"""The distance in a feature network's activations: zero, symmetric, growing with what is done to an image."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.images import read_image, write_png
from eval.features.networks import FeatureNetwork, choose_network
from eval.features.weights import find_weights
from eval.similarity.perceptual import perceptual_distances

SIZE_PX = (64, 64)

pytestmark = pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed")


@pytest.fixture(scope="module", params=["efficientnet-lite0", "squeezenet"])
def network(request: pytest.FixtureRequest) -> FeatureNetwork:
    return choose_network(request.param, None)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, draw) -> list[Path]:
    """One drawing: sharp, then ever more blurred."""
    root = tmp_path_factory.mktemp("images")
    return [draw(root / str(radius), 1, seed=5, blur_px=radius) / "000.png" for radius in (0, 1, 2, 4)]


def test_equal_images_have_exactly_no_distance(network: FeatureNetwork, images: list[Path]) -> None:
    distances = perceptual_distances([(path, path) for path in images], network, SIZE_PX)
    assert distances.tolist() == [0.0] * 4


def test_distance_grows_with_blur_and_is_symmetric(network: FeatureNetwork, images: list[Path]) -> None:
    there = perceptual_distances([(images[0], other) for other in images[1:]], network, SIZE_PX)
    back = perceptual_distances([(other, images[0]) for other in images[1:]], network, SIZE_PX)
    assert 0.0 < there[0] < there[1] < there[2] < 4.0 * len(network.stages)
    assert there == pytest.approx(back, rel=1e-6)


def test_distance_grows_with_noise(network: FeatureNetwork, images: list[Path], tmp_path: Path) -> None:
    sharp = read_image(images[0]).astype(int)
    grain = np.random.default_rng(0).normal(size=sharp.shape)
    for strength in (5, 20, 60):
        write_png(tmp_path / f"{strength}.png", np.clip(sharp + strength * grain, 0, 255).astype(np.uint8))
    pairs = [(images[0], tmp_path / f"{strength}.png") for strength in (5, 20, 60)]
    distances = perceptual_distances(pairs, network, SIZE_PX).tolist()
    assert distances == sorted(distances)
    assert distances[2] > 2 * distances[0] > 0


def test_batch_size_changes_nothing(network: FeatureNetwork, images: list[Path]) -> None:
    pairs = [(images[0], other) for other in images]
    together, alone = (perceptual_distances(pairs, network, SIZE_PX, batch_size=size) for size in (4, 1))
    assert together == pytest.approx(alone, rel=1e-4)


class TwoStages:
    """An extractor whose activations are known: the pixels themselves, and their first two channels."""

    batch_size, workers = 3, 1

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        raise AssertionError

    def activations(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        whole = np.stack(images).astype(np.float32)
        return [whole, whole[..., :2]]


def test_distance_is_its_closed_form(network: FeatureNetwork, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (30, 40, 0)).save(tmp_path / "first.png")
    second = Image.new("RGB", (8, 8), (60, 80, 0))
    second.paste((0, 0, 9), (0, 0, 4, 8))
    second.save(tmp_path / "second.png")
    known = dataclasses.replace(network)
    # Where `cached_property` keeps it.
    known.__dict__["extractor"] = TwoStages()
    (distance,) = perceptual_distances([(tmp_path / "first.png", tmp_path / "second.png")], known, (8, 8))
    # One half differs in strength alone, which counts for nothing. In the other half the whole pixels are at right
    # angles (squared difference 2) and their part is nothing at all (1).
    assert distance == pytest.approx(0.5 * 2 + 0.5 * 1)
