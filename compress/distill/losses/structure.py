"""Losses of structural similarity: SSIM at one scale, MS-SSIM at several."""

from functools import cache
from typing import Any

import numpy as np
from keras import ops

from compress.distill.losses.precision import in_float32

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_STRIDE_PX = 2
"""Stride of the window along both axes: windows of 11 pixels still weigh all pixels alike, to 2e-4, in half of the time
that a stride of 1 takes."""
_SCALE_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Power of each scale, finest first; Wang et al. 2003, from a study of what people see."""
_SMALLEST_STRUCTURE = 1e-3
"""Lower bound of a comparison, of which a small power is defined and has a bounded slope."""


@in_float32
def ssim_loss(student: Any, teacher: Any) -> Any:
    """Return 1 - SSIM, with the Gaussian window of 11 pixels and sigma 1.5, for pixels in [-1, 1] (a span of 2).

    The paper moves its window pixel by pixel; see `_STRIDE_PX`.

    Source: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    luminance, structure = _comparisons(student, teacher)
    return 1.0 - ops.mean(luminance * structure)


@in_float32
def ms_ssim_loss(student: Any, teacher: Any) -> Any:
    """Return 1 - MS-SSIM: structure at up to five scales, each half as large as the one before, luminance at the last.

    The published five scales need images of 176 pixels. Smaller images are compared at as many scales as leave room
    for the window, with the powers scaled to sum to 1 again; one scale is nearly `ssim_loss`, which averages the
    product of the two comparisons where this multiplies their averages.

    Source: Wang, Simoncelli and Bovik 2003, Multiscale Structural Similarity for Image Quality Assessment.
    """
    powers = _scale_powers(min(student.shape[1:3]))
    similarity = ops.ones(())
    for scale, power in enumerate(powers):
        if scale:
            student, teacher = (ops.average_pool(images, 2, 2) for images in (student, teacher))
        luminance, structure = (ops.mean(comparison, axis=(1, 2)) for comparison in _comparisons(student, teacher))
        similarity = similarity * ops.maximum(structure, _SMALLEST_STRUCTURE) ** power
        if scale == len(powers) - 1:
            similarity = similarity * ops.maximum(luminance, _SMALLEST_STRUCTURE) ** power
    return 1.0 - ops.mean(similarity)


def _scale_powers(side_px: int) -> tuple[float, ...]:
    """Return the powers of the scales at which the window still fits, scaled to sum to 1."""
    count = sum(side_px // 2**scale >= _WINDOW_PX for scale in range(len(_SCALE_POWERS)))
    if not count:
        raise ValueError(f"images have a side of {side_px} pixels, expected at least {_WINDOW_PX}, SSIM's window.")
    return tuple(power / sum(_SCALE_POWERS[:count]) for power in _SCALE_POWERS[:count])


def _comparisons(student: Any, teacher: Any) -> tuple[Any, Any]:
    """Return the maps of luminance, and of contrast and structure together: `_blur`'s shape."""
    stabiliser_mean, stabiliser_variance = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_s, mean_t = _blur(student), _blur(teacher)
    product, squares = mean_s * mean_t, mean_s**2 + mean_t**2
    covariance, variances = _blur(student * teacher) - product, _blur(student**2 + teacher**2) - squares
    luminance = (2 * product + stabiliser_mean) / (squares + stabiliser_mean)
    structure = (2 * covariance + stabiliser_variance) / (variances + stabiliser_variance)
    return luminance, structure


def _blur(images: Any) -> Any:
    """Apply the Gaussian window along both axes, borders left out.

    Returns:
        `(batch, columns, rows, channels)` of windows: transposed, which is the same to an average.
    """
    return _blur_columns(ops.transpose(_blur_columns(images), (0, 2, 1, 3)))


def _blur_columns(images: Any) -> Any:
    """Apply the window along the first axis of images.

    Each column of each channel counts as a channel of a depthwise convolution: on a CPU that is faster than a product
    with a matrix of windows, and much faster than a convolution of three channels.
    """
    height, width, channels = images.shape[1:]
    kernel = np.broadcast_to(_gaussian_kernel()[:, None, None, None], (_WINDOW_PX, 1, width * channels, 1))
    lines = ops.reshape(images, (-1, height, 1, width * channels))
    blurred = ops.depthwise_conv(lines, kernel, strides=_STRIDE_PX, padding="valid")
    return ops.reshape(blurred, (-1, blurred.shape[1], width, channels))


@cache
def _gaussian_kernel() -> np.ndarray:
    offsets = np.arange(_WINDOW_PX) - _WINDOW_PX // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)
