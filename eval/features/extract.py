"""Feature vectors of images: decoded, prepared and computed on several threads, a bounded number of them at a time."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from compress.console.progress import progress
from eval.features.ahead import AHEAD, read_ahead
from eval.features.networks import FeatureNetwork


class FeatureExtraction:
    """A run of a feature network over images that come one by one; it computes on threads of its own if on several.

    Args:
        network: The network.
        images: How many images will come.
        batch_size: Changes nothing but speed and memory; the extractor's own when not given.

    Raises:
        UnusableModel: If the network cannot be loaded.
    """

    def __init__(self, network: FeatureNetwork, images: int, *, batch_size: int | None = None) -> None:
        self._extractor = network.extractor
        self._batch_size = batch_size or self._extractor.batch_size
        self._batch: list[np.ndarray] = []
        self._pool = ThreadPoolExecutor(self._extractor.workers) if self._extractor.workers > 1 else None
        self._running: deque[Future[np.ndarray]] = deque()
        # One array: small ones between the networks' large ones keep the allocator from giving memory back, which took
        # 130 kB an image.
        self._features = np.empty((images, network.width), dtype=np.float32)
        self._done = 0

    def add(self, image: np.ndarray) -> None:
        """Take the next image, `(height, width, 3)` uint8, of the same size as the others."""
        self._batch.append(image)
        if len(self._batch) == self._batch_size:
            self._start_batch()
        while len(self._running) > AHEAD * self._extractor.workers:
            self._collect_batch()

    def finish(self) -> np.ndarray:
        """Return the features of all images, `(images, features)` float32, in the order they came in."""
        if self._batch:
            self._start_batch()
        while self._running:
            self._collect_batch()
        if self._pool is not None:
            self._pool.shutdown()
        return self._features[: self._done]

    def _start_batch(self) -> None:
        if self._pool is None:
            self._keep(self._extractor.features(self._batch))
        else:
            self._running.append(self._pool.submit(self._extractor.features, self._batch))
        self._batch = []

    def _collect_batch(self) -> None:
        self._keep(self._running.popleft().result())

    def _keep(self, features: np.ndarray) -> None:
        self._features[self._done : self._done + len(features)] = features
        self._done += len(features)


def extract_features(
    paths: Sequence[Path],
    image_size_px: tuple[int, int],
    network: FeatureNetwork,
    *,
    batch_size: int | None = None,
) -> np.ndarray:
    """Run a feature network over image files.

    Args:
        paths: The files.
        image_size_px: Height and width; an image of another size is cut and resized to it (Lanczos).
        network: The network.
        batch_size: Changes nothing but speed and memory; the extractor's own when not given.

    Returns:
        `(images, features)` float32, in the order of the files.

    Raises:
        UnusableData: If an image is broken.
        UnusableModel: If the network cannot be loaded.
    """
    extraction = FeatureExtraction(network, len(paths), batch_size=batch_size)
    with progress(name="features", unit="image", total=len(paths), stays=False) as shown:
        for image in read_ahead(paths, image_size_px, threads=network.cores):
            extraction.add(image)
            shown.update()
    return extraction.finish()
