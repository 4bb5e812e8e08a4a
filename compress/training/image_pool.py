"""Image pool of older generated images, shown to a discriminator now and then so that it does not forget them.

The pool is a variable of the model, so it stays on the device and is part of every checkpoint. Which image goes where
is drawn on the host, as a pure function of the seed and the step, and comes in with the batch.

Source: Shrivastava et al. 2017, Learning from Simulated and Unsupervised Images, arXiv:1612.07828, section 2.3.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from compress.training import replicas


class ImagePool(keras.layers.Layer):
    """Pool of up to `size` generated images.

    Args:
        size: Number of images; 0 keeps none.
        image_size: Largest height and width, pixels. Smaller images lie in the upper left corner of theirs, so that
            one pool serves a training that grows.
    """

    def __init__(self, size: int, image_size: tuple[int, int]) -> None:
        super().__init__(dtype="float32")
        self.images = self.add_weight(
            name="images", shape=(max(1, size), *image_size, 3), initializer="zeros", trainable=False
        )
        self.built = True

    def query(self, new: Any, slots: Any, show_new: Any, keep_new: Any) -> Any:
        """Store new images and return the images to show.

        Args:
            new: `(batch, height, width, 3)`, at most as large as the pool's.
            slots: `(batch,)` places in the pool, all different.
            show_new: `(batch,)` bool; whether the image that comes out is the new one or the one in the slot.
            keep_new: `(batch,)` bool; whether the slot holds the new image afterwards.

        Returns:
            `(batch, height, width, 3)`.
        """
        new = ops.cast(new, "float32")
        (_, height, width, _), (_, largest_height, largest_width, _) = new.shape, self.images.shape
        framed = ops.pad(new, ((0, 0), (0, largest_height - height), (0, largest_width - width), (0, 0)))
        old = ops.take(self.images.value, slots, axis=0)
        kept = ops.where(keep_new[:, None, None, None], framed, old)
        # Each replica's pool holds the images of all.
        everywhere = replicas.gather(slots), replicas.gather(kept)
        self.images.assign(ops.scatter_update(self.images.value, everywhere[0][:, None], everywhere[1]))
        return ops.where(show_new[:, None, None, None], new, old[:, :height, :width])


@dataclass(frozen=True)
class PoolChoices:
    """Random choices of a pool for the images of one step; each `(batch,)`, as `ImagePool.query` takes them."""

    slots: np.ndarray
    show_new: np.ndarray
    keep_new: np.ndarray


def draw_choices(step: int, *, first_step: int, batch_size: int, pool_size: int, seed: int) -> PoolChoices:
    """Draw a pool's choices for a step: fill up first, then show the new image or swap it for an old one at random.

    Args:
        step: Number of the step.
        first_step: Number of the step at which the pool was empty.
        batch_size: Images per step; at most `pool_size`, unless that is 0.
        pool_size: Images that the pool holds; 0 always shows the new images.
        seed: Seed of the run.
    """
    if not pool_size:
        everything, slots = np.ones(batch_size, bool), np.zeros(batch_size, np.int32)
        return PoolChoices(slots, everything, ~everything)
    random = np.random.default_rng((seed, step, 2))
    seen = (step - first_step) * batch_size + np.arange(batch_size)
    filling = seen < pool_size
    # A batch that fills the last free slots takes its others from the rest: no two of its images meet in one.
    slots = np.concatenate([seen[filling], random.permutation(np.setdiff1d(np.arange(pool_size), seen[filling]))])
    swapped = random.random(batch_size) < 0.5
    return PoolChoices(slots[:batch_size].astype(np.int32), filling | ~swapped, filling | swapped)
