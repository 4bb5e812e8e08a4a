"""Proof that a teacher is read as it was trained: it must make the pictures that the user's own program made.

Parity of an export only compares it with the same reading; these pictures come from outside.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

from compress import images
from compress.errors import ParityError, PocketGANError, UnusableData, UsageError
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.apply import UndecidedReading
from compress.teachers.interpretation.sizes import find_problem
from compress.teachers.reading.config import ReadingConfig, flags_of

LEAST_DB = 40.0
"""PSNR of a picture to the one that is to be made, from which it counts as the same; a JPEG of it may be below."""
_IDENTICAL_DB = 99.0
_LOSSLESS = frozenset({".png", ".bmp", ".tif", ".tiff", ".ppm"})
_SEARCHED = ("padding", "batch_norm_statistics", "value_range", "residual", "channel_order")
"""Flags whose other values are tried where the pictures differ; the likely ones first."""

_log = logging.getLogger(__name__)
Read = Callable[[ReadingConfig], GeneratorDescription]


@dataclass(frozen=True)
class _Example:
    """A photo and what the teacher makes of it: names, and `(height, width, 3)` uint8 each."""

    name: str
    photo: np.ndarray
    picture: np.ndarray
    is_lossy: bool
    """Whether the picture's file is of a format that changes pixels."""


def require_pictures(name: str, reading: ReadingConfig, read: Read) -> GeneratorDescription:
    """Return a teacher's description after it has made the pictures of `reading.verify`.

    Args:
        name: The teacher's name, for messages.
        reading: What the user says.
        read: Reads the teacher as a user says.

    Raises:
        UsageError: If `verify` names no photo and picture.
        UnusableData: If one of them cannot be read, or the picture has not the teacher's size.
        ParityError: If a picture is below `LEAST_DB`; with the flags that fit, where any do.
        UnusableModel: If the file cannot be read at all.
    """
    examples = list(_load_examples(reading.verify))
    try:
        description = read(reading)
    except UndecidedReading as error:
        found = _find_fitting(_changes(reading), reading, read, examples)
        raise ParityError(f"{name}: {error} {_advise(found, examples)}") from error
    _require_sizes(description, examples)
    worst, similarity_db = min(_similarities(description, examples), key=lambda one: one[1])
    if similarity_db >= LEAST_DB:
        _log.info("%s makes the pictures of --verify: %.1f dB at worst, %s", name, similarity_db, worst)
        return description
    found = _find_fitting(_changes(reading, _unseen_layers(reading, description)), reading, read, examples)
    raise ParityError(
        f"{name} makes {worst} at {similarity_db:.1f} dB from the picture of --verify; expected {LEAST_DB:.0f} dB. "
        f"{_advise(found, examples)}"
    )


def _advise(found: tuple[Mapping[str, Any], float] | None, examples: Sequence[_Example]) -> str:
    if found is not None:
        return f"With {_shown(*found)}."
    lossy = [one.name for one in examples if one.is_lossy]
    hint = f" The picture of {lossy[0]} is no PNG, and may have lost too much to compare with." if lossy else ""
    return f"No other reading that can be said by a flag fits.{hint}"


def _load_examples(pairs: Sequence[str]) -> Iterator[_Example]:
    for pair in pairs:
        photo, separator, picture = pair.partition("=")
        if not separator or not photo or not picture:
            raise UsageError(f"verify = {pair}, expected PHOTO=PICTURE: two files, or two folders of the same names.")
        for one, other in _paired(Path(photo), Path(picture)):
            made = images.read_image(other)
            yield _Example(
                one.name, images.read_image(one, made.shape[:2]), made, other.suffix.lower() not in _LOSSLESS
            )


