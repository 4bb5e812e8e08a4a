"""Configurations of the data makers."""

from dataclasses import dataclass
from typing import Literal

Domain = Literal["A", "B", "both"]
Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class AvatarsConfig:
    """How many avatars to draw, and how large."""

    train_per_domain: int = 400
    """Men to train on, and as many women."""
    test_per_domain: int = 100
    """Men to test on, and as many women; each with its true counterpart beside it."""
    image_size_px: int = 128
    """Height and width of every image, pixels."""
    seed: int = 0
    """Same seed, same avatars: image N stays the same whatever the counts are."""


@dataclass(frozen=True, kw_only=True)
class PhotosConfig:
    """Which photos of a data set to lay out, and how large."""

    split: Split = "test"
    """Which half of the data set: train or test."""
    domain: Domain = "A"
    """Whose photos: A, B or both."""
    image_size_px: int = 256
    """Side of the square that photos are cropped and resized to."""
