"""Inputs of a distiller's step beside the photos: a pure function of the seed and the step's number."""

from typing import Any

import numpy as np

from compress import images
from compress.distill import discriminator
from compress.distill.config import FitConfig
from compress.training import image_pool, loop

Inputs = np.ndarray | dict[str, np.ndarray]


def step_inputs(photos: np.ndarray, step: int, config: FitConfig, real: np.ndarray | None) -> Inputs:
    """Return the first argument of `train_on_batch`: the photos, with what belongs to the step where anything does.

    The discriminator's inputs come only from its first step on. Until then the step that Keras compiles holds no
    discriminator and pays for none; at that step it is compiled once more.

    Args:
        photos: `(batch, height, width, 3)` float32 in [-1, 1].
        step: Number of the step.
        config: The phases, and the square that is cut.
        real: `(count, height, width, 3)` uint8; None without a discriminator.
    """
    if not config.has_phases and config.discriminator_crop_px is None:
        return photos
    turned = config.has_phases and step >= config.turning_step
    inputs = {"photos": photos, "l1_scale": np.full(1, config.l1_final_scale if turned else 1.0, np.float32)}
    if config.discriminator_crop_px is not None:
        random = np.random.default_rng((config.seed, step, 6))
        inputs["cut"] = random.integers(0, photos.shape[1] - config.discriminator_crop_px + 1, 2, dtype=np.int32)
    if real is not None and turned:
        inputs |= _discriminator_inputs(step, config, real)
    return inputs


def _discriminator_inputs(step: int, config: FitConfig, real: np.ndarray) -> dict[str, Any]:
    """Return the entries that `discriminator.INPUTS` names."""
    count, seed = config.batch_size, config.seed
    choices = image_pool.draw_choices(
        step, first_step=config.turning_step, batch_size=count, pool_size=discriminator.pool_size(count), seed=seed
    )
    # Another seed than the photos': the two orders have nothing to do with each other.
    places = loop.sample_indices(step, count=len(real), batch_size=count, seed=seed + 1)
    squares = _random_squares(real[places], config, step)
    if config.flip:
        mirrored = np.random.default_rng((seed, step, 5)).random(count) < 0.5
        squares[mirrored] = squares[mirrored, :, ::-1]
    return {
        "real": images.to_float(squares),
        "slots": choices.slots,
        "show_new": choices.show_new,
        "keep_new": choices.keep_new,
    }


def _random_squares(real: np.ndarray, config: FitConfig, step: int) -> np.ndarray:
    """Cut a square from each real image, every one at a place of its own; without a side, return whole images."""
    side = config.discriminator_crop_px
    if side is None:
        return real
    corners = np.random.default_rng((config.seed, step, 7)).integers(0, real.shape[1] - side + 1, (len(real), 2))
    return np.stack(
        [image[top : top + side, left : left + side] for image, (top, left) in zip(real, corners, strict=True)]
    )
