"""A process that multiplies matrices with NumPy on all cores and prints how long one product takes, seconds."""

import time
from statistics import median

import numpy as np

SIDE = 768
"""Side of the square float32 matrices: 7 MB for the three of them, as much as a small net's activations."""
_PRODUCTS = 20


def time_product() -> float:
    """Return the median seconds of 20 products after a first one, which starts the threads."""
    generator = np.random.default_rng(0)
    left, right = (generator.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    seconds = []
    for _ in range(_PRODUCTS + 1):
        started = time.perf_counter()
        np.matmul(left, right)
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


if __name__ == "__main__":
    print(time_product())
