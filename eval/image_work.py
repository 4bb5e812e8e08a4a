"""The reading of images that a score needs, as this process does it by itself; `eval.sharded` has it done by others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from compress.images import list_images
from eval.features.ahead import read_ahead
from eval.score_key import describe_content
from eval.similarity import FolderSimilarity, compare_folders
from eval.sisters import read_trained_with

if TYPE_CHECKING:
    from eval.extraction import Extraction


class ImageWork(Protocol):
    """Whatever lists, reads, compares and describes image files."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall-clock time of what this adds to the work itself, by what it is."""
        ...

    def list_images(self, folder: Path) -> list[Path]:
        """List the images of a folder, sorted by name.

        Raises:
            UnusableData: If it is missing or holds none.
        """
        ...

    def read_trained_with(self, folder: Path) -> str | None:
        """Read which pretrained network the model of a folder's images was trained with; see `eval.sisters`."""
        ...

    def read_sizes(self, paths: Sequence[Path]) -> list[tuple[int, int]]:
        """Return height and width of image files, which are decoded in full.

        Raises:
            UnusableData: If one is broken.
        """
        ...

    def compare_folders(self, fake: Path, other: Path, *, size: tuple[int, int] | None) -> FolderSimilarity:
        """Compare two folders as `eval.similarity.compare_folders` does."""
        ...

    def describe(self, paths: Sequence[Path]) -> tuple[str, str]:
        """Return `content_sha256` and `reader_of` of image files."""
        ...

    def features(self, extraction: "Extraction", paths: Sequence[Path]) -> np.ndarray:
        """Return what `Extraction.features` does."""
        ...

    def perceptual(self, extraction: "Extraction", pairs: Sequence[tuple[Path, Path]]) -> np.ndarray:
        """Return what `Extraction.perceptual` does."""
        ...


class InProcess:
    """This process, on all of its cores."""

    seconds: Mapping[str, float] = {}

    def list_images(self, folder: Path) -> list[Path]:
        return list_images(folder)

    def read_trained_with(self, folder: Path) -> str | None:
        return read_trained_with(folder)

    def read_sizes(self, paths: Sequence[Path]) -> list[tuple[int, int]]:
        return [(image.shape[0], image.shape[1]) for image in read_ahead(paths)]

    def compare_folders(self, fake: Path, other: Path, *, size: tuple[int, int] | None) -> FolderSimilarity:
        return compare_folders(fake, other, size=size)

    def describe(self, paths: Sequence[Path]) -> tuple[str, str]:
        return describe_content(paths)

    def features(self, extraction: "Extraction", paths: Sequence[Path]) -> np.ndarray:
        return extraction.features(paths)

    def perceptual(self, extraction: "Extraction", pairs: Sequence[tuple[Path, Path]]) -> np.ndarray:
        return extraction.perceptual(pairs)


IN_PROCESS = InProcess()
