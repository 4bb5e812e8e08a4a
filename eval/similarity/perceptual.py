"""Perceptual distance: how different two images look to a feature network, stage by stage.

Made like LPIPS, but without its network and without its weights for each channel, which were learned from people's
judgements. So it never has that name, and values compare only within one network.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from eval.features.ahead import map_ahead, read_ahead
from eval.features.networks import Extractor, FeatureNetwork

_Pair = tuple[np.ndarray, np.ndarray]
_LEAST_LENGTH = np.float32(1e-12)
"""What activations are divided by where all of a pixel's are zero."""


def perceptual_distances(
    pairs: Sequence[tuple[Path, Path]],
    network: FeatureNetwork,
    image_size_px: tuple[int, int],
    *,
    batch_size: int | None = None,
) -> np.ndarray:
    """Return the distance of each pair of images in the activations of several stages of a network.

    At each pixel of a stage the activations are scaled to length 1, since it matters which channels respond and not
    how strongly. Their squared differences are summed over channels, averaged over pixels and summed over stages.

    Args:
        pairs: Image files.
        network: Network whose `stages` are compared.
        image_size_px: Height and width; an image of another size is cut and resized to it.
        batch_size: Changes nothing but speed and memory; the extractor's own when not given.

    Returns:
        `(pairs,)` float32; 0 for equal images, at most 4 for each stage.

    Raises:
        UnusableData: If an image is broken.

    Source: Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric,
        arXiv:1801.03924, equation 1 with all weights 1.
    """
    extractor = network.extractor
    images = read_ahead(chain.from_iterable(pairs), image_size_px, threads=network.cores)
    batches = _in_batches(zip(images, images, strict=True), batch_size or extractor.batch_size)
    distances = map_ahead(partial(_compare, extractor), batches, threads=extractor.workers)
    return np.array(list(chain.from_iterable(distances)), dtype=np.float32)


def _in_batches(pairs: Iterable[_Pair], size: int) -> Iterator[list[_Pair]]:
    remaining = iter(pairs)
    while batch := list(islice(remaining, size)):
        yield batch


def _compare(extractor: Extractor, pairs: Sequence[_Pair]) -> list[float]:
    """Return the distance of each pair of images, `(height, width, 3)` uint8."""
    # One after the other, so that equal images pass through equal arithmetic and differ by exactly 0.
    first, second = ([_normalize(stage) for stage in extractor.activations(side)] for side in zip(*pairs, strict=True))
    summed = sum(_distance(*both) for both in zip(first, second, strict=True))
    # As numbers: small arrays between the networks' large ones keep memory from being given back.
    return np.asarray(summed).tolist()


def _normalize(activations: np.ndarray) -> np.ndarray:
    """Scale `(images, height, width, channels)` to length 1 at each pixel."""
    length = np.sqrt(np.einsum("nhwc,nhwc->nhw", activations, activations))
    return activations / np.maximum(length, _LEAST_LENGTH)[..., None]


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compare `(images, height, width, channels)`, each pixel of length 1, to `(images,)`."""
    difference = first - second
    return np.einsum("nhwc,nhwc->nhw", difference, difference).mean(axis=(1, 2))
