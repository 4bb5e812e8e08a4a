"""Measurements out of synthetic numbers, for what the gate makes of them without a feature network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eval.confidence import RESAMPLES
from eval.gate.measurement import CHANNELS, Measurement, ResampledDistance

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
