"""Peak signal-to-noise ratio: how large the error of a pixel is, whatever it looks like."""

import numpy as np

PEAK = 255.0


def psnr_db(first: np.ndarray, second: np.ndarray) -> float | None:
    """Peak signal-to-noise ratio of two uint8 images, in dB of a peak of 255; None where they are equal."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(PEAK**2 / error)) if error > 0 else None
