"""A feature network and a reference, against which any number of folders is scored."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from compress.files.remote import to_url
from eval.confidence import RESAMPLES, normal_interval, resample_counts
from eval.config import ScorerConfig
from eval.distribution.fid import frechet_distance, resampled_frechet_distances
from eval.distribution.kid import LARGEST_SUBSET, SUBSETS, kernel_distance, resampled_kernel_distances, subset_size
from eval.distribution.precision_recall import NEIGHBOURS, precision_recall
from eval.extraction import Extraction
from eval.features.cache import FeatureCache
from eval.features.collector import FeatureCollector
from eval.features.networks import choose_network
from eval.image_work import IN_PROCESS, ImageWork
from eval.score_key import ScoreKey, metric_name, package_versions
from eval.similarity import pair_by_stem

_log = logging.getLogger(__name__)


class FolderScorer:
    """Scores folders of images against one reference; the reference's features are computed once.

    Args:
        config: Names the network, the cache and the seed.
        real: The reference's files.
        image_size_px: Height and width of the generated images, to which the reference is fitted.
        work: What reads the images and runs the network.

    Raises:
        UnusableModel: If the network's weights cannot be used.
        UsageError: If the cache is a file, or a package is not installed.
    """

    def __init__(
        self,
        config: ScorerConfig,
        real: Sequence[Path],
        image_size_px: tuple[int, int],
        work: ImageWork = IN_PROCESS,
    ) -> None:
        self.real, self.image_size_px, self.seed = real, image_size_px, config.seed
        self._work = work
        self.seconds = {"features": 0.0, "statistics": 0.0}
        """Wall-clock time spent so far: on reading images and running the network, and on the rest."""
        self.network = choose_network(config.network, config.inception_weights, config.extractor)
        self._extraction = Extraction(
            network=self.network,
            image_size_px=image_size_px,
            cache=FeatureCache(config.cache),
            versions=package_versions(config.extractor),
        )
        self.kid_name, self.fd_name = (metric_name(metric, self.network.name) for metric in ("kid", "fd"))
        self.perceptual_name = metric_name("perceptual", self.network.name)

    @cached_property
    def real_features(self) -> np.ndarray:
        """Features of the reference, `(images, features)` float32.

        Raises:
            UnusableData: If an image of the reference is broken.
        """
        return self.load_or_extract_features(self.real)

    def score_distances(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Return the distances of a folder to the reference, its precision and its recall, by `metric_name`.

        Under `intervals`, ranges that hold, for 95 % of choices of inputs, what as many score on average. Of the kernel
        distance that is what any number would; the Fréchet distance of few images is biased, and its range is, too.

        Args:
            paths: At least four images; those of another size than `image_size_px` are cut and resized to it.
        """
        real, features = self.real_features, self.load_or_extract_features(paths)
        with self._timed("statistics"):
            kernel, frechet = kernel_distance(real, features, seed=self.seed), frechet_distance(real, features)
            resampled = self.resample_distances(features)
            shares = precision_recall(real, features)
            return {
                self.kid_name: asdict(kernel),
                self.fd_name: frechet,
                metric_name("precision", self.network.name): shares.precision,
                metric_name("recall", self.network.name): shares.recall,
                "intervals": {
                    self.kid_name: asdict(normal_interval(kernel.mean, resampled[self.kid_name])),
                    self.fd_name: asdict(normal_interval(frechet, resampled[self.fd_name])),
                },
            }

    def resample_distances(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return both distances of resamples of generated images; equal numbers of images share their resamples.

        Args:
            features: `(images, features)`, at least two images.

        Returns:
            `(resamples,)` each, by `metric_name`.
        """
        counts = resample_counts(len(features), seed=self.seed)
        return {
            self.kid_name: resampled_kernel_distances(self.real_features, features, counts),
            self.fd_name: resampled_frechet_distances(self.real_features, features, counts),
        }

    def score_perceptual(self, fake: Path, other: Path) -> dict[str, float]:
        """Return `perceptual_distances` of each image of a folder to that of another one, by stem.

        Raises:
            UnusableData: If an image has no partner or is broken.
        """
        _log.info("%s distances of %s to %s", self.network.name, fake, other)
        pairs = pair_by_stem(fake, other, self._work.list_images)
        with self._timed("features"):
            distances = self._work.perceptual(self._extraction, list(pairs.values()))
        return dict(zip(pairs, distances[:, 0].tolist(), strict=True))

    def build_score_key(self, fake_images: int) -> ScoreKey:
        """Return the key that scores of so many generated images carry."""
        content, reader = self._work.describe(self.real)
        return ScoreKey(
            real_sha256=content,
            real_images=len(self.real),
            fake_images=fake_images,
            image_size_px=self.image_size_px,
            network=self.network.name,
            layer=self.network.layer,
            weights_sha256=self.network.weights_sha256,
            reader=reader,
            resizer=self.network.resizer,
            kid_subsets=SUBSETS,
            kid_subset_size=subset_size(len(self.real), fake_images),
            seed=self.seed,
            versions=dict(self._extraction.versions),
        )

    def explain_scores(self, fake_images: int) -> list[str]:
        """Return notes that keep a reader from misreading the scores of so many generated images."""
        fewest, size = min(len(self.real), fake_images), subset_size(len(self.real), fake_images)
        because = "the customary size" if size == LARGEST_SUBSET else f"half of the {fewest} in the smaller folder"
        return [
            f"{self.kid_name}: mean and standard deviation over {SUBSETS} subsets of {size} images, {because}.",
            f"intervals: 95 %, from {RESAMPLES} bootstrap resamples of the generated images; the reference is fixed.",
            f"{self.fd_name}: biased upward at {fewest} images, and so is its interval: it holds what as many others "
            "would score, not what thousands would; it compares only with scores of the same key.",
            f"precision and recall: {NEIGHBOURS} nearest neighbours among {fewest} images, so in steps of 1/{fewest}.",
        ]

    def load_or_extract_features(self, paths: Sequence[Path]) -> np.ndarray:
        """Return the features of image files, `(images, features)` float32, in their order."""
        self._say_what_is_extracted(paths)
        with self._timed("features"):
            return self._work.features(self._extraction, paths)

    def collect_features(self, paths: Sequence[Path]) -> FeatureCollector:
        """Return a collector of the features of files whose images the caller reads, in their order and one size."""
        self._say_what_is_extracted(paths)
        return self._extraction.collect(paths)

    def _say_what_is_extracted(self, paths: Sequence[Path]) -> None:
        _log.info("%s features of %d images in %s", self.network.name, len(paths), to_url(paths[0].parent))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started
