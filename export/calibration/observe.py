"""Activation ranges: photos run through a graph, and the range of every tensor chosen from what it held.

The range is what 95 of 100 photos stay within: a rare photo saturates instead of taking resolution from all others.
Measured on the finished 205,000-parameter `vintage` student, calibrated on 48 photos, int8 against float on 20 others,
all pixels together: 38.0 dB with the least and greatest value over all photos, 40.8 with 0.01 % of each photo's values
cut, 45.0 with 0.1 %, 45.3 as here. An untrained or half-trained student shows no such difference (49.1 against 49.6).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from compress.console.progress import progress
from compress.data.config import Domain
from compress.data.folders import LAYOUT, is_single_folder, list_photos
from compress.errors import UnusableArtifact, UnusableData
from compress.images import list_images, read_images, to_float
from export.calibration.bias_correction import correct_biases
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, Range, TensorScale, quantize_graph, quantize_with_scales
from export.interpreter.numpy_float import run_graph

_LEAST_DIVIDED = 10
"""Photos of a single folder from which on its test half is left out."""
PHOTOS_WITHIN = 0.95
"""Share of the photos that a tensor's range covers."""


def sample_photos(data: Path, *, domain: Domain, count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Draw photos to calibrate on, the same ones for the same seed.

    Args:
        data: A CycleGAN folder, of which the training photos of `domain` are used, or any folder of images, whose
            test half is left out.
        domain: The photos that the model was trained to translate.
        count: The most photos to draw.
        size: Height and width to crop and resize to, pixels.
        seed: Random seed of the draw.

    Returns:
        `(height, width, 3)` uint8 images.

    Raises:
        UnusableData: If a folder is missing, empty or has too many broken files.
    """
    return _draw(_list_to_calibrate_on(data, domain), count, size, seed)


def _list_to_calibrate_on(data: Path, domain: Domain) -> list[Path]:
    """List the training photos of a data set, or those of a single folder that are not kept for its test."""
    if any((data / name).is_dir() for name in LAYOUT):
        return list_photos(data, domain, "train")
    photos = list_images(data)
    # Nobody tests on a part of a handful, and calibration needs each of them.
    return photos if len(photos) < _LEAST_DIVIDED else list_photos(data, "A", "train")


def held_back_photos(data: Path, *, domain: Domain, count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Draw photos that `sample_photos` never draws: those of a CycleGAN folder's test half.

    Raises:
        UnusableData: If `data` has no test half, or as `sample_photos` does.
    """
    if is_single_folder(data) and len(list_images(data)) < _LEAST_DIVIDED:
        raise UnusableData(
            f"{data} has fewer than {_LEAST_DIVIDED} photos, all of which are calibrated on. Add more, or pass a data "
            "set with testA."
        )
    return _draw(list_photos(data, domain, "test"), count, size, seed)


def _draw(paths: Sequence[Path], count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(seed).permutation(len(paths))[:count]
    return [image for _, image in read_images([paths[index] for index in sorted(drawn)], size)]


def calibrate_and_quantize(
    graph: Graph,
    images: Sequence[np.ndarray],
    scales: Mapping[str, TensorScale] | None = None,
    float_ops: Collection[str] = (),
) -> QuantizedGraph:
    """Quantize a graph with ranges and corrected biases from photos, or with scales that are chosen already.

    Args:
        graph: A float graph.
        images: `(height, width, 3)` uint8 photos, which set the scales and correct the biases.
        scales: The scales that `compress quantize` has chosen, where it has; photos play no part then.
        float_ops: Beside such scales, the operations that compute in float, each by the tensor that it writes.

    Raises:
        UnusableArtifact: If the scales or operations are those of another graph.
    """
    if scales is not None:
        if scales.keys() != graph.shapes.keys():
            raise UnusableArtifact("the manifest holds scales of other tensors than its model has; quantize it anew.")
        if unknown := sorted(set(float_ops) - {operation.output for operation in graph.operations}):
            raise UnusableArtifact(
                f"the manifest keeps {', '.join(unknown)} in float, which its model does not have; quantize it anew."
            )
        return quantize_with_scales(graph, scales, float_ops)
    # The layers of a student are so small that more threads of BLAS wait for each other: twice the processor's time.
    with threadpool_limits(1, user_api="blas"):
        ranges = observe_ranges(graph, progress(images, name="calibrate", unit="image"))
        return correct_biases(quantize_graph(graph, ranges, alike_sums=True), images)


def observe_ranges(graph: Graph, images: Iterable[np.ndarray]) -> dict[str, Range]:
    """Run photos through the float graph and return the range of each tensor.

    Args:
        graph: A float graph.
        images: `(height, width, 3)` uint8 photos, at least one.

    Returns:
        By tensor, the least and the greatest value that `PHOTOS_WITHIN` of the photos stay within.

    Raises:
        UnusableData: If there is no photo.
    """
    extremes: dict[str, list[Range]] = {}

    def note(name: str, values: np.ndarray) -> None:
        extremes.setdefault(name, []).append((float(values.min()), float(values.max())))

    for image in images:
        run_graph(graph, to_float(image)[np.newaxis], note)
    if not extremes:
        raise UnusableData("there is no image to calibrate on; expected at least one, like those it was trained on.")
    return {name: cover_most_photos(np.array(noted)) for name, noted in extremes.items()}


def cover_most_photos(extremes: np.ndarray) -> Range:
    """Return the range that `PHOTOS_WITHIN` of the photos stay within, from their `(photos, 2)` extremes."""
    least = np.quantile(extremes[:, 0], 1 - PHOTOS_WITHIN)
    greatest = np.quantile(extremes[:, 1], PHOTOS_WITHIN)
    return float(least), float(greatest)
