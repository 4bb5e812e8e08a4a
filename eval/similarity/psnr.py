"""Peak signal-to-noise ratio: how large the error of a pixel is, whatever it looks like."""

import math

import numpy as np

from compress import images

PEAK = 255.0


def psnr_db(first: np.ndarray, second: np.ndarray) -> float | None:
    """Peak signal-to-noise ratio of two uint8 images, in dB of a peak of 255; None where they are equal."""
    decibels = images.psnr_db(first.astype(np.float64) - second.astype(np.float64), peak=PEAK)
    return decibels if math.isfinite(decibels) else None
