"""Kernel distance between two sets of features, through torch-fidelity; with Inception features it is the KID."""

from dataclasses import dataclass

import numpy as np
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

SUBSETS = 100
LARGEST_SUBSET = 1000


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """Mean and standard deviation over random subsets; the mean is unbiased and may fall below 0."""

    mean: float
    spread: float
    subsets: int
    subset_size: int


def subset_size(real_images: int, fake_images: int) -> int:
    """Choose how many images a subset has: the customary 1000, or half of the smaller folder where that is less.

    Subsets of a whole folder would all be the same one and their spread 0. Of halves, drawn without replacement, it is
    about the standard error of the mean over the whole folder.
    """
    return min(LARGEST_SUBSET, min(real_images, fake_images) // 2)


def kernel_distance(real: np.ndarray, fake: np.ndarray, *, seed: int) -> KernelDistance:
    """Measure the squared maximum mean discrepancy under the cubic polynomial kernel.

    Args:
        real: `(images, features)` float32, at least four images.
        fake: `(images, features)` float32, at least four images.
        seed: Draws the subsets.

    Source: Binkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401, section 4.
    """
    size = subset_size(len(real), len(fake))
    metric = kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=SUBSETS,
        kid_subset_size=size,
        rng_seed=seed,
        verbose=False,
    )
    return KernelDistance(
        mean=metric[KEY_METRIC_KID_MEAN], spread=metric[KEY_METRIC_KID_STD], subsets=SUBSETS, subset_size=size
    )
