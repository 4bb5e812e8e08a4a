"""The two domains' images on disk, and what a step sees of them: a pure function of the seed and the step's number."""

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
"""Of a domain: some to train on, and held back the fewest that KID can be measured on."""
FEWEST_HELD_BACK = 4


@dataclass(frozen=True)
class Domain:
    """One domain's images, `(count, height, width, 3)` uint8, larger than training takes them by `load_scale`."""

    pixels: np.ndarray
    training: np.ndarray
    """`(trained,)` int64: the images to train on."""
    held_back: np.ndarray
    """`(held_back,)` int64: the images to watch."""
    truth: np.ndarray | None = None
    """Like `pixels`: the same images as the other domain shows them; None where nobody asks."""

    def watched(self, image_size: tuple[int, int]) -> np.ndarray:
        """The held-back images, cut at the centre to `(held_back, *image_size, 3)`."""
        height, width = image_size
        top, left = (self.pixels.shape[1] - height) // 2, (self.pixels.shape[2] - width) // 2
        return self.pixels[self.held_back, top : top + height, left : left + width]


@dataclass(frozen=True)
class Batches:
    """What every step of a run sees."""

    a: Domain
    b: Domain
    config: TeachConfig

    def __call__(self, step: int) -> tuple[dict[str, np.ndarray]]:
        """The inputs of `CycleGan` at a step, as `train_on_batch` takes them."""
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
            inputs[name] = self._images(domain, domain.pixels, step, seed)
            if domain.truth is not None:
                inputs[f"truth_{name}"] = self._images(domain, domain.truth, step, seed)
        return (inputs,)

    def _images(self, domain: Domain, pixels: np.ndarray, step: int, seed: int) -> np.ndarray:
        """Cropped, mirrored and, at the smaller sizes, averaged down; float32 in [-1, 1].

        Args:
            domain: Whose images are to be trained on.
            pixels: Its own or their truths; both are cut alike.
            step: The step that sees them.
            seed: Of their choice.
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
        return reduced(images.to_float(batch), config.reduction(step))


def reduced(batch: np.ndarray, factor: int) -> np.ndarray:
    """Average squares of pixels: `(batch, height, width, 3)` to `(batch, height / factor, width / factor, 3)`."""
    count, height, width, channels = batch.shape
    squares = batch.reshape(count, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4), dtype=np.float32)


def collect(
    paths: Sequence[Path], file: Path, config: TeachConfig, *, seed: int, truths: Sequence[Path] = ()
) -> Domain:
    """Read a domain's images into one array on disk, and hold some back.

    Args:
        paths: The images.
        file: The array to write; that of the truths is written beside it.
        config: Sizes and how many to hold back.
        seed: Which ones.
        truths: The true translation of each image, or nothing.

    Raises:
        UnusableData: If too many images are broken, fewer than `MINIMUM_IMAGES` are left, or any is broken that a truth
            belongs to, or is one.
    """
    height, width = (round(side * config.load_scale) for side in config.image_size)
    pixels = load_into_memmap(paths, file, (height, width))
    truth = load_into_memmap(truths, file.with_stem(f"{file.stem}_truth"), (height, width)) if truths else None
    count = len(pixels)
    if truth is not None and not count == len(truth) == len(paths):
        raise UnusableData(
            f"{len(paths) - min(count, len(truth))} images in {paths[0].parent} or {truths[0].parent} cannot be read, "
            "see above; learning from true translations needs every image and its truth. Delete both of a broken pair."
        )
    if count < MINIMUM_IMAGES:
        raise UnusableData(
            f"{paths[0].parent} has {count} usable images, expected at least {MINIMUM_IMAGES}, better some hundreds."
        )
    held_back = max(FEWEST_HELD_BACK, min(config.holdout, int(count * HOLDOUT_SHARE)))
    order = np.random.default_rng((seed, 4)).permutation(count)
    return Domain(pixels, training=np.sort(order[held_back:]), held_back=np.sort(order[:held_back]), truth=truth)
