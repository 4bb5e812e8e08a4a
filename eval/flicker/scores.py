"""Flicker scores: the change of a generator's images as a multiple of the change of its photos, and of its teacher's.

A ratio of 1 means that the images change as much as the photos do. It is high where a generator paints texture at fixed
places or by chance, and low where it blurs, so it is read beside the distances to real images, never alone. What a
student is held to is its teacher's figure: stripes change more under a shift than the horses that they are painted on.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from compress.errors import UnusableData
from compress.images import read_image
from eval.confidence import RESAMPLES, normal_interval, resample_counts, resampled_sums
from eval.config import ScoreConfig
from eval.flicker.copies import JPEG_QUALITY, NOISE_LEVELS, mean_square_changes
from eval.flicker.perturb import DESCRIPTION, read_copies
from eval.similarity.pairs import pair_by_stem

Verdict = Literal["steadier", "alike", "flickers more"]
FEWEST = 2
"""Fewest photos, or pairs of frames: a spread needs two."""

_Changes = Mapping[str, np.ndarray]
"""Mean squared change, `(photos,)` or `(pairs of frames,)`, by what changed the photo."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of two changes with its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Whether a student, whose change it is as a multiple of its teacher's, flickers more than that."""
        if self.low <= 1.0 <= self.high:
            return "alike"
        return "steadier" if self.high < 1.0 else "flickers more"


def score_flicker(photos: Path, config: ScoreConfig) -> dict[str, Any]:
    """Compare how much a generator's images change with how much its photos do.

    Args:
        photos: What `perturb_folder` wrote, or with `config.frames` a video's frames.
        config: Names the folders of images that were made of the photos.

    Returns:
        JSON-ready: `flicker` by what changed the photos (`shift`, `noise` and `jpeg`, or `frames`), each with the
        `input_change` and `output_change` (root mean square, levels of 255), their `ratio`, where there is a teacher
        its own under `teacher` and the student's change as a multiple of it under `to_teacher`, and the two changes of
        each image; `notes` and `seconds`.

    Raises:
        UnusableData: If a folder cannot be used, an image has no partner or another size, or the photos do not change.
    """
    started = time.perf_counter()
    copies = None if config.frames else read_copies(photos)
    made = pair_by_stem(photos, config.fake)
    names = list(made)[1:] if copies is None else list(copies)
    if len(names) < FEWEST:
        raise UnusableData(f"{photos} holds {len(names)} change(s) of an image; a spread needs {FEWEST}.")
    height, width, _ = read_image(next(iter(made.values()))[1]).shape

    def measure(folder: Path) -> _Changes:
        paths = {stem: path for stem, (_, path) in pair_by_stem(photos, folder).items()}
        if copies is not None:
            return _measure_copies(copies, paths, (height, width))
        # What translates frames cuts and resizes them, too.
        read = read_image if folder == photos else _read_at
        return {"frames": _neighbour_changes(read(path, (height, width)) for path in paths.values())}

    inputs, fakes = measure(photos), measure(config.fake)
    teacher = measure(config.teacher) if config.teacher else None
    counts = resample_counts(len(names), seed=config.seed)
    kinds = {
        kind: _summarize(kind, inputs[kind], fakes[kind], None if teacher is None else teacher[kind], counts)
        | {"images": _list_changes(names, inputs[kind], fakes[kind])}
        for kind in inputs
    }
    seconds = {"flicker": round(time.perf_counter() - started, 2)}
    return {"flicker": kinds, "notes": _explain(config.frames, len(names)), "seconds": seconds}


def _measure_copies(
    copies: Mapping[str, Mapping[str, str]], paths: Mapping[str, Path], size: tuple[int, int]
) -> _Changes:
    measured = []
    for stems in copies.values():
        missing = [stem for stem in stems.values() if stem not in paths]
        if missing:
            raise UnusableData(
                f"{missing[0]}.png is missing, which {DESCRIPTION} promises. Perturb and translate anew."
            )
        measured.append(mean_square_changes({name: _read_at(paths[stem], size) for name, stem in stems.items()}))
    return {kind: np.array([changes[kind] for changes in measured]) for kind in measured[0]}


def _neighbour_changes(images: Iterator[np.ndarray]) -> np.ndarray:
    changes, before = [], None
    for image in images:
        image = image.astype(np.float64)
        if before is not None:
            changes.append(np.mean((image - before) ** 2))
        before = image
    return np.array(changes)


def _read_at(path: Path, size: tuple[int, int]) -> np.ndarray:
    image = read_image(path)
    if image.shape[:2] != size:
        raise UnusableData(
            f"{path} is {image.shape[1]}x{image.shape[0]} px, expected {size[1]}x{size[0]}: flicker compares pixel by "
            "pixel. Perturb at the size that the model works at, and translate all images at one size."
        )
    return image


def _summarize(
    kind: str, inputs: np.ndarray, fakes: np.ndarray, teacher: np.ndarray | None, counts: np.ndarray
) -> dict[str, Any]:
    if not inputs.any():
        raise UnusableData(f"the photos do not change at all ({kind}), so there is nothing to compare with.")
    record = _compare_with_inputs(inputs, fakes, counts) | {"input_change": _root_mean(inputs)}
    if teacher is None:
        return record
    record["teacher"] = _compare_with_inputs(inputs, teacher, counts)
    # A teacher that makes one picture of everything has no flicker to be held to.
    to_teacher = _ratio(fakes, teacher, counts) if teacher.any() else None
    record["to_teacher"] = to_teacher and asdict(to_teacher) | {"verdict": to_teacher.verdict}
    return record


def _compare_with_inputs(inputs: np.ndarray, outputs: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    return asdict(_ratio(outputs, inputs, counts)) | {"output_change": _root_mean(outputs)}


def _ratio(above: np.ndarray, below: np.ndarray, counts: np.ndarray) -> Ratio:
    """Return the ratio of two root mean square changes; both are of the same images, so they share the resamples."""
    sums = resampled_sums(below, counts)
    resampled = np.sqrt(resampled_sums(above, counts)[sums > 0] / sums[sums > 0])
    ratio = float(np.sqrt(above.sum() / below.sum()))
    interval = normal_interval(ratio, resampled)
    return Ratio(ratio=ratio, low=max(interval.low, 0.0), high=interval.high)


def _list_changes(names: Sequence[str], inputs: np.ndarray, fakes: np.ndarray) -> dict[str, dict[str, float]]:
    return {
        name: {"input_change": float(np.sqrt(before)), "output_change": float(np.sqrt(after))}
        for name, before, after in zip(names, inputs, fakes, strict=True)
    }


def _root_mean(squares: np.ndarray) -> float:
    return float(np.sqrt(squares.mean()))


def _explain(frames: bool, images: int) -> list[str]:
    """Return notes that keep a reader from misreading the ratios."""
    spread = f"intervals: 95 %, from {RESAMPLES} bootstrap resamples"
    blur = "a blurred image is steady, too: read flicker beside the distances to real images."
    if frames:
        return [f"{spread} of {images} pairs of neighbours, as if each were another scene's.", blur]
    perturbed = (
        "shift: by half and quarter pixels, undone before comparing; "
        f"noise: standard deviation {NOISE_LEVELS:g} levels of 255; jpeg: quality {JPEG_QUALITY}."
    )
    return [perturbed, f"{spread} of {images} photos.", blur]
