"""A load test for one machine: images of noise, scored by one process and by workers, in turns; and an idle Ray.

What is timed are whole commands, as a user starts them, and what they tell of their own parts.
"""

import json
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.fleet.config import LoadConfig
from benchmarks.fleet.model import ScoringCosts
from benchmarks.toolkit.children import child_environment, run_python
from compress import images
from compress.fleet.config import FleetConfig
from compress.fleet.shards.run import map_shards, workers_started

SIZE_PX = 64
SHARD_IMAGES = 64
"""Images that `compress eval score` gives a worker at once."""
_EMPTY_SHARDS = 400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """One way of scoring so many images: medians of its rounds, in seconds."""

    images: int
    workers: int | None
    """None for the single process."""
    seconds: float
    """The whole command."""
    parts: dict[str, float]
    """`features`, `statistics`, and of workers `start` and `merge`."""


def measure_load(config: LoadConfig) -> list[Scoring]:
    """Score images of noise by one process and by workers, in turns, and check that all scores are equal.

    Raises:
        RuntimeError: If a command fails, or two ways of scoring the same images disagree.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-load-") as scratch:
        folder = Path(scratch)
        most = max(config.images)
        for name, seed in (("real", 0), ("fake", 1)):
            _write_noise(folder / name, most, seed)
        return [scoring for count in config.images for scoring in _measure_count(_first(folder, count), count, config)]


def measure_dispatch_s() -> tuple[float, float]:
    """Return the seconds until a Ray of this machine is there, and those of one shard of nothing to do."""
    started = time.perf_counter()
    with workers_started(FleetConfig(workers=1)) as ray:
        ready = time.perf_counter()
        # The first starts the worker.
        list(map_shards(ray, len, [[0]], name="start"))
        warm = time.perf_counter()
        list(map_shards(ray, len, [[0]] * _EMPTY_SHARDS, name="empty shards", unit="shard"))
        return ready - started, (time.perf_counter() - warm) / _EMPTY_SHARDS


def find_costs(scorings: Sequence[Scoring], start_s: float, dispatch_s: float) -> ScoringCosts:
    """Return the costs that explain the measurements of the fewest and of the most images."""
    alone = [one for one in scorings if one.workers is None]
    few, many = min(alone, key=lambda one: one.images), max(alone, key=lambda one: one.images)
    fewest = min(one.workers for one in scorings if one.workers)
    worked = [one for one in scorings if one.workers == fewest]
    low, high = min(worked, key=lambda one: one.images), max(worked, key=lambda one: one.images)
    # Both folders are read: twice as many images.
    image_s = fewest * (high.parts["features"] - low.parts["features"]) / (2 * (high.images - low.images))
    statistics_image_s, statistics_pair_s = _linear_and_square(
        (few.images, few.parts["statistics"]), (many.images, many.parts["statistics"])
    )
    return ScoringCosts(
        start_s=start_s + max(low.seconds - sum(low.parts.values()), 0.0),
        open_s=max(low.parts["features"] - 2 * low.images * image_s / fewest, 0.0),
        image_s=image_s,
        dispatch_s=dispatch_s,
        merge_image_s=high.parts["merge"] / (2 * high.images),
        statistics_image_s=statistics_image_s,
        statistics_pair_s=statistics_pair_s,
    )


def _linear_and_square(few: tuple[int, float], many: tuple[int, float]) -> tuple[float, float]:
    """Return a and b of `a n + b n^2` through two points; none below zero."""
    (n, small), (m, large) = few, many
    square = (large / m - small / n) / (m - n)
    if square < 0:
        return large / m, 0.0
    linear = small / n - square * n
    return (linear, square) if linear > 0 else (0.0, large / m**2)


def _measure_count(folders: tuple[Path, Path], count: int, config: LoadConfig) -> list[Scoring]:
    ways: list[int | None] = [None, *config.workers]
    runs: dict[int | None, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(config.rounds):
        for way in ways:
            _log.info("%d images, %s", count, f"{way} workers" if way else "one process")
            runs[way].append(_score(folders, way))
    scores = {json.dumps(run["score"], sort_keys=True) for way in ways for run in runs[way]}
    if len(scores) != 1:
        raise RuntimeError(f"{count} images have {len(scores)} scores, by {ways} workers; expected one")
    return [
        Scoring(
            images=count,
            workers=way,
            seconds=median(run["seconds"] for run in runs[way]),
            parts={part: median(run["parts"][part] for run in runs[way]) for part in runs[way][0]["parts"]},
        )
        for way in ways
    ]


def _score(folders: tuple[Path, Path], workers: int | None) -> dict[str, Any]:
    real, fake = folders
    line = ["-m", "compress", "eval", "score", "--real", real, "--fake", fake, "--network", "efficientnet-lite0"]
    line += ["--json", *(["--workers", workers] if workers else [])]
    with tempfile.TemporaryDirectory(prefix="pocketgan-cache-") as cache:
        finished = run_python(line, child_environment(Path(cache)))
    record = json.loads(finished.printed)
    parts = record.pop("seconds")
    # The hash of the whole record, times included.
    del record["content_sha256"]
    return {"seconds": finished.seconds, "parts": parts, "score": record}


def _write_noise(folder: Path, count: int, seed: int) -> None:
    """Write small pictures, each a slope of colours under noise, so that they are unlike each other."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    slope = np.linspace(0.0, 1.0, SIZE_PX)[:, None, None]
    for number in range(count):
        ends, noise = generator.uniform(0, 255, (2, 3)), generator.normal(0, 12, (SIZE_PX, SIZE_PX, 3))
        pixels = (ends[0] * slope + ends[1] * (1 - slope) + noise).clip(0, 255).astype(np.uint8)
        images.write_png(folder / f"{number:06}.png", pixels)


def _first(folder: Path, count: int) -> tuple[Path, Path]:
    """Return folders of links to the first so many images of each kind."""
    found = []
    for kind in ("real", "fake"):
        part = folder / f"{kind}_{count}"
        part.mkdir(exist_ok=True)
        for path in sorted((folder / kind).iterdir())[:count]:
            (part / path.name).hardlink_to(path)
        found.append(part)
    return found[0], found[1]
