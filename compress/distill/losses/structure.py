"""Structural similarity of two images, at one scale or at several."""

from functools import cache
from typing import Any

import numpy as np
from keras import ops

from compress.distill.losses.arithmetic import in_float32

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_SCALE_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""How much each scale counts, finest first; Wang et al. 2003, from what people see."""
_SMALLEST_STRUCTURE = 1e-3
"""A small power of it is still defined, and its slope is bounded."""


@in_float32
def dissimilarity(student: Any, teacher: Any) -> Any:
    """1 - SSIM, with the Gaussian window of 11 pixels and sigma 1.5, for pixels in [-1, 1] (a span of 2).

    Source: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    luminance, structure = _comparisons(student, teacher)
    return 1.0 - ops.mean(luminance * structure)


@in_float32
def multi_scale_dissimilarity(student: Any, teacher: Any) -> Any:
    """1 - MS-SSIM: structure at up to five scales, each half as large as the one before, luminance at the last.

    The published five scales need images of 176 pixels. Smaller images are compared at as many scales as leave room
    for the window, with the powers scaled to sum to 1 again; one scale is nearly `dissimilarity`, which averages the
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
    """The powers of the scales at which the window still fits."""
    count = sum(side_px // 2**scale >= _WINDOW_PX for scale in range(len(_SCALE_POWERS)))
    if not count:
        raise ValueError(f"images have a side of {side_px} pixels, expected at least {_WINDOW_PX}, SSIM's window.")
    return tuple(power / sum(_SCALE_POWERS[:count]) for power in _SCALE_POWERS[:count])


def _comparisons(student: Any, teacher: Any) -> tuple[Any, Any]:
    """The maps of luminance, and of contrast and structure together."""
    stabiliser_mean, stabiliser_variance = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_s, mean_t = _blur(student), _blur(teacher)
    variance_s = _blur(student * student) - mean_s * mean_s
    variance_t = _blur(teacher * teacher) - mean_t * mean_t
    covariance = _blur(student * teacher) - mean_s * mean_t
    luminance = (2 * mean_s * mean_t + stabiliser_mean) / (mean_s**2 + mean_t**2 + stabiliser_mean)
    structure = (2 * covariance + stabiliser_variance) / (variance_s + variance_t + stabiliser_variance)
    return luminance, structure


def _blur(images: Any) -> Any:
    """The Gaussian window as two one-dimensional depthwise convolutions, borders left out."""
    kernel = _gaussian_kernel()
    vertical = np.tile(kernel[:, None, None, None], (1, 1, 3, 1))
    horizontal = np.tile(kernel[None, :, None, None], (1, 1, 3, 1))
    return ops.depthwise_conv(ops.depthwise_conv(images, vertical, padding="valid"), horizontal, padding="valid")


@cache
def _gaussian_kernel() -> np.ndarray:
    offsets = np.arange(_WINDOW_PX) - _WINDOW_PX // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)
