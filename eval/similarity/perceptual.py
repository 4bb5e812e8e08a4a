"""Perceptual distance: how different two images look to a feature network, stage by stage. Needs torch.

Made like LPIPS, but without its network and without its weights for each channel, which were learned from people's
judgements. So it never has that name, and values compare only within one network.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from eval.features.extract import BATCH_SIZE, read_batches
from eval.features.networks import FeatureNetwork


def perceptual_distances(
    pairs: Sequence[tuple[Path, Path]],
    network: FeatureNetwork,
    image_size_px: tuple[int, int],
    *,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Return the distance of each pair of images in the activations of several stages of a network.

    At each pixel of a stage the activations are scaled to length 1, since it matters which channels respond and not
    how strongly. Their squared differences are summed over channels, averaged over pixels and summed over stages.

    Args:
        pairs: Image files.
        network: Network whose `stages` are compared.
        image_size_px: Height and width; an image of another size is cut and resized to it.
        batch_size: Changes nothing but speed and memory.

    Returns:
        `(pairs,)` float32; 0 for equal images, at most 4 for each stage.

    Raises:
        UnusableData: If an image is broken.

    Source: Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric,
        arXiv:1801.03924, equation 1 with all weights 1.
    """
    sides = [read_batches(paths, image_size_px, batch_size) for paths in zip(*pairs, strict=True)]
    distances: list[float] = []
    with torch.inference_mode(), _recorded_stages(network) as recorded:
        for batches in zip(*sides, strict=True):
            # One after the other, so that equal images pass through equal arithmetic and differ by exactly 0.
            first, second = (_activations(batch, network, recorded) for batch in batches)
            summed = torch.stack([_distance(*both) for both in zip(first, second, strict=True)]).sum(dim=0)
            # As numbers: small tensors between the networks' large ones keep memory from being given back.
            distances += summed.tolist()
    return np.array(distances, dtype=np.float32)


@contextmanager
def _recorded_stages(network: FeatureNetwork) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which each forward pass appends the output of each stage."""
    recorded: list[torch.Tensor] = []
    hooks = [
        network.extractor.get_submodule(stage).register_forward_hook(lambda _module, _inputs, out: recorded.append(out))
        for stage in network.stages
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _activations(batch: torch.Tensor, network: FeatureNetwork, recorded: list[torch.Tensor]) -> list[torch.Tensor]:
    recorded.clear()
    network.extractor(batch)
    return [functional.normalize(activations, dim=1) for activations in recorded]


def _distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compare `(batch, channels, height, width)`, each pixel of length 1, to `(batch,)`."""
    return (first - second).square().sum(dim=1).mean(dim=(1, 2))
