"""Training images of the two domains on disk, and the batch of each step, a pure function of seed and step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress import images
from compress.data.arrays import load_into_memmap
from compress.errors import UnusableData
from compress.teach.config import TeachConfig
from compress.training import image_pool
from compress.training.loop import sample_indices

HOLDOUT_SHARE = 0.1
MINIMUM_IMAGES = 8
"""Fewest images of a domain: some to train on, and `FEWEST_HELD_BACK` to hold back."""
FEWEST_HELD_BACK = 4
"""Fewest images that KID can be measured on."""


@dataclass(frozen=True)
class DomainImages:
    """Images of one domain."""

    pixels: np.ndarray
    """`(count, height, width, 3)` uint8, `load_scale` times larger than training takes them."""
    training: np.ndarray
    """`(trained,)` int64, indices of the images to train on."""
    held_back: np.ndarray
    """`(held_back,)` int64, indices of the images that KID is measured on."""
    paired: np.ndarray | None = None
    """Paired images of the other domain, shaped like `pixels`; None in unpaired training."""

    def held_back_images(self, image_size: tuple[int, int]) -> np.ndarray:
        """Return the held-back images, cropped at the centre to `(held_back, *image_size, 3)`."""
        height, width = image_size
        top, left = (self.pixels.shape[1] - height) // 2, (self.pixels.shape[2] - width) // 2
        return self.pixels[self.held_back, top : top + height, left : left + width]


@dataclass(frozen=True)
class Batches:
    """Batches of a run, by step."""

    a: DomainImages
    b: DomainImages
    config: TeachConfig

    def __call__(self, step: int) -> tuple[dict[str, np.ndarray]]:
        """Return the inputs of `CycleGan` at a step, as `train_on_batch` takes them."""
        config = self.config
        first_step = config.first_step_at_size(step)
        choices = image_pool.draw_choices(
            step,
            # The pool starts anew with each size, since it holds images of one.
            first_step=first_step,
            batch_size=config.images_per_step(step),
            pool_size=config.pool_size,
            seed=config.seed,
        )
        anneal = min(1.0, (step - first_step) / config.anneal_steps) if config.anneal_steps else 1.0
        inputs = {
            "slots": choices.slots,
            "show_new": choices.show_new,
            "keep_new": choices.keep_new,
            "anneal": np.full(1, anneal, np.float32),
        }
        for name, domain, seed in (("a", self.a, 2 * config.seed), ("b", self.b, 2 * config.seed + 1)):
            inputs[name] = self._draw_images(domain, domain.pixels, step, seed)
            if domain.paired is not None:
                inputs[f"paired_{name}"] = self._draw_images(domain, domain.paired, step, seed)
        return (inputs,)

    def _draw_images(self, domain: DomainImages, pixels: np.ndarray, step: int, seed: int) -> np.ndarray:
        """Return images cropped, mirrored and, at the smaller sizes, downscaled; float32 in [-1, 1].

        Args:
            domain: Domain that says which images to train on.
            pixels: The domain's own images or its paired ones; both are cropped and mirrored alike.
            step: Number of the step.
            seed: Random seed of order, crops and mirroring.
        """
        config = self.config
        (height, width), count = config.image_size, config.images_per_step(step)
        places = sample_indices(step, count=len(domain.training), batch_size=count, seed=seed)
        random = np.random.default_rng((seed, step, 3))
        tops, lefts = (
            random.integers(loaded - wanted + 1, size=count)
            for loaded, wanted in zip(pixels.shape[1:3], config.image_size, strict=True)
        )
        mirrored = random.random(count) < 0.5
        batch = np.stack(
            [
                pixels[row, top : top + height, left : left + width]
                for row, top, left in zip(domain.training[places], tops, lefts, strict=True)
            ]
        )
        if config.flip:
            batch[mirrored] = batch[mirrored, :, ::-1]
        return downscale(images.to_float(batch), config.reduction(step))


def downscale(batch: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of pixels: `(batch, height, width, 3)` to `(batch, height / factor, width / factor, 3)`."""
    count, height, width, channels = batch.shape
    squares = batch.reshape(count, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4), dtype=np.float32)


def load_domain(
    paths: Sequence[Path], file: Path, config: TeachConfig, *, seed: int, paired_paths: Sequence[Path] = ()
) -> DomainImages:
    """Read a domain's images into one array on disk, and hold some back.

    Args:
        paths: The images.
        file: The array to write; that of the paired images is written beside it.
        config: Sizes and how many images to hold back.
        seed: Random seed of which images are held back.
        paired_paths: The paired image of each image; empty in unpaired training.

    Raises:
        UnusableData: If too many images are broken, fewer than `MINIMUM_IMAGES` are left, or any image of a pair is
            broken.
    """
    height, width = (round(side * config.load_scale) for side in config.image_size)
    pixels = load_into_memmap(paths, file, (height, width))
    paired = None
    if paired_paths:
        paired = load_into_memmap(paired_paths, file.with_stem(f"{file.stem}_paired"), (height, width))
    count = len(pixels)
    if paired is not None and not count == len(paired) == len(paths):
        raise UnusableData(
            f"{len(paths) - min(count, len(paired))} images in {paths[0].parent} or {paired_paths[0].parent} cannot be "
            "read, see above; paired training needs both images of every pair. Delete both of a broken pair."
        )
    if count < MINIMUM_IMAGES:
        raise UnusableData(
            f"{paths[0].parent} has {count} usable images, expected at least {MINIMUM_IMAGES}, better some hundreds."
        )
    held_back = max(FEWEST_HELD_BACK, min(config.holdout, int(count * HOLDOUT_SHARE)))
    order = np.random.default_rng((seed, 4)).permutation(count)
    return DomainImages(
        pixels, training=np.sort(order[held_back:]), held_back=np.sort(order[:held_back]), paired=paired
    )
