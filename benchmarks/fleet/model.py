"""A model of the time that scoring and sweeps take on many machines, from what was measured on one.

Work that is split shrinks with the number of workers; what one process does alone does not: starting, handing out
shards, reading all features, and the statistics, of which kernels and neighbours grow with the square of the images. A
prediction names the part that takes longest, since that is where more machines stop helping.
"""

from dataclasses import dataclass, fields
from math import ceil


@dataclass(frozen=True, kw_only=True)
class ScoringCosts:
    """What scoring costs, in seconds: measured on one machine."""

    start_s: float
    """Ray's start, or the way into a cluster that runs, and the command's own."""
    open_s: float
    """A worker's start, until its network takes the first image; all workers start side by side."""
    image_s: float
    """One image on one core: read, resized, through the network."""
    dispatch_s: float
    """The driver's share of one shard, which it does for one after the other."""
    merge_image_s: float
    """Reading one image's features into the one array of all."""
    statistics_image_s: float
    """Statistics, per image: covariances and their resamples."""
    statistics_pair_s: float
    """Statistics, per pair of images: kernels and nearest neighbours."""


@dataclass(frozen=True, kw_only=True)
class SweepCosts:
    """What a sweep costs, in seconds: measured on one machine."""

    start_s: float
    """As of scoring."""
    trial_s: float
    """One trial's work on its share of a machine."""
    driver_s: float
    """The driver's share of one trial: proposing it, its budget, its records."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Seconds of a prediction; only `work` is split among the workers."""

    start: float
    work: float
    dispatch: float
    """The driver's handing out, beyond what it does while the workers work."""
    merge: float = 0.0
    statistics: float = 0.0

    @property
    def total(self) -> float:
        """All parts, one after the other."""
        return sum(getattr(self, item.name) for item in fields(self))

    @property
    def longest(self) -> str:
        """Name of the part that takes longest."""
        return max((item.name for item in fields(self)), key=lambda name: getattr(self, name))


def predict_scoring(images: int, workers: int, costs: ScoringCosts, *, shard_images: int) -> Parts:
    """Predict the time to score images against a reference of which the features are known.

    Args:
        images: Generated images.
        workers: Processes of one core each.
        costs: What was measured.
        shard_images: Images that a worker does at once.
    """
    shards = ceil(images / shard_images)
    work = costs.open_s + ceil(shards / workers) * min(shard_images, images) * costs.image_s
    return Parts(
        start=costs.start_s,
        work=work,
        dispatch=max(shards * costs.dispatch_s - work, 0.0),
        merge=images * costs.merge_image_s,
        statistics=images * costs.statistics_image_s + images**2 * costs.statistics_pair_s,
    )


def predict_sweep(trials: int, slots: int, costs: SweepCosts) -> Parts:
    """Predict the time of a sweep without halving.

    Args:
        trials: All of one length.
        slots: Trials that run side by side.
        costs: What was measured.
    """
    work = ceil(trials / slots) * costs.trial_s
    return Parts(start=costs.start_s, work=work, dispatch=max(trials * costs.driver_s - work, 0.0))
