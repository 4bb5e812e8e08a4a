"""Features kept by content: what was computed once is not computed again, by whichever process.

A file is one array; its name is the SHA-256 of everything that the array depends on, so nothing ever has to be thrown
away for being out of date, and folders of equal content share it wherever they lie.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from compress.artifact import atomic_write_bytes
from compress.errors import UsageError
from eval.config import NetworkName
from eval.score_key import READER, package_versions

SCHEMA = 1
"""Raised when this project's own code would make other features of equal images."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """All that features depend on."""

    images_sha256: tuple[str, ...]
    """`content_sha256` of each folder they are computed from."""
    shape: tuple[int, int]
    """Images and features."""
    image_size_px: tuple[int, int]
    """Height and width to which the images are fitted before the network sees them."""
    network: NetworkName
    layer: str
    weights_sha256: str
    resizer: str
    reader: str = READER
    versions: dict[str, str] = field(default_factory=package_versions)
    schema: int = SCHEMA

    @property
    def file_name(self) -> str:
        """Where these features are kept."""
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
        self.folder = folder

    def features(self, key: FeatureKey, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Look features up, or compute and keep them.

        Returns:
            Float32 of the key's shape; bit for bit what `compute` gives.
        """
        if self.folder is None:
            return compute()
        path = self.folder / key.file_name
        features = _read(path, key.shape)
        if features is None:
            features = compute()
            _keep(path, features)
        return features


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    if not path.exists():
        return None
    try:
        features = np.load(path, allow_pickle=False)
        if not isinstance(features, np.ndarray) or (features.shape, features.dtype) != (shape, np.float32):
            raise ValueError(f"it holds something else than {shape[0]}x{shape[1]} float32 numbers")
        if not np.isfinite(features).all():
            raise ValueError("not all of its numbers are finite")
    # A torn header makes NumPy's parser trip over whatever comes first.
    except Exception as error:
        _log.warning("kept features cannot be used and are computed anew: %s: %s", path, error)
        return None
    return features


def _keep(path: Path, features: np.ndarray) -> None:
    """A full disk costs the next score its time, not this one its result."""
    try:
        atomic_write_bytes(path, _as_npy(features), overwrite=True)
    except OSError as error:
        _log.warning("features are not kept: %s", error)


def _as_npy(features: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, features, allow_pickle=False)
    return stream.getvalue()
