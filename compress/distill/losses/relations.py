"""How the parts of an image lie to each other: rows, columns and patches, by their distances and angles."""

from typing import Any

from keras import ops

from compress.distill.losses.arithmetic import in_float32

_MOST_STRIPS = 64
"""Of an image, down or across: angles of all triples of 256 single rows are 16.8 million numbers for each image."""
_PATCHES_PER_SIDE = 8
"""Patches of 32x32 pixels at 256x256, as published."""
_ANGLE_WEIGHT = 2.0
_SHORTEST_SHARE = 1e-4
"""Parts whose squared distance is less than this share of the mean count as so far apart: rounding has no direction."""
_SHORTEST = 1e-6


@in_float32
def relation_difference(student: Any, teacher: Any) -> Any:
    """The sum over rows, columns and patches of the distances' difference and twice the angles' difference.

    Distances between parts are divided by their mean in the image; angles are the cosines at the middle one of every
    three parts. Both are compared by the smooth L1 (Huber) loss. Beyond 64 pixels, neighbouring rows (columns) are
    taken together as one part, so that there are at most 64 of them; there are 8x8 patches. What does not fill the
    last part is left out.

    Source: You et al. 2022, Exploring Content Relationships for Distilling Efficient GANs (CRD), arXiv:2212.11091,
    with the relations of Park et al. 2019, Relational Knowledge Distillation, arXiv:1904.05068.
    """
    total = ops.zeros(())
    for parts in (_rows, _columns, _patches):
        gram_s, gram_t = _centred_gram(parts(student)), _centred_gram(parts(teacher))
        squared_s, squared_t = _squared_distances(gram_s), _squared_distances(gram_t)
        distances = _huber(_relative(squared_s) - _relative(squared_t))
        angles = _huber(_cosines(gram_s, squared_s) - _cosines(gram_t, squared_t))
        total = total + distances + _ANGLE_WEIGHT * angles
    return total


def _rows(images: Any) -> Any:
    """`(batch, strips, values of a strip)`."""
    _, height, width, channels = images.shape
    strip_px = -(-height // _MOST_STRIPS)
    strips = height // strip_px
    return ops.reshape(images[:, : strips * strip_px], (-1, strips, strip_px * width * channels))


def _columns(images: Any) -> Any:
    return _rows(ops.transpose(images, (0, 2, 1, 3)))


def _patches(images: Any) -> Any:
    _, height, width, channels = images.shape
    down, across = min(height, _PATCHES_PER_SIDE), min(width, _PATCHES_PER_SIDE)
    tall, wide = height // down, width // across
    grid = ops.reshape(images[:, : down * tall, : across * wide], (-1, down, tall, across, wide, channels))
    return ops.reshape(ops.transpose(grid, (0, 1, 3, 2, 4, 5)), (-1, down * across, tall * wide * channels))


def _centred_gram(parts: Any) -> Any:
    """`(batch, parts, parts)`: products of parts with their mean taken off, which moves neither distance nor angle."""
    centred = parts - ops.mean(parts, axis=1, keepdims=True)
    return ops.matmul(centred, ops.transpose(centred, (0, 2, 1)))


def _squared_distances(gram: Any) -> Any:
    """`(batch, parts, parts)`, never quite 0, since a root's slope there is boundless."""
    lengths = ops.diagonal(gram, axis1=1, axis2=2)
    squared = lengths[:, :, None] + lengths[:, None, :] - 2.0 * gram
    shortest = _SHORTEST_SHARE * ops.mean(squared, axis=(1, 2), keepdims=True) + _SHORTEST
    return ops.maximum(squared, ops.stop_gradient(shortest))


def _relative(squared: Any) -> Any:
    """Distances in units of their mean over pairs of different parts; 0 from a part to itself."""
    count = squared.shape[1]
    others = 1.0 - ops.eye(count)
    distances = ops.sqrt(squared) * others
    return distances / (ops.sum(distances, axis=(1, 2), keepdims=True) / (count * (count - 1)))


def _cosines(gram: Any, squared: Any) -> Any:
    """`(batch, parts, parts, parts)`: the cosine at the second part of the angle between the first and the third."""
    middle = ops.diagonal(gram, axis1=1, axis2=2)[:, None, :, None]
    # (first - middle) . (third - middle), from products that are known already.
    products = gram[:, :, None, :] - gram[:, :, :, None] - gram[:, None, :, :] + middle
    lengths = ops.sqrt(squared)
    return products / (lengths[:, :, :, None] * lengths[:, None, :, :])


def _huber(difference: Any) -> Any:
    """Mean smooth L1 with its bend at 1."""
    size = ops.abs(difference)
    return ops.mean(ops.where(size < 1.0, 0.5 * size * size, size - 0.5))
