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
    """Return the maps of luminance, and of contrast and structure together, `(planes, rows, columns)` of windows."""
    stabiliser_mean, stabiliser_variance = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    student, teacher = _planes(student), _planes(teacher)
    mean_s, mean_t = _blur(student), _blur(teacher)
    product, squares = mean_s * mean_t, mean_s**2 + mean_t**2
    covariance, variances = _blur(student * teacher) - product, _blur(student**2 + teacher**2) - squares
    luminance = (2 * product + stabiliser_mean) / (squares + stabiliser_mean)
    structure = (2 * covariance + stabiliser_variance) / (variances + stabiliser_variance)
    return luminance, structure


def _planes(images: Any) -> Any:
    """Return each image's channels one after the other, `(planes, height, width)`."""
    return ops.reshape(ops.transpose(images, (0, 3, 1, 2)), (-1, *images.shape[1:3]))


def _blur(planes: Any) -> Any:
    """Apply the Gaussian window along both axes, borders left out.

    Each axis is a matrix product, though most of its factors are zero: depthwise convolutions of three channels take
    four times as long on a CPU.
    """
    height, width = planes.shape[1:]
    along_rows = ops.matmul(ops.reshape(planes, (-1, width)), _window_matrix(width))
    return ops.matmul(_window_matrix(height).T, ops.reshape(along_rows, (-1, height, along_rows.shape[1])))


@cache
def _window_matrix(side_px: int) -> np.ndarray:
    """Return a matrix `(side_px, windows)`, each column of which is the window at one place."""
    begins = range(0, side_px - _WINDOW_PX + 1, _STRIDE_PX)
    matrix = np.zeros((side_px, len(begins)), np.float32)
    for place, begin in enumerate(begins):
        matrix[begin : begin + _WINDOW_PX, place] = _gaussian_kernel()
    return matrix


@cache
def _gaussian_kernel() -> np.ndarray:
    offsets = np.arange(_WINDOW_PX) - _WINDOW_PX // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)
