"""Averages of weights over a training, and running statistics that fit them.

No step has computed with an average, so the statistics of its activations have never been seen: they are taken anew.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the averages that an optimizer keeps into its model for the time of the block; all is put back after it.

    Args:
        model: Compiled with an optimizer that averages weights, and trained for at least one step.
    """
    before = model.get_weights()
    try:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        # On JAX each weight is now the very array of its average, which using up the one would delete.
        model.set_weights(model.get_weights())
        yield
    finally:
        model.set_weights(before)


def has_batch_norm(net: keras.Model) -> bool:
    """Check whether a net has BatchNorm, whose statistics a few batches tell."""
    return any(True for _ in _batch_norms(net))


def refresh_batch_statistics(net: keras.Model, photos: Callable[[int], np.ndarray], steps: int) -> None:
    """Refresh a net's running statistics on photos; nothing else of it changes.

    BatchNorm's become the plain mean over the batches, whatever they were before. Other layers' run on as in training.

    Args:
        net: Left alone where it has no such statistics.
        photos: Returns the batch of a step, `(batch, height, width, 3)`.
        steps: Number of batches.

    Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, arXiv:1803.05407, section 3.2.
    """
    if not net.non_trainable_variables:
        return
    momenta = {norm: norm.momentum for norm in _batch_norms(net)}
    try:
        for step in range(steps):
            for norm in momenta:
                norm.momentum = step / (step + 1)
            net(photos(step), training=True)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum


def _batch_norms(net: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in net.layers:
        if isinstance(layer, keras.Model):
            yield from _batch_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer
