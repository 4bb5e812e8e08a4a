"""The tables of a load test: what was measured, and what the model makes of it."""

from collections.abc import Sequence

from benchmarks.fleet.load import SHARD_IMAGES, Scoring
from benchmarks.fleet.model import Parts, ScoringCosts, SweepCosts, predict_scoring, predict_sweep
from compress.text_table import format_columns

IMAGES = (1_000, 1_000_000, 100_000_000)
TRIALS = (10, 1_000)
NODES = (1, 10, 100, 1_000)


def format_load(scorings: Sequence[Scoring]) -> str:
    """Format what was measured, each way against the single process."""
    head = ("images", "workers", "seconds", "of one process", "start", "features", "merge", "statistics")
    alone = {one.images: one.seconds for one in scorings if one.workers is None}
    rows = [
        (
            f"{one.images:,}",
            "one process" if one.workers is None else str(one.workers),
            f"{one.seconds:.1f}",
            f"{one.seconds / alone[one.images]:.2f}x",
            *(f"{one.parts[part]:.2f}" if part in one.parts else "" for part in head[4:]),
        )
        for one in scorings
    ]
    return "\n".join(format_columns([head, *rows], align="right"))


def format_model(costs: ScoringCosts, sweep: SweepCosts, cores: int) -> str:
    """Format the time that scoring and sweeps would take on nodes of so many cores, and what takes longest."""
    head = ("", *(f"{nodes:,} nodes" for nodes in NODES))
    rows = [
        (f"{images:,} images", *(_cell(_scoring(images, nodes * cores, costs)) for nodes in NODES)) for images in IMAGES
    ]
    rows += [
        (f"{trials:,} trials", *(_cell(predict_sweep(trials, nodes * cores, sweep)) for nodes in NODES))
        for trials in TRIALS
    ]
    return "\n".join(format_columns([head, *rows]))


def _scoring(images: int, workers: int, costs: ScoringCosts) -> Parts:
    return predict_scoring(images, workers, costs, shard_images=SHARD_IMAGES)


def _cell(parts: Parts) -> str:
    return f"{format_duration(parts.total)} ({parts.longest})"


def format_duration(seconds: float) -> str:
    """Format seconds in the unit that reads best, of two digits and more."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
