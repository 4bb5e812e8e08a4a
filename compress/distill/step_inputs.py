"""Inputs of a distiller's step: a pure function of the seed and the step's number."""

from typing import Any, Protocol

import numpy as np

from compress import images
from compress.distill.config import CROP_STEP_PX, FitConfig
from compress.distill.discriminators import patch
from compress.distill.training_data.occluders.paste import draw_occluders, paste_each
from compress.faces.template import AlignmentTemplate
from compress.training import image_pool, loop

Inputs = np.ndarray | dict[str, np.ndarray]


class RealImages(Protocol):
    """Images `(count, height, width, 3)` uint8, of which a batch is taken by an array of places."""

    def __len__(self) -> int: ...
    def __getitem__(self, places: np.ndarray, /) -> np.ndarray: ...


def step_pairs(photos: np.ndarray, targets: np.ndarray, step: int, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return what the student sees and should make of it at a step: squares of both images, or the images.

    Args:
        photos: `(batch, height, width, 3)`.
        targets: The teacher's images of them, of the same shape.
        step: Number of the step.
        config: Says whether the step has squares.
    """
    if not config.crops(step):
        return photos, targets
    side, count = config.crop_px, len(photos)
    assert side is not None
    random = np.random.default_rng((config.seed, step, 8))
    corners = random.integers(0, (photos.shape[1] - side) // CROP_STEP_PX + 1, (count, 2)) * CROP_STEP_PX
    return _squares(photos, corners, side), _squares(targets, corners, side)


def step_inputs(
    photos: np.ndarray,
    step: int,
    config: FitConfig,
    real: RealImages | None,
    alignment: AlignmentTemplate | None = None,
) -> Inputs:
    """Return the first argument of `train_on_batch`: the photos, with what belongs to the step where anything does.

    The discriminator's inputs come only from its first step on. Until then the step that Keras compiles holds no
    discriminator and pays for none; at that step it is compiled once more. For the same reason squares are told by a
    key of their own: where only shapes differ, TensorFlow compiles for any shape, and far worse.

    Args:
        photos: `(batch, height, width, 3)` float32 in [-1, 1], from `step_pairs`.
        step: Number of the step.
        config: The phases, and the square that is cut.
        real: Real images; None without a discriminator.
        alignment: Where faces lie in them; None where nobody knows.
    """
    if not config.has_phases and config.discriminator_crop_px is None and config.crop_px is None:
        return photos
    turned = config.has_phases and step >= config.turning_step
    inputs = {"photos": photos, "l1_scale": np.full(1, config.l1_final_scale if turned else 1.0, np.float32)}
    if config.crops(step):
        inputs["cropped"] = np.ones(1, np.float32)
    side = config.discriminator_crop_px
    if side is not None and side < photos.shape[1]:
        random = np.random.default_rng((config.seed, step, 6))
        inputs["cut"] = random.integers(0, photos.shape[1] - side + 1, 2, dtype=np.int32)
    if real is not None and step >= config.discriminator_step:
        judged_px = min(side or photos.shape[1], photos.shape[1])
        inputs |= _discriminator_inputs(step, config, real, judged_px, alignment)
    return inputs


def _discriminator_inputs(
    step: int, config: FitConfig, real: RealImages, side: int, alignment: AlignmentTemplate | None
) -> dict[str, Any]:
    """Return the entries that the discriminator's `INPUTS` name."""
    count, seed = config.batch_size, config.seed
    # Another seed than the photos': the two orders have nothing to do with each other.
    places = loop.sample_indices(step, count=len(real), batch_size=count, seed=seed + 1)
    whole = real[places]
    if config.augment == "occluders":
        # Without occluders of their own, real images would be told from the student's by that alone.
        seeds = [(seed, step, 10, place) for place in places.tolist()]
        whole = paste_each(whole, draw_occluders(seeds, whole.shape[1], alignment))
    corners = np.random.default_rng((seed, step, 7)).integers(0, whole.shape[1] - side + 1, (count, 2))
    squares = _squares(whole, corners, side)
    if config.flip:
        mirrored = np.random.default_rng((seed, step, 5)).random(count) < 0.5
        squares[mirrored] = squares[mirrored, :, ::-1]
    inputs: dict[str, Any] = {"real": images.to_float(squares)}
    if config.discriminator == "projected":
        inputs["adversarial_scale"] = np.full(1, step >= config.turning_step, np.float32)
        return inputs
    choices = image_pool.draw_choices(
        step, first_step=config.turning_step, batch_size=count, pool_size=patch.pool_size(count), seed=seed
    )
    return {**inputs, "slots": choices.slots, "show_new": choices.show_new, "keep_new": choices.keep_new}


def _squares(whole: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    """Cut a square from each image, every one at a place of its own."""
    places = zip(whole, corners, strict=True)
    return np.stack([image[top : top + side, left : left + side] for image, (top, left) in places])
