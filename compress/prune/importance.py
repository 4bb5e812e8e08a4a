"""Importance of each channel: the least important ones are pruned first.

Three criteria. Weights alone decide for `norm` and `bn_scale`; `taylor` looks at what the student's loss would lose on
photos. A unit has many members, above all in a residual trunk, which every block adds to: a unit's score is taken over
all of them together, so that a block that is still near the identity, with gains near zero, hardly has a say.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np

from compress.prune.groups import Group, Role, kernel_axes

Gradients = Mapping[str, np.ndarray]
"""Gradient of each layer's kernel, shaped like it, by the layer's name."""


def kernel_norms(kernel: np.ndarray, *, axis: int = 3) -> np.ndarray:
    """Score each channel by the L1 norm of its weights.

    Args:
        kernel: `(height, width, in_channels, out_channels)`.
        axis: Axis of the channels.

    Returns:
        `(channels,)`, never negative.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, arXiv:1608.08710, section 3.1.
    """
    rows = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
    return np.linalg.norm(rows, ord=1, axis=1)


def scale_magnitudes(gamma: np.ndarray) -> np.ndarray:
    """Score each channel by the size of its BatchNorm's gain, `(channels,)`.

    Source: Liu et al. 2017, Learning Efficient Convolutional Networks through Network Slimming, arXiv:1708.06519.
    """
    return np.abs(gamma)


def loss_change(kernel: np.ndarray, gradient: np.ndarray, *, axis: int = 2) -> np.ndarray:
    """Return how much the loss falls, to first order, when a channel is no longer read.

    Args:
        kernel: `(height, width, in_channels, out_channels)` of a layer that reads the channels.
        gradient: Gradient of the loss, shaped like the kernel.
        axis: Axis of the channels.

    Returns:
        `(channels,)`, with sign: what several layers read of one channel is summed before its size is taken.

    Source: Molchanov et al. 2019, Importance Estimation for Neural Network Pruning, arXiv:1906.10771, equation 8, with
    the weights that read a channel as its parameters, since zeroing those is what removes it.
    """
    others = tuple(index for index in range(kernel.ndim) if index != axis % kernel.ndim)
    return np.sum(kernel.astype(np.float64) * gradient, axis=others)


def normalize_scores(scores: np.ndarray) -> np.ndarray:
    """Scale scores to a mean of 1, so that groups compare; return equal ones where all are 0."""
    mean = scores.mean()
    return scores / mean if mean > 0 else np.ones_like(scores)


def score_by_weights(
    model: keras.Model, groups: Sequence[Group], criterion: Literal["norm", "bn_scale"]
) -> list[np.ndarray]:
    """Score every unit by the student's weights.

    Args:
        model: The student.
        groups: Groups of this model.
        criterion: `bn_scale` falls back on `norm` in a group without BatchNorm.

    Returns:
        For each group `(units,)`, with a mean of 1.
    """
    return [normalize_scores(_weight_scores(model, group, criterion)) for group in groups]


def score_by_loss(model: keras.Model, groups: Sequence[Group], batches: Iterable[Gradients]) -> list[np.ndarray]:
    """Score every unit by what its removal does to the loss.

    Args:
        model: The student.
        groups: Groups of this model.
        batches: The gradients of each calibration batch, at least one.

    Returns:
        For each group `(units,)`: sizes, averaged over the batches. They are all in units of the loss and so compare as
        they are; only together they are brought to a mean of 1.
    """
    totals = [np.zeros(len(group.units)) for group in groups]
    for gradients in batches:
        readings = {name: _reading_change(model.get_layer(name), gradient) for name, gradient in gradients.items()}
        for group, total in zip(groups, totals, strict=True):
            total += np.abs(_gather(group, "kernel", "reads", readings).sum(axis=1))
    mean = np.concatenate(totals).mean() if totals else 0.0
    return [total / mean if mean > 0 else np.ones_like(total) for total in totals]


def _weight_scores(model: keras.Model, group: Group, criterion: Literal["norm", "bn_scale"]) -> np.ndarray:
    gains = {layer for layer, variable, _ in group.slices_per_unit if variable == "gamma"}
    if criterion == "bn_scale" and gains:
        scores = {name: scale_magnitudes(_value(model.get_layer(name).gamma)) for name in gains}
        return _gather(group, "gamma", "carries", scores).mean(axis=1)
    scores = {name: _making_norms(model.get_layer(name)) for name in group.makers}
    return _gather(group, "kernel", "makes", scores).mean(axis=1)


def _making_norms(layer: Any) -> np.ndarray:
    _, making = kernel_axes(layer)
    return kernel_norms(_value(layer.kernel), axis=making)


def _reading_change(layer: Any, gradient: np.ndarray) -> np.ndarray:
    reading, _ = kernel_axes(layer)
    return loss_change(_value(layer.kernel), gradient, axis=reading)


def _gather(group: Group, variable: str, role: Role, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the layers' scores of each unit's members, `(units, members)`."""
    return np.array(
        [
            [scores[piece.layer][piece.index] for piece in unit if (piece.variable, piece.role) == (variable, role)]
            for unit in group.units
        ]
    )


def _value(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable.value))
