"""Feature vectors of images, computed in batches: memory does not grow with the number of images. Needs torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from compress.images import read_image
from eval.features.networks import FeatureNetwork

BATCH_SIZE = 4
"""Images per batch. Larger ones are slower on a CPU: their activations outgrow its caches."""


class FeatureExtraction:
    """A run of a feature network over images that come one by one.

    Args:
        network: The network.
        images: How many images will come.
        batch_size: Changes nothing but speed and memory.
    """

    def __init__(self, network: FeatureNetwork, images: int, *, batch_size: int = BATCH_SIZE) -> None:
        self._network, self._batch_size = network, batch_size
        self._batch: list[np.ndarray] = []
        # One array: small ones between the networks' large ones keep the allocator from giving memory back, which took
        # 130 kB an image.
        self._features = np.empty((images, network.width), dtype=np.float32)
        self._done = 0

    def add(self, image: np.ndarray) -> None:
        """Take the next image, `(height, width, 3)` uint8, of the same size as the others."""
        self._batch.append(image)
        if len(self._batch) == self._batch_size:
            self._run_batch()

    def finish(self) -> np.ndarray:
        """Return the features of all images, `(images, features)` float32, in the order they came in."""
        if self._batch:
            self._run_batch()
        return self._features[: self._done]

    def _run_batch(self) -> None:
        with torch.no_grad():
            (features,) = self._network.extractor(to_batch(self._batch))
        self._features[self._done : self._done + len(features)] = features.numpy()
        self._done += len(features)
        self._batch.clear()


def extract_features(
    paths: Sequence[Path],
    image_size_px: tuple[int, int],
    network: FeatureNetwork,
    *,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Run a feature network over image files.

    Args:
        paths: The files.
        image_size_px: Height and width; an image of another size is cut and resized to it (Lanczos).
        network: The network.
        batch_size: Changes nothing but speed and memory.

    Returns:
        `(images, features)` float32, in the order of the files.

    Raises:
        UnusableData: If an image is broken.
    """
    extraction = FeatureExtraction(network, len(paths), batch_size=batch_size)
    for path in tqdm(paths, desc="features", unit="image", leave=False, disable=None):
        extraction.add(read_image(path, image_size_px))
    return extraction.finish()


def read_batches(paths: Sequence[Path], image_size_px: tuple[int, int], batch_size: int) -> Iterator[torch.Tensor]:
    """Yield image files in batches as `to_batch` makes them; arguments as `extract_features`."""
    for start in range(0, len(paths), batch_size):
        yield to_batch([read_image(path, image_size_px) for path in paths[start : start + batch_size]])


def to_batch(images: Sequence[np.ndarray]) -> torch.Tensor:
    """Stack `(height, width, 3)` uint8 images to what torch-fidelity's networks take: `(batch, 3, height, width)`."""
    return torch.stack([torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images])
