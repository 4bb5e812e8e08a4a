"""The reading of images that a score needs, done by Ray's workers in shards; each opens the feature network once.

An image's features do not depend on the images beside it, since the network takes one at a time, nor on the number of
threads. So whatever the shards, they are to the last bit those of one process on a machine of the same kind.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from compress.artifact import TRANSLATION_NAME
from compress.errors import UsageError
from compress.files.remote import is_remote
from compress.fleet.cluster import require_fleet
from compress.fleet.config import FleetConfig
from compress.fleet.shards import storage
from compress.fleet.shards.run import cut, map_shards, workers_started
from eval.config import NetworkName, ScoreConfig
from eval.extraction import Extraction
from eval.features.ahead import read_ahead
from eval.features.cache import FeatureCache, FeatureKey
from eval.features.networks import FeatureNetwork, choose_network
from eval.score_key import describe_content, package_versions
from eval.similarity import FolderSimilarity, ImageSimilarity, compare_pairs, pair_by_stem
from eval.sisters import read_trained_with

SHARD_IMAGES = 64
"""Images of a shard: half a second's work, and 330 kB of EfficientNet-Lite0's features."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Pair = tuple[Path, Path]


@contextmanager
def on_workers(fleet: FleetConfig, config: ScoreConfig, *, shard_images: int = SHARD_IMAGES) -> Iterator["OnWorkers"]:
    """Have the workers that a command asks for read its images; they start when there is work for them.

    Raises:
        UsageError: If the extra `fleet` is not installed, or the scoring is none that can be shared.
    """
    require_fleet(fleet.flag or "--workers")
    if config.flicker is not None:
        raise UsageError(f"{fleet.flag} does not go with --flicker, which one process measures. Leave one of them out.")
    if config.extractor != "litert":
        raise UsageError(
            f"{fleet.flag} does not go with --extractor {config.extractor}, whose features depend on the images beside "
            "one. Leave one of them out."
        )
    with ExitStack() as stack:
        yield OnWorkers(fleet, stack, shard_images)


