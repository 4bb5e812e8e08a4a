"""Configurations of the stages that make data sets."""

from dataclasses import dataclass
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

SingleDomain = Literal["A", "B"]
Domain = Literal["A", "B", "both"]
Split = Literal["train", "test"]
NOTE_NAME = "NOTE.json"
"""File in a data set that tells how it was made."""


def opposite(domain: Domain) -> SingleDomain | None:
    """Return the domain that photos of `domain` are translated into; None for both."""
    opposites: dict[Domain, SingleDomain] = {"A": "B", "B": "A"}
    return opposites.get(domain)


@dataclass(frozen=True, kw_only=True)
class AvatarsConfig:
    """Numbers and size of the avatars to draw."""

    train_per_domain: int = 400
    """Men to train on, and as many women."""
    test_per_domain: int = 100
    """Men to test on, and as many women; each with its paired image beside it."""
    train_paired: bool = False
    """Draw the counterparts of the training images, too, for `compress teach --paired-weight`."""
    image_size_px: int = 128
    """Height and width of every image, pixels."""
    seed: int = 0
    """Random seed: image N of a seed is the same whatever the counts are."""


@dataclass(frozen=True, kw_only=True)
class PhotosConfig:
    """Photos of a data set to write as PNG, and their size."""

    split: Split = "test"
    """Half of the data set: train or test."""
    domain: Domain = "A"
    """Domain of the photos: A, B or both."""
    image_size_px: int = 256
    """Side of the square that photos are cropped and resized to."""
    paired: bool = False
    """Write the photos' paired images instead, under the photos' names: from testA_paired and so on."""


@dataclass(frozen=True, kw_only=True)
class FacesConfig:
    """Size of the faces that are cut out, and which of a photo's faces are."""

    image_size_px: int = 256
    """Side of the square that a face is cut out as."""
    all: bool = False
    """Cut out all faces of a photo, each to a file; else the largest."""
    nth: int | None = None
    """Cut out the Nth largest face of each photo, from 1, instead."""

    def __post_init__(self) -> None:
        require_at_least(self, image_size_px=16, nth=1)
        if self.all and self.nth is not None:
            raise UsageError(f"nth = {self.nth} takes one face, and all takes every one. Leave one of them out.")


@dataclass(frozen=True, kw_only=True)
class CelebaConfig:
    """Choice of CelebA's images for the two domains, their split and their size.

    A condition is an attribute, `Male`, or its opposite, `!Male`; single quotes keep a shell's hands off the `!`.
    """

    a: tuple[str, ...]
    """Attribute that makes domain A, or '!Attribute'; repeated, all must hold."""
    b: tuple[str, ...]
    """Attribute that makes domain B, likewise; no image may be in both."""
    drop: tuple[str, ...] = ()
    """Leave images out for which this holds, such as Eyeglasses; repeated, one is enough."""
    keep: tuple[str, ...] = ()
    """Take only images for which this holds, such as Attractive; repeated, all must hold."""
    train_per_domain: int | None = None
    """At most so many images to train on in each domain; all that are left when not given."""
    test_per_domain: int = 500
    """Images to test on in each domain."""
    image_height_px: int | None = None
    """Height that images are cropped and resized to; goes with the width. Files are copied as they are without both."""
    image_width_px: int | None = None
    """Width that images are cropped and resized to; goes with the height."""
    seed: int = 0
    """Random seed of the split: the same seed draws the same test images."""
