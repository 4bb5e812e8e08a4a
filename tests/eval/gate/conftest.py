"""Measurements out of synthetic numbers, and a scorer without a feature network."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.images import read_image
from eval.confidence import RESAMPLES, resample_counts
from eval.distribution.fid import resampled_frechet_distances
from eval.distribution.kid import resampled_kernel_distances
from eval.gate import stage
from eval.gate.measurement import CHANNELS, Measurement, ResampledDistance
from eval.score_key import ScoreKey

Measured = Callable[..., Measurement]

IMAGES = 40


@pytest.fixture(scope="session")
def measured() -> Measured:
    """`measured(fid=…, kid=…, noise=…, level=…, psnr_db=…)`: 40 images in Inception features; equal arguments give
    equal measurements. `noise` is the standard deviation of what is resampled, of its own draws for each `seed`.
    """

    def make(
        *,
        fid: float = 50.0,
        kid: float = 0.02,
        noise: float = 0.0,
        seed: int = 0,
        level: float = 100.0,
        psnr_db: float | None = None,
        photo_ssim: float | None = 0.7,
        images: int = IMAGES,
        **others: Any,
    ) -> Measurement:
        draws = np.random.default_rng(seed).normal(size=(2, RESAMPLES)) * noise
        paired = {name: np.full(images, level + offset) for offset, name in enumerate(CHANNELS)}
        if psnr_db is not None:
            paired |= {"psnr_db": psnr_db + np.linspace(-1.0, 1.0, images), "ssim": np.full(images, 0.9)}
            paired |= {"patch_psnr_db": psnr_db - 8.0 + np.linspace(-1.0, 1.0, images)}
            others.setdefault("teacher_sha256", "e" * 64)
        if photo_ssim is not None:
            paired |= {"photo_ssim": np.full(images, photo_ssim), "photo_patch_psnr_db": np.full(images, 14.0)}
        distances = {
            "fid": ResampledDistance(value=fid, resampled=fid + draws[0]),
            "kid": ResampledDistance(value=kid, resampled=kid + draws[1]),
        }
        return Measurement(key=_key(images), distances=distances, paired=paired, **others)

    return make


def _key(images: int) -> dict[str, Any]:
    return {
        "real_sha256": "a" * 64,
        "real_images": 60,
        "fake_images": images,
        "image_size_px": [64, 48],
        "network": "inception",
        "layer": "2048",
        "weights_sha256": "b" * 64,
        "reader": "as it is",
        "resizer": "none",
        "kid_subsets": 100,
        "kid_subset_size": 20,
        "seed": 0,
        "versions": {"torch": "2.15"},
        "inputs_sha256": "c" * 64,
        "resamples": RESAMPLES,
    }


class MeanColours:
    """A feature network without torch: the features of an image are its mean colours."""

    def __init__(self) -> None:
        self.features: list[np.ndarray] = []

    def add(self, image: np.ndarray) -> None:
        self.features.append(image.mean(axis=(0, 1)))

    def finish(self) -> np.ndarray:
        return np.stack(self.features).astype(np.float32)


class StubScorer:
    """A scorer whose feature network needs no torch."""

    fd_name, kid_name = "fid", "kid"

    def __init__(self, config: Any, real: Sequence[Path], image_size_px: tuple[int, int]) -> None:
        self.image_size_px = image_size_px
        self.real_features = np.stack([read_image(path, image_size_px).mean(axis=(0, 1)) for path in real])

    def collect_features(self, paths: Sequence[Path]) -> MeanColours:
        return MeanColours()

    def resample_distances(self, features: np.ndarray) -> dict[str, np.ndarray]:
        counts = resample_counts(len(features), seed=0)
        return {
            "fid": resampled_frechet_distances(self.real_features, features, counts),
            "kid": resampled_kernel_distances(self.real_features, features, counts),
        }

    def build_score_key(self, fake_images: int) -> ScoreKey:
        return ScoreKey(
            real_sha256="a" * 64,
            real_images=len(self.real_features),
            fake_images=fake_images,
            image_size_px=self.image_size_px,
            network="inception",
            layer="3",
            weights_sha256="b" * 64,
            reader="as it is",
            resizer="none",
            kid_subsets=100,
            kid_subset_size=2,
            seed=0,
            versions={},
        )


@pytest.fixture
def stub_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate score without a feature network."""
    monkeypatch.setattr(stage, "load_scorer", StubScorer)
