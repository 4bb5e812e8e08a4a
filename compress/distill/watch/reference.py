"""Real images of the target domain that no discriminator sees: KID is measured to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress.data.config import Domain, opposite
from compress.data.folders import list_photos
from compress.distill.config import DistillConfig
from compress.distill.training_data.pairs import HOLDOUT_SHARE
from compress.errors import UnusableData
from compress.training import kid


@dataclass(frozen=True)
class Watch:
    """How a training is watched by KID, and when it may end early."""

    real: Sequence[Path] = field(default_factory=tuple)
    """Files of real images; without any, KID is measured to the teacher's images of the held-back photos."""
    patience: int | None = None
    """Measured KIDs in a row without a better one that end the training; None trains to the end."""


def watch_held_back(data: Path | None, config: DistillConfig) -> Watch | None:
    """Return how a distillation is watched; None where KID is not to be.

    Args:
        data: A folder with `trainA` and `trainB`; None where there are no real images.
        config: The distillation.

    Raises:
        UsageError: If KID is to be watched and the packages that score are not installed.
    """
    if not config.watch_kid:
        return None
    kid.check_scoring_available()
    real = [] if data is None else hold_back_real_images(data, config.domain, config.holdout, config.seed)
    return Watch(real, config.patience if config.stop_when_converged else None)


def hold_back_real_images(data: Path, domain: Domain, holdout: int, seed: int) -> list[Path]:
    """Draw real images of the target domain that are held back, as `Pairs.split` holds photos back.

    Args:
        data: A folder with `trainA` and `trainB`.
        domain: Domain of the photos that the student translates.
        holdout: Number of images; at most a tenth of those that there are.
        seed: Draws them.

    Returns:
        None for a student of both domains, where the folder is missing or empty, or where a tenth is too little for
        KID.
    """
    target = opposite(domain)
    if target is None:
        return []
    try:
        paths = list_photos(data, target, "train")
    except UnusableData:
        return []
    count = min(holdout, int(len(paths) * HOLDOUT_SHARE))
    if count < kid.FEWEST_IMAGES:
        return []
    # Another seed than the photos': the two draws have nothing to do with each other.
    drawn = np.random.default_rng((seed, 1)).permutation(len(paths))[:count]
    return [paths[place] for place in sorted(drawn)]