def _paired(photo: Path, picture: Path) -> list[tuple[Path, Path]]:
    for path in (photo, picture):
        if not path.exists():
            raise UnusableData(
                f"{path} of --verify does not exist; expected a photo and its picture, or their folders."
            )
    if photo.is_dir() != picture.is_dir():
        raise UsageError(f"verify = {photo}={picture}: one is a folder, the other a file. Pass two of a kind.")
    if not photo.is_dir():
        return [(photo, picture)]
    pictures = {path.stem: path for path in images.list_images(picture)}
    found = [(path, pictures[path.stem]) for path in images.list_images(photo) if path.stem in pictures]
    if not found:
        raise UnusableData(f"{photo} and {picture} of --verify share no name of a picture; expected some.")
    return found


def _similarities(description: GeneratorDescription, examples: Sequence[_Example]) -> list[tuple[str, float]]:
    """Return the name of each photo and the PSNR of the teacher's picture of it."""
    # Keras takes seconds to start, and commands that verify nothing need none.
    from compress.teachers.build import build_generator

    generator = build_generator(description)
    return [(one.name, _psnr(_translate(generator, one), one.picture)) for one in examples]


def _require_sizes(description: GeneratorDescription, examples: Sequence[_Example]) -> None:
    """Check that a teacher makes pictures of the examples' sizes.

    Raises:
        UnusableData: Naming the first whose size it does not make.
    """
    for one in examples:
        height, width, _ = one.picture.shape
        taken = description.input_shape[:2]
        fits = all(own in (None, side) for own, side in zip(taken, (height, width), strict=True))
        if not fits or find_problem(description, (height, width)) is not None:
            makes = "makes no picture of that size" if None in taken else f"makes {taken[0]}x{taken[1]}"
            raise UnusableData(
                f"the picture of --verify for {one.name} has {height}x{width} pixels, but the teacher {makes}. "
                "Pass pictures as the teacher made them."
            )


def _translate(generator: Any, example: _Example) -> np.ndarray:
    made = np.asarray(generator.predict_on_batch(images.to_float(example.photo)[np.newaxis]))[0]
    return images.to_uint8(made)


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return 0.0
    return min(images.psnr_db(one.astype(np.int16) - other, peak=255), _IDENTICAL_DB)


def _find_fitting(
    changes: Iterable[Mapping[str, Any]], reading: ReadingConfig, read: Read, examples: Sequence[_Example]
) -> tuple[Mapping[str, Any], float] | None:
    """Return what to say so that the pictures fit, and the lowest PSNR with it; None where nothing does."""
    _log.info("looking for the reading that makes the pictures of --verify")
    for change in changes:
        similarity_db = _try(replace(reading, **change), read, examples[:1])
        if similarity_db >= LEAST_DB:
            return change, _try(replace(reading, **change), read, examples)
    return None


def _changes(reading: ReadingConfig, unseen: Iterable[dict[str, Any]] = ()) -> Iterator[dict[str, Any]]:
    """Yield every change of one flag, those of layers that the file does not show, then of two flags."""
    hints = get_type_hints(ReadingConfig)
    single = [
        (name, value)
        for name in _SEARCHED
        for value in get_args(get_args(hints[name])[0])
        if value != getattr(reading, name)
    ]
    yield from ({name: value} for name, value in single)
    yield from unseen
    for one, other in itertools.combinations(single, 2):
        if one[0] != other[0]:
            yield dict([one, other])


def _unseen_layers(reading: ReadingConfig, description: GeneratorDescription) -> Iterator[dict[str, Any]]:
    """Yield what else the layers without weights may be that the reader had to assume."""
    for convention in description.conventions:
        for choice in convention.otherwise:
            yield {"layer_as": (*reading.layer_as, choice)}


def _try(reading: ReadingConfig, read: Read, examples: Sequence[_Example]) -> float:
    try:
        return min(similarity for _, similarity in _similarities(read(reading), examples))
    except PocketGANError:
        # A flag that does not go with the file fits nothing.
        return 0.0


def _shown(change: Mapping[str, Any], similarity_db: float) -> str:
    return f"{' '.join(flags_of(replace(ReadingConfig(), **change)))}: {similarity_db:.1f} dB"
