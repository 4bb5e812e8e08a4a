"""KID of both directions of a CycleGAN at one step."""

from pathlib import Path

import numpy as np

from compress.teach.convergence import KidCheck
from compress.training.kid import measure_kid


def measure_directions(
    step: int,
    *,
    fake_a: np.ndarray,
    fake_b: np.ndarray,
    real_a: Path,
    real_b: Path,
    scratch: Path,
    network: str = "auto",
) -> KidCheck:
    """Measure the KID of both directions.

    Args:
        step: Number of steps done.
        fake_a: Images translated to A, `(images, height, width, 3)` uint8; for the control, untouched images of B.
        fake_b: Images translated to B; for the control, untouched images of A.
        real_a: Folder of real images of A, from `write_real_images`.
        real_b: Folder of real images of B.
        scratch: An existing folder for temporary files.
        network: `KidHistory.network`, so that all checks are in the same features.
    """
    a2b = measure_kid(fake_b, real_b, scratch, network=network)
    b2a = measure_kid(fake_a, real_a, scratch, network=a2b.network if a2b else network)
    return KidCheck(step, a2b, b2a)
