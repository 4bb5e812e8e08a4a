"""The scoring stage: folders of images in, a record of scores and of what they were measured against out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import UnusableData, UsageError
from compress.images import list_images, read_image
from eval.config import ScoreConfig
from eval.similarity import Fidelity, compare, pair_by_stem

if TYPE_CHECKING:
    from eval.scorer import FolderScorer

SCHEMA = 2
FEWEST_IMAGES = 4
"""A subset of KID is half of a folder and needs two images."""


def score_folder(config: ScoreConfig) -> dict[str, Any]:
    """Score a folder of generated images.

    Returns:
        JSON-ready: `schema`, `key` (see `ReferenceKey`), the kernel and Fréchet distance under the names that
        `metric_name` gives them and their 95 % `intervals`, where asked for `control`, `similarity` (to the teacher) and
        `truth`, `notes` on how to read the numbers, and the `seconds` that `features` and `statistics` took.

    Raises:
        UnusableData: If a folder is missing or too small, an image broken or of the wrong size, or a pair incomplete.
        UnusableModel: If the feature network's weights cannot be used.
        UsageError: If the packages that score are not installed.
    """
    real, fake = list_enough(config.real), list_enough(config.fake)
    # Paired, so that what doing nothing gets is scored on as many images, and on the same ones.
    control = [path for _, path in pair_by_stem(config.fake, config.control).values()] if config.control else None
    image_size_px = common_size(fake)
    likenesses = _likenesses(config)
    judge = load_scorer(config, real, image_size_px)
    record = {"schema": SCHEMA, "key": judge.key(len(fake)).to_mapping(), **judge.distances(fake)}
    if control:
        record["control"] = judge.distances(control)
    notes = judge.notes(len(fake))
    for name, (folder, similarity) in likenesses.items():
        record[name] = similarity.to_mapping({judge.perceptual_name: judge.perceptual(config.fake, folder)})
        notes += [note for note in similarity.notes if note not in notes]
    return record | {"notes": notes, "seconds": {part: round(spent, 2) for part, spent in judge.seconds.items()}}


def load_scorer(config: ScoreConfig, real: Sequence[Path], image_size_px: tuple[int, int]) -> "FolderScorer":
    """Load what scores: torch takes seconds, so all that is wrong with folders has to be said before.

    Raises:
        UsageError: If the packages that score are not installed.
        UnusableModel, UnusableData: As `FolderScorer`.
    """
    try:
        from eval.scorer import FolderScorer
    except ImportError as error:
        raise UsageError(f"scoring needs more packages ({error}): pip install 'pocketgan[score]'.") from error
    return FolderScorer(config, real, image_size_px)


def _likenesses(config: ScoreConfig) -> dict[str, tuple[Path, Fidelity]]:
    """By its name in the record, a folder that the fakes are compared with and what came of it."""
    found = {}
    if config.teacher:
        found["similarity"] = (config.teacher, compare(config.fake, config.teacher))
    if config.truth:
        # Photos of any size: only the teacher's images must have been made at the fakes' own.
        found["truth"] = (config.truth, compare(config.fake, config.truth, fitted=True))
    return found


def list_enough(folder: Path) -> list[Path]:
    """List the images of a folder, sorted by name.

    Raises:
        UnusableData: If they are too few for a score.
    """
    paths = list_images(folder)
    if len(paths) < FEWEST_IMAGES:
        raise UnusableData(f"{folder} holds {len(paths)} images; a score needs at least {FEWEST_IMAGES}.")
    return paths


def common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Height and width of generated images.

    Raises:
        UnusableData: If they differ, or an image is broken.
    """
    sizes = {path: read_image(path).shape[:2] for path in paths}
    height, width = sizes[paths[0]]
    for path, size in sizes.items():
        if size != (height, width):
            raise UnusableData(
                f"{path} is {size[1]}x{size[0]} px, but {paths[0].name} is {width}x{height}; "
                "generated images must be of one size."
            )
    return height, width
