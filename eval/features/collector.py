"""Features of a folder whose images somebody else reads, so that one reading serves several measures. Needs torch."""

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
        self._loaded = cache.load(key)
        self._extraction = FeatureExtraction(network, key.shape[0])

    def add(self, image: np.ndarray) -> None:
        """Take the next image, `(height, width, 3)` uint8 of the key's size."""
        if self._loaded is None:
            self._extraction.add(image)

    def finish(self) -> np.ndarray:
        """Return `(images, features)` float32, in the order the images came in; keep them where they are new."""
        if self._loaded is not None:
            return self._loaded
        features = self._extraction.finish()
        self._cache.keep(self._key, features)
        return features
