"""Features of a folder whose images somebody else reads, so that one reading serves several measures."""

import numpy as np

from eval.features.cache import FeatureCache, FeatureKey
from eval.features.extract import FeatureExtraction
from eval.features.networks import FeatureNetwork


class FeatureCollector:
    """Takes the images of a folder one by one; runs the network only where the cache does not hold their features.

    Args:
        key: Everything that the features depend on.
        cache: Where they are looked for, and kept.
        network: The network that `key` names.
    """

    def __init__(self, key: FeatureKey, cache: FeatureCache, network: FeatureNetwork) -> None:
        self._key, self._cache = key, cache
        kept = cache.load(key)
        self._source = FeatureExtraction(network, key.shape[0]) if kept is None else kept

    def add(self, image: np.ndarray) -> None:
        """Take the next image, `(height, width, 3)` uint8 of the key's size."""
        if isinstance(self._source, FeatureExtraction):
            self._source.add(image)

    def finish(self) -> np.ndarray:
        """Return `(images, features)` float32, in the order the images came in; keep them where they are new."""
        if not isinstance(self._source, FeatureExtraction):
            return self._source
        features = self._source.finish()
        self._cache.keep(self._key, features)
        return features
