"""How far a student's image is from its teacher's: small pure functions of two batches.

Every function takes `(batch, height, width, 3)` images in [-1, 1] and returns one number, the mean over the batch,
0 for equal images.
"""

from functools import cache
from typing import Any

import numpy as np
from keras import ops

_SSIM_WINDOW_PX = 11
_SSIM_SIGMA_PX = 1.5


def l1(student: Any, teacher: Any) -> Any:
    """Mean absolute difference."""
    return ops.mean(ops.abs(student - teacher))


def dissimilarity(student: Any, teacher: Any) -> Any:
    """1 - SSIM, with the Gaussian window of 11 pixels and sigma 1.5, for pixels in [-1, 1] (a span of 2).

    Source: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    stabiliser_mean, stabiliser_variance = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_s, mean_t = _blur(student), _blur(teacher)
    variance_s = _blur(student * student) - mean_s * mean_s
    variance_t = _blur(teacher * teacher) - mean_t * mean_t
    covariance = _blur(student * teacher) - mean_s * mean_t
    luminance = (2 * mean_s * mean_t + stabiliser_mean) / (mean_s**2 + mean_t**2 + stabiliser_mean)
    structure = (2 * covariance + stabiliser_variance) / (variance_s + variance_t + stabiliser_variance)
    return 1.0 - ops.mean(luminance * structure)


def gradient_difference(student: Any, teacher: Any) -> Any:
    """Mean absolute difference of the two images' gradients: edges must lie where the teacher drew them.

    Source: the gradient term of Mathieu et al. 2016, Deep Multi-Scale Video Prediction, arXiv:1511.05440, alpha = 1.
    """
    difference = student - teacher
    vertical = ops.mean(ops.abs(difference[:, 1:] - difference[:, :-1]))
    horizontal = ops.mean(ops.abs(difference[:, :, 1:] - difference[:, :, :-1]))
    return vertical + horizontal


def psnr(student: Any, teacher: Any) -> Any:
    """Peak signal-to-noise ratio in dB of images with a span of 2, the mean over the batch. A score, not a loss."""
    squared = ops.mean(ops.square(student - teacher), axis=(1, 2, 3))
    return ops.mean(10.0 * ops.log10(4.0 / ops.maximum(squared, 1e-10)))


def _blur(images: Any) -> Any:
    """The Gaussian window as two one-dimensional depthwise convolutions, borders left out."""
    kernel = _gaussian_kernel()
    vertical = np.tile(kernel[:, None, None, None], (1, 1, 3, 1))
    horizontal = np.tile(kernel[None, :, None, None], (1, 1, 3, 1))
    return ops.depthwise_conv(ops.depthwise_conv(images, vertical, padding="valid"), horizontal, padding="valid")


@cache
def _gaussian_kernel() -> np.ndarray:
    offsets = np.arange(_SSIM_WINDOW_PX) - _SSIM_WINDOW_PX // 2
    weights = np.exp(-(offsets**2) / (2 * _SSIM_SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)
