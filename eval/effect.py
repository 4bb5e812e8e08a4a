"""Effect of a student: how much of the way from the untouched photo to the teacher's image it goes, in words, too.

A similarity alone says little: a student at 23.5 dB does almost nothing where the untouched photo has 23.1 dB.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from eval.confidence import FEWEST_IMAGES, Interval, normal_interval, resample_blocks, resampled_sums
from eval.score_key import is_kernel_distance
from eval.similarity import FolderSimilarity

EffectVerdict = Literal["works", "uncertain", "almost nothing", "worse than nothing"]

ALMOST_NOTHING = 0.25
"""Share of the way under which a student does almost nothing: 1.25 dB above the untouched photos. Of the students in
docs/results.md those that visibly translate go 36 % (vintage, seven minutes), 56 % (the same, an hour) and 90 % (the
demo); 15 % is the one whose kernel distance, too, is not told from the untouched photos'."""
RULE = (
    "0 % of the way is the untouched photo, 100 % the teacher's image: 1 - MSE(student, teacher) / MSE(photo, teacher) "
    "over all test images, with a 95 % interval over the choice of images. Under a quarter is almost nothing, "
    "unless the kernel distance to the reference has fallen by as much of the untouched photos', from the lower end of "
    "their interval to the upper end of the student's: one that draws textures gains little pixel by pixel."
)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How far a student goes, and what that is worth."""

    verdict: EffectVerdict
    share: float
    """Share of the way: 0 is the untouched photo, 1 the goal; below 0 is farther from the goal than the photo."""
    interval: Interval | None
    """95 % interval of `share`; None of one image."""
    goal: Literal["the teacher", "the reference"]
    """What the way leads to: the teacher's images by squared error, or the reference by kernel distance."""
    distance_fell_by: float | None = None
    """Share of the untouched photos' kernel distance that is gone for certain; None where it decides nothing."""

    @property
    def text(self) -> str:
        """A sentence without its subject."""
        way = f"{_percent(self.share)} of the way from the untouched photo to {self.goal}{_format(self.interval)}"
        if self.distance_fell_by is not None:
            return f"goes {way}, and the kernel distance falls by {_percent(self.distance_fell_by)} or more"
        bound = f"under {_percent(ALMOST_NOTHING)} is almost nothing"
        return {
            "works": f"goes {way}",
            "uncertain": f"may do almost nothing: it goes {way}; {bound}",
            "almost nothing": f"does almost nothing: it goes {way}; {bound}",
            "worse than nothing": f"is worse than doing nothing: it goes {way}",
        }[self.verdict]

    def to_mapping(self) -> dict[str, Any]:
        """Return what a record of scores holds."""
        return asdict(self) | {"text": self.text}


def measure_effect(
    student: FolderSimilarity,
    untouched: FolderSimilarity,
    *,
    distances: Mapping[str, Any] | None = None,
    control: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Effect | None:
    """Measure a student's effect by `RULE`.

    Args:
        student: Its images against the teacher's.
        untouched: The photos against the teacher's images, of the same stems.
        distances: A record of the student's distances to the reference and their `intervals`, where it was scored.
        control: The same of the untouched photos.
        seed: Of the resamples.

    Returns:
        None where the teacher leaves all photos as they are, so that there is no way to go.
    """
    stems = list(untouched.images)
    ours, theirs = (_squared_errors(one, stems) for one in (student, untouched))
    if not theirs.sum():
        return None
    share = float(1 - ours.sum() / theirs.sum())
    interval = _share_interval(share, ours, theirs, seed)
    verdict = _judge(share, interval)
    fell = None if verdict == "works" else _certain_fall(distances, control)
    if fell is not None and fell >= ALMOST_NOTHING:
        return Effect(verdict="works", share=share, interval=interval, goal="the teacher", distance_fell_by=fell)
    return Effect(verdict=verdict, share=share, interval=interval, goal="the teacher")


def measure_effect_by_distance(distances: Mapping[str, Any], control: Mapping[str, Any]) -> Effect | None:
    """Measure a student's effect where no teacher's images are at hand: by what is gone of the kernel distance.

    Returns:
        None where the untouched photos are no farther from the reference than real images are from each other.
    """
    name = next(key for key in distances if is_kernel_distance(key))
    ours, theirs = distances["intervals"][name], control["intervals"][name]
    if theirs["low"] <= 0:
        return None
    share = 1 - distances[name]["mean"] / control[name]["mean"]
    interval = Interval(low=1 - ours["high"] / theirs["low"], high=1 - ours["low"] / theirs["high"])
    return Effect(verdict=_judge(share, interval), share=share, interval=interval, goal="the reference")


def _judge(share: float, interval: Interval | None) -> EffectVerdict:
    if share < 0 and (interval is None or interval.high < 0):
        return "worse than nothing"
    if share < ALMOST_NOTHING:
        return "almost nothing"
    return "uncertain" if interval is None or interval.low < ALMOST_NOTHING else "works"


def _squared_errors(similarity: FolderSimilarity, stems: list[str]) -> np.ndarray:
    """Return the mean squared error of each image, as a share of the squared peak: 0 where both are equal."""
    decibels = [similarity.images[stem].psnr_db for stem in stems]
    return np.array([0.0 if one is None else 10 ** (-one / 10) for one in decibels])


def _share_interval(share: float, ours: np.ndarray, theirs: np.ndarray, seed: int) -> Interval | None:
    if len(ours) < FEWEST_IMAGES:
        return None
    drawn = [
        (resampled_sums(ours, block), resampled_sums(theirs, block)) for block in resample_blocks(len(ours), seed=seed)
    ]
    left, ways = (np.concatenate(sums) for sums in zip(*drawn, strict=True))
    if not ways.all():
        # So many photos are left as they are that a draw may hold no other.
        return None
    return normal_interval(share, 1 - left / ways)


def _certain_fall(distances: Mapping[str, Any] | None, control: Mapping[str, Any] | None) -> float | None:
    """Return the share of the untouched photos' kernel distance that is gone from the nearest ends of the intervals."""
    if not distances or not control:
        return None
    name = next(key for key in distances if is_kernel_distance(key))
    low = control["intervals"][name]["low"]
    return 1 - distances["intervals"][name]["high"] / low if low > 0 else None


def _format(interval: Interval | None) -> str:
    return f" (95 %: {_percent(interval.low)} to {_percent(interval.high)})" if interval else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
