"""Improved precision and recall of two sets of features, through torch-fidelity: quality and variety apart."""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 3
"""Nearest neighbours that span the region of an image."""
_MOST_AT_ONCE = 2048
"""Most images whose distances to all others are in memory at once: the whole table of 20,000 takes 3.2 GB."""
_BLOCK_BYTES = 2**24
"""Bytes of the distances of some images to all others; torch-fidelity holds a few of such blocks."""
_FLOAT32_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Two shares from 0 to 1: of fakes that look real, and of real images that the fakes cover."""

    precision: float
    recall: float


def precision_recall(real: np.ndarray, fake: np.ndarray) -> PrecisionRecall:
    """Return the share of each set that lies among the other: within reach of an image's third nearest neighbour.

    Both depend on the number of images, and move in steps of one image: compare only equal numbers of them.

    Args:
        real: `(images, features)` float32, at least four images.
        fake: `(images, features)` float32, at least four images.

    Source: Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models,
    arXiv:1904.06991, section 2.
    """
    # Imported here, as in `eval.distribution.kid`: torch takes seconds to load.
    import torch
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    images = max(len(real), len(fake))
    metric = prc_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        prc_neighborhood=NEIGHBOURS,
        prc_batch_size=_rows_at_once(images),
        save_cpu_ram=images > _MOST_AT_ONCE,
        verbose=False,
    )
    return PrecisionRecall(precision=metric[KEY_METRIC_PRECISION], recall=metric[KEY_METRIC_RECALL])


def _rows_at_once(images: int) -> int:
    """Return from how many images on distances to so many are computed at once: a power of two, as BLAS divides."""
    return 2 ** max(int(np.log2(_BLOCK_BYTES / (_FLOAT32_BYTES * images))), 0)
