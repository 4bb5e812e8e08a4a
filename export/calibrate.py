"""Watch a graph work on real photos and note the range of every tensor.

Least and greatest values, nothing cut. Measured on a student of 203,000 parameters after 1750 steps, calibrated on 24
photos, int8 against float on 12 others, mean of their PSNR: 49.1 dB; with the range of least squared error 49.6, with
0.01 % cut from both ends 49.6, with 0.1 % cut 49.5 but 43 at worst, with the mean of each photo's range 44.8. Half a
decibel at 49 is not seen.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from compress.data.config import Domain
from compress.data.folders import LAYOUT, photos
from compress.images import list_images, read_images, to_float
from export.graph import Graph
from export.quantization import Range
from export.reference import run


def sample_photos(data: Path, *, domain: Domain, count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Draw photos to calibrate on, the same ones for the same seed.

    Args:
        data: A CycleGAN folder, of which the training photos of `domain` are used, or any folder of images.
        domain: What the model was trained to translate.
        count: How many at most.
        size: Height and width to crop and resize to, pixels.
        seed: Of the draw.

    Returns:
        `(height, width, 3)` uint8 images.

    Raises:
        UnusableData: If a folder is missing, empty or has too many broken files.
    """
    is_data_set = any((data / name).is_dir() for name in LAYOUT)
    paths = photos(data, domain, "train") if is_data_set else list_images(data)
    drawn = np.random.default_rng(seed).permutation(len(paths))[:count]
    return [image for _, image in read_images([paths[index] for index in sorted(drawn)], size)]


def observe_ranges(graph: Graph, images: Iterable[np.ndarray]) -> dict[str, Range]:
    """Run `(height, width, 3)` uint8 photos through the float graph; return each tensor's least and greatest value."""
    ranges: dict[str, Range] = {}

    def widen(name: str, values: np.ndarray) -> None:
        least, greatest = ranges.get(name, (np.inf, -np.inf))
        ranges[name] = min(least, float(values.min())), max(greatest, float(values.max()))

    for image in images:
        run(graph, to_float(image)[np.newaxis], widen)
    return ranges