class OnWorkers:
    """Ray's workers, started with the first work; an `eval.image_work.ImageWork`.

    Args:
        fleet: Which workers.
        stack: Holds the connection to them.
        shard_images: Images of a shard.
    """

    def __init__(self, fleet: FleetConfig, stack: ExitStack, shard_images: int) -> None:
        self._fleet, self._stack = fleet, stack
        self.shard_images = shard_images
        self.seconds = {"start": 0.0, "merge": 0.0}
        """Wall-clock time until Ray was there, and of putting shards together."""

    @cached_property
    def _ray(self) -> Any:
        started = time.perf_counter()
        ray = self._stack.enter_context(workers_started(self._fleet))
        self.seconds["start"] = time.perf_counter() - started
        return ray

    def list_images(self, folder: Path) -> list[Path]:
        return storage.list_images_anywhere(folder)

    def read_trained_with(self, folder: Path) -> str | None:
        if not is_remote(folder):
            return read_trained_with(folder)
        if not storage.exists(folder / TRANSLATION_NAME):
            return None
        with storage.staged([folder / TRANSLATION_NAME]) as local:
            return read_trained_with(local.paths[0].parent)

    def read_sizes(self, paths: Sequence[Path]) -> list[tuple[int, int]]:
        return list(chain.from_iterable(self._map(_read_sizes, paths, "sizes")))

    def compare_folders(self, fake: Path, other: Path, *, size: tuple[int, int] | None) -> FolderSimilarity:
        pairs = list(pair_by_stem(fake, other, self.list_images).items())
        return FolderSimilarity(dict(chain.from_iterable(self._map(partial(_compare, size), pairs, "similarity"))))

    def describe(self, paths: Sequence[Path]) -> tuple[str, str]:
        return describe_content(storage.read_through(paths))

    def features(self, extraction: Extraction, paths: Sequence[Path]) -> np.ndarray:
        task = partial(_extract, _Request.of(extraction))
        return self._merge(self._map(task, paths, "features"), (len(paths), extraction.network.width))

    def perceptual(self, extraction: Extraction, pairs: Sequence[_Pair]) -> np.ndarray:
        task = partial(_compare_in_features, _Request.of(extraction))
        return self._merge(self._map(task, pairs, "perceptual"), (len(pairs), 1))

    def _map(
        self, function: Callable[[Sequence[_Item]], _Result], items: Sequence[_Item], name: str
    ) -> Iterator[_Result]:
        return map_shards(self._ray, function, cut(items, self.shard_images), name=name)

    def _merge(self, parts: Iterator[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
        """Put arrays one below the other, `shape` float32 in all, each let go before the next comes."""
        merged, done = np.empty(shape, dtype=np.float32), 0
        for part in parts:
            started = time.perf_counter()
            merged[done : done + len(part)] = part
            done += len(part)
            self.seconds["merge"] += time.perf_counter() - started
        return merged


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What a worker needs to extract as this process would."""

    network: NetworkName
    weights: Path
    """Where this process has them; looked for where a worker has none there."""
    image_size_px: tuple[int, int]
    cache: Path | None
    versions: Mapping[str, str]

    @classmethod
    def of(cls, extraction: Extraction) -> "_Request":
        return cls(
            network=extraction.network.name,
            weights=extraction.network.weights,
            image_size_px=extraction.image_size_px,
            cache=extraction.cache.folder,
            versions=extraction.versions,
        )

    def open(self) -> Extraction:
        """Open the network, once in a worker.

        Raises:
            UsageError: If other versions of the packages are installed on the worker's machine.
        """
        if (versions := package_versions()) != self.versions:
            raise UsageError(
                f"a worker's machine has {_join(versions)}, but this one {_join(self.versions)}: features would not be "
                "the same. Install one set of packages on all machines."
            )
        return Extraction(
            network=_open_network(self.network, self.weights),
            image_size_px=self.image_size_px,
            cache=_RemoteCache(self.cache) if self.cache and is_remote(self.cache) else FeatureCache(self.cache),
            versions=versions,
        )


class _RemoteCache(FeatureCache):
    """A cache in remote storage; each file passes through a folder of this machine."""

    def __init__(self, place: Path) -> None:
        super().__init__(None)
        self._place = place

    def load(self, key: FeatureKey) -> np.ndarray | None:
        kept = self._place / key.file_name
        if not storage.exists(kept):
            return None
        with storage.staged([kept]) as local:
            return FeatureCache(local.paths[0].parent).load(key)

    def keep(self, key: FeatureKey, features: np.ndarray) -> None:
        with TemporaryDirectory(prefix="pocketgan-features-") as scratch:
            FeatureCache(Path(scratch)).keep(key, features)
            storage.upload([Path(scratch, key.file_name)], self._place)


@lru_cache(maxsize=1)
def _open_network(name: NetworkName, weights: Path) -> FeatureNetwork:
    given = weights if name == "inception" and weights.is_file() else None
    return replace(choose_network(name, given), cores=1)


def _read_sizes(paths: Sequence[Path]) -> list[tuple[int, int]]:
    with storage.staged(paths) as local:
        return [(image.shape[0], image.shape[1]) for image in read_ahead(local.paths, threads=1)]


def _extract(request: _Request, paths: Sequence[Path]) -> np.ndarray:
    extraction = request.open()
    with storage.staged(paths) as local:
        return extraction.features(local.paths)


def _compare_in_features(request: _Request, pairs: Sequence[_Pair]) -> np.ndarray:
    extraction = request.open()
    with storage.staged(chain.from_iterable(pairs)) as local:
        return extraction.perceptual(list(zip(local.paths[::2], local.paths[1::2], strict=True)))


def _compare(size: tuple[int, int] | None, pairs: Sequence[tuple[str, _Pair]]) -> list[tuple[str, ImageSimilarity]]:
    with storage.staged(chain.from_iterable(both for _, both in pairs)) as local:
        here = zip(local.paths[::2], local.paths[1::2], strict=True)
        return list(compare_pairs(zip((stem for stem, _ in pairs), here, strict=True), size=size))


def _join(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
