"""One feature vector for each image of a folder, in batches: memory does not grow with the images' pixels."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from torch_fidelity.utils import get_featuresdict_from_dataset

from compress.images import read_image
from eval.features.networks import FeatureNetwork

BATCH_SIZE = 4
"""Larger batches are slower on a CPU: their activations outgrow its caches."""


class FolderOfImages(Dataset):
    """Image files as the `(3, height, width)` uint8 tensors that torch-fidelity's networks take.

    Args:
        paths: The files.
        image_size_px: Height and width; an image of another size is cut and resized to it (Lanczos).
    """

    def __init__(self, paths: Sequence[Path], image_size_px: tuple[int, int]) -> None:
        self.paths, self.image_size_px = paths, image_size_px

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = read_image(self.paths[index], self.image_size_px)
        return torch.from_numpy(image.transpose(2, 0, 1).copy())


def extract_features(images: FolderOfImages, network: FeatureNetwork, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Run a feature network over images.

    Returns:
        `(images, features)` float32, in the order of the files; the batch size changes nothing but speed and memory.

    Raises:
        UnusableData: If an image is broken.
    """
    features = get_featuresdict_from_dataset(
        images,
        network.extractor,
        batch_size=batch_size,
        cuda=False,
        save_cpu_ram=True,
        verbose=sys.stderr.isatty(),
    )
    return features[network.layer].numpy()
