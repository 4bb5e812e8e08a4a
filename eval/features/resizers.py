"""How images become what each network was trained on: resized, and their values shifted and scaled."""

from functools import lru_cache

import numpy as np
from PIL import Image

from eval.features.graphs import efficientnet_lite0, inception, squeezenet

# The training of the TensorFlow original saw (value - 127) / 128.
_LITE0_MEAN, _LITE0_DEVIATION = np.float32(127), np.float32(128)
_INCEPTION_MEAN, _INCEPTION_DEVIATION = np.float32(128), np.float32(128)
BGR_MEAN = (104.006, 116.669, 122.679)
"""Means over ImageNet of blue, green and red, in the order of Caffe: SqueezeNet was trained on images less these."""


def prepare_lite0(image: np.ndarray) -> np.ndarray:
    """Turn `(height, width, 3)` uint8 into `(224, 224, 3)` float32, -0.99 to 1."""
    return (resize_antialiased(image, efficientnet_lite0.SIDE_PX) - _LITE0_MEAN) / _LITE0_DEVIATION


def prepare_squeezenet(image: np.ndarray) -> np.ndarray:
    """Turn `(height, width, 3)` uint8 into `(227, 227, 3)` float32: blue, green and red less their means."""
    return resize_antialiased(image, squeezenet.SIDE_PX)[..., ::-1] - np.array(BGR_MEAN, np.float32)


def prepare_inception(image: np.ndarray) -> np.ndarray:
    """Turn `(height, width, 3)` uint8 into `(299, 299, 3)` float32, -1 to 0.99."""
    return (resize_like_tensorflow1(image, inception.SIDE_PX) - _INCEPTION_MEAN) / _INCEPTION_DEVIATION


def resize_antialiased(image: np.ndarray, side_px: int) -> np.ndarray:
    """Resize bilinearly, over as many pixels as one of the result covers, without rounding to bytes.

    Args:
        image: `(height, width, 3)` uint8.
        side_px: Height and width of the result.

    Returns:
        `(side_px, side_px, 3)` float32, 0 to 255: that of PyTorch's `interpolate(mode="bilinear", antialias=True)`.
    """
    # Pillow, whose filter PyTorch has taken over, keeps fractions in images of one channel of float32.
    channels = (Image.fromarray(channel) for channel in np.moveaxis(image, 2, 0).astype(np.float32))
    size = (side_px, side_px)
    return np.stack([np.asarray(channel.resize(size, Image.Resampling.BILINEAR)) for channel in channels], axis=2)


def resize_like_tensorflow1(image: np.ndarray, side_px: int) -> np.ndarray:
    """Resize bilinearly between two pixels each way, as TensorFlow 1 did: corner to corner, no antialiasing.

    Args:
        image: `(height, width, 3)` uint8.
        side_px: Height and width of the result.

    Returns:
        `(side_px, side_px, 3)` float32, 0 to 255: bit for bit torch-fidelity's
        `interpolate_bilinear_2d_like_tensorflow1x`.
    """
    height, width, _ = image.shape
    left, right, across = _neighbours(width, side_px)
    upper, lower, down = _neighbours(height, side_px)
    pixels = image.astype(np.float32)
    first = pixels[:, left]
    rows = first + (pixels[:, right] - first) * across[None, :, None]
    first = rows[upper]
    return first + (rows[lower] - first) * down[:, None, None]


@lru_cache(maxsize=8)
def _neighbours(side: int, resized: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each place in the result, the pixels before and behind it, and how far it is from the first."""
    place = np.arange(resized, dtype=np.float32) * np.float32(side / resized)
    before = place.astype(np.int64)
    return before, np.minimum(before + 1, side - 1), place - before.astype(np.float32)
