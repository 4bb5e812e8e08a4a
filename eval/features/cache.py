"""Cache of features by content: features that one process computed are not computed again by another.

A file is one array; its name is the SHA-256 of everything that the array depends on. So no file is ever out of date,
and folders of equal content share it wherever they lie.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from compress.cache.store import Damaged, Store, require_seal_or_end
from compress.errors import UsageError
from eval.config import NetworkName
from eval.score_key import package_versions

SCHEMA = 1
"""Version of this project's own part in features: to be raised when it makes others of equal images."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """Everything that features depend on."""

    images_sha256: tuple[str, ...]
    """`content_sha256` of each folder they are computed from."""
    shape: tuple[int, int]
    """Number of images, and of features each."""
    image_size_px: tuple[int, int]
    """Height and width to which the images are fitted before the network sees them."""
    network: NetworkName
    layer: str
    weights_sha256: str
    resizer: str
    reader: str
    """`reader_of` all of the images."""
    versions: dict[str, str] = field(default_factory=package_versions)
    schema: int = SCHEMA

    @property
    def file_name(self) -> str:
        """Name of the file that holds these features."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest() + ".npy"


class FeatureCache:
    """A folder of features; made when there is something to keep.

    Args:
        folder: None keeps nothing.

    Raises:
        UsageError: If it is a file.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UsageError(f"--cache {folder} is a file; expected a folder, which is made where there is none.")
        self._store = Store(folder)

    @property
    def folder(self) -> Path | None:
        """Where results are kept; None where they are not."""
        return self._store.folder

    def load_or_compute(self, key: FeatureKey, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Load features, or compute and keep them.

        Returns:
            Float32 of the key's shape; bit for bit the result of `compute`.
        """
        features = self.load(key)
        if features is None:
            features = compute()
            self.keep(key, features)
        return features

    def load(self, key: FeatureKey) -> np.ndarray | None:
        """Load features, float32 of the key's shape; None where none are kept, or not whole ones."""
        try:
            return self._store.load(key.file_name, lambda path: _read_features(path, key.shape))
        except Damaged as damage:
            _log.warning("kept features cannot be used and are computed anew: %s", damage)
            return None

    def keep(self, key: FeatureKey, features: np.ndarray) -> None:
        """Keep features. A full disk costs the next score its time, not this one its result."""
        try:
            self._store.keep(key.file_name, _to_npy(features))
        except OSError as error:
            _log.warning("features are not kept: %s", error)


def _read_features(path: Path, shape: tuple[int, int]) -> np.ndarray:
    with path.open("rb") as stream:
        features = np.load(stream, allow_pickle=False)
        require_seal_or_end(stream.read())
    if not isinstance(features, np.ndarray) or (features.shape, features.dtype) != (shape, np.float32):
        raise ValueError(f"it holds something else than {shape[0]}x{shape[1]} float32 numbers")
    if not np.isfinite(features).all():
        raise ValueError("not all of its numbers are finite")
    return features


def _to_npy(features: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, features, allow_pickle=False)
    return stream.getvalue()
