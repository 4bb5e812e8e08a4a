"""How far a student goes from the photo to the teacher: by closed forms, and the words for it."""

from typing import Any

import numpy as np
import pytest

from eval.effect import ALMOST_NOTHING, RULE, measure_effect, measure_effect_by_distance
from eval.similarity import FolderSimilarity, ImageSimilarity


def folder(*decibels: float | None) -> FolderSimilarity:
    return FolderSimilarity(
        {
            f"{index:03d}": ImageSimilarity(psnr_db=value, ssim=None, ms_ssim=None, colour_offset=(0.0, 0.0, 0.0))
            for index, value in enumerate(decibels)
        }
    )


def distances(mean: float, half_width: float) -> dict[str, Any]:
    interval = {"low": mean - half_width, "high": mean + half_width}
    return {"fd_x": 9.0, "kid_x": {"mean": mean, "spread": 0.01}, "intervals": {"kid_x": interval}}


def spread(mean: float, images: int = 40) -> list[float]:
    return [mean + offset for offset in np.linspace(-0.3, 0.3, images)]


def test_the_share_is_of_the_squared_error() -> None:
    effect = measure_effect(folder(20.0, 20.0), folder(10.0, 10.0))
    assert effect is not None
    assert effect.share == pytest.approx(0.9)
    # All images alike: no other choice of them says anything else.
    assert effect.interval is not None
    assert (effect.interval.low, effect.interval.high) == pytest.approx((0.9, 0.9))


def test_a_student_hardly_nearer_than_the_photo_does_almost_nothing() -> None:
    effect = measure_effect(folder(*spread(23.5)), folder(*spread(23.1)))
    assert effect is not None
    assert effect.verdict == "almost nothing"
    assert effect.share == pytest.approx(1 - 10**-0.04)
    assert effect.text.startswith(
        "does almost nothing: it goes 9 % of the way from the untouched photo to the teacher (95"
    )
    assert effect.text.endswith("under 25 % is almost nothing")


@pytest.mark.parametrize(
    ("gained_db", "verdict"),
    [(-1.0, "worse than nothing"), (0.0, "almost nothing"), (1.2, "almost nothing"), (1.3, "works"), (9.0, "works")],
)
def test_the_threshold_is_a_quarter_of_the_way(gained_db: float, verdict: str) -> None:
    effect = measure_effect(folder(*[23.0 + gained_db] * 9), folder(*[23.0] * 9))
    assert effect is not None
    assert effect.verdict == verdict
    assert (effect.share < ALMOST_NOTHING) == (verdict != "works")
    assert "Under a quarter" in RULE


def test_too_few_images_for_certainty_are_called_uncertain() -> None:
    few = measure_effect(folder(20.0, 29.0, 20.1, 28.0), folder(20.0, 20.0, 20.0, 20.0))
    many = measure_effect(folder(*[20.0, 29.0, 20.1, 28.0] * 50), folder(*[20.0] * 200))
    assert few is not None
    assert many is not None
    assert few.share == pytest.approx(many.share)
    assert (few.verdict, many.verdict) == ("uncertain", "works")
    assert few.text.startswith("may do almost nothing")
    alone = measure_effect(folder(30.0), folder(20.0))
    assert alone is not None
    assert (alone.interval, alone.verdict) == (None, "uncertain")


def test_a_student_that_draws_textures_is_told_by_the_kernel_distance() -> None:
    nearer: dict[str, Any] = {"distances": distances(0.07, 0.02), "control": distances(0.38, 0.02)}
    effect = measure_effect(folder(*[20.1] * 9), folder(*[20.0] * 9), **nearer)
    assert effect is not None
    assert effect.verdict == "works"
    assert effect.distance_fell_by == pytest.approx(1 - 0.09 / 0.36)
    assert "the kernel distance falls by 75 % or more" in effect.text
    # Where the intervals touch, nothing is certain.
    unsure = measure_effect(
        folder(*[20.1] * 9), folder(*[20.0] * 9), distances=distances(0.07, 0.2), control=distances(0.38, 0.2)
    )
    assert unsure is not None
    assert unsure.verdict == "almost nothing"


def test_a_teacher_that_changes_nothing_leaves_no_way_to_go() -> None:
    assert measure_effect(folder(None, None), folder(None, None)) is None
    # Equal images of the student are all of the way.
    whole = measure_effect(folder(None, None), folder(10.0, 12.0))
    assert whole is not None
    assert whole.share == 1.0


def test_photos_that_the_teacher_leaves_alone_do_not_divide_by_zero() -> None:
    effect = measure_effect(folder(None, None, None, 30.0), folder(None, None, None, 20.0))
    assert effect is not None
    assert (effect.share, effect.interval) == (pytest.approx(0.9), None)


@pytest.mark.parametrize(("mean", "verdict"), [(0.05, "works"), (0.19, "almost nothing"), (0.25, "worse than nothing")])
def test_without_a_teacher_the_kernel_distance_tells(mean: float, verdict: str) -> None:
    effect = measure_effect_by_distance(distances(mean, 0.01), distances(0.2, 0.01))
    assert effect is not None
    assert effect.verdict == verdict
    assert "to the reference" in effect.text
    assert measure_effect_by_distance(distances(mean, 0.01), distances(0.005, 0.01)) is None
