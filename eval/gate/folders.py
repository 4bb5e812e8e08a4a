"""The folders of a gate, checked to belong together before anything is decoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.errors import UnusableData
from compress.images import read_image_size
from eval.config import CandidateConfig
from eval.scores import list_enough_images, require_common_size
from eval.similarity import pair_by_stem


@dataclass(frozen=True, kw_only=True)
class GateFolders:
    """The files of a gate; inputs and generated images are sorted by stem and have the same stems."""

    real: Sequence[Path]
    inputs: Mapping[str, Path]
    """Photos that were translated, by stem."""
    generated: Mapping[Path, Mapping[str, Path]]
    """Images of the candidate, the baseline and the teacher: by folder, then by stem."""
    image_size_px: tuple[int, int]
    """Height and width of the generated images."""


def check_folders(config: CandidateConfig, generated: Sequence[Path]) -> GateFolders:
    """List the images of a data set and of folders of generated images, and check that they belong together.

    Args:
        config: Names the data set and the domain.
        generated: Folders with one image for each input; at least one.

    Raises:
        UnusableData: If a folder is missing or too small, or a generated image without partner or of another size.
    """
    other = "B" if config.domain == "A" else "A"
    inputs, real = config.data / f"test{config.domain}", list_enough_images(config.data / f"test{other}")
    pairs, sizes = {}, {}
    for folder in dict.fromkeys(generated):
        list_enough_images(folder)
        pairs[folder] = dict(sorted(pair_by_stem(folder, inputs).items()))
        sizes[folder] = require_common_size({path: read_image_size(path) for path, _ in pairs[folder].values()})
    return GateFolders(
        real=real,
        inputs={stem: path for stem, (_, path) in pairs[generated[0]].items()},
        generated={folder: {stem: path for stem, (path, _) in found.items()} for folder, found in pairs.items()},
        image_size_px=_require_equal_sizes(sizes),
    )


def _require_equal_sizes(sizes: Mapping[Path, tuple[int, int]]) -> tuple[int, int]:
    (first, expected), *others = sizes.items()
    for folder, size in others:
        if size != expected:
            raise UnusableData(
                f"the images of {folder} are {size[1]}x{size[0]} px, but those of {first} {expected[1]}x{expected[0]}; "
                "translate both with one image size."
            )
    return expected
