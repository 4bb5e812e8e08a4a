"""Remote storage in memory, by a name of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def bucket() -> Iterator[Path]:
    """An empty place of remote storage."""
    fsspec = pytest.importorskip("fsspec")
    place = Path("memory://bucket")
    yield place
    storage = fsspec.filesystem("memory")
    if storage.exists("/bucket"):
        storage.rm("/bucket", recursive=True)
