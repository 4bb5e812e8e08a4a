"""What a feature network makes of image files of one size: looked for in a cache, else computed and kept there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.features.cache import FeatureCache, FeatureKey
from eval.features.collector import FeatureCollector
from eval.features.extract import extract_features
from eval.features.networks import FeatureNetwork
from eval.score_key import PROFILE_READER, READER, describe_content
from eval.similarity.perceptual import perceptual_distances


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """A network, the size that images are fitted to, and where results are kept."""

    network: FeatureNetwork
    image_size_px: tuple[int, int]
    """Height and width."""
    cache: FeatureCache
    versions: Mapping[str, str]
    """`package_versions` of what extracts."""

    def features(self, paths: Sequence[Path]) -> np.ndarray:
        """Return the features of image files, `(images, features)` float32, in their order.

        Raises:
            UnusableData: If one is broken.
        """
        return self.cache.load_or_compute(
            self._image_key(paths), lambda: extract_features(paths, self.image_size_px, self.network)
        )

    def perceptual(self, pairs: Sequence[tuple[Path, Path]]) -> np.ndarray:
        """Return `perceptual_distances` of pairs of image files: `(pairs, 1)` float32.

        Raises:
            UnusableData: If an image is broken.
        """
        key = self._key(
            [[first for first, _ in pairs], [second for _, second in pairs]],
            layer=" ".join(self.network.stages),
            width=1,
        )
        return self.cache.load_or_compute(
            key, lambda: perceptual_distances(pairs, self.network, self.image_size_px)[:, None]
        )

    def collect(self, paths: Sequence[Path]) -> FeatureCollector:
        """Return a collector of the features of files whose images the caller reads, in their order and one size."""
        return FeatureCollector(self._image_key(paths), self.cache, self.network)

    def _image_key(self, paths: Sequence[Path]) -> FeatureKey:
        return self._key([paths], layer=self.network.layer, width=self.network.width)

    def _key(self, folders: Sequence[Sequence[Path]], *, layer: str, width: int) -> FeatureKey:
        contents, readers = zip(*(describe_content(paths) for paths in folders), strict=True)
        return FeatureKey(
            images_sha256=contents,
            shape=(len(folders[0]), width),
            image_size_px=self.image_size_px,
            network=self.network.name,
            layer=layer,
            weights_sha256=self.network.weights_sha256,
            resizer=self.network.resizer,
            reader=PROFILE_READER if PROFILE_READER in readers else READER,
            versions=dict(self.versions),
        )
