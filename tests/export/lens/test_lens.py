"""The lens on photos of every kind: which faces it takes, and what it does where there is none."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.errors import UnusableArtifact, UsageError
from compress.faces.face import Face
from compress.faces.template import AlignmentTemplate, place_face
from compress.images import to_float
from export.alignment import find_template
from export.lens.config import LensConfig
from export.lens.lens import Lens, open_lens
from export.lens.paste import Photo


def make_face(x: float, y: float, side: float) -> Face:
    """A face whose template square has its centre at a place and a side of `side`, pixels."""
    apart = side * 0.235
    eyes = y - 0.07 * side
    points = np.array([[x - apart / 2, eyes], [x + apart / 2, eyes], [x, eyes], [x, eyes + 1], [x, eyes], [x, eyes]])
    return Face(0.9, (x - side / 4, y - side / 4, x + side / 4, y + side / 4), points)


def lens_with(faces: Sequence[Face], config: LensConfig | None = None) -> Lens:
    """A lens that makes negatives of faces that are told to it."""
    return Lens(
        translate=lambda photo: -to_float(photo),
        size_px=64,
        template=AlignmentTemplate(),
        config=config or LensConfig(),
        find=lambda photo: list(faces),
    )


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(before.astype(int) - after).sum(axis=-1) > 0


LARGE, MIDDLE, SMALL = make_face(60, 60, 100), make_face(220, 60, 80), make_face(60, 180, 50)
CENTRES = {"large": (60, 60), "middle": (60, 220), "small": (180, 60)}


@pytest.mark.parametrize(
    ("config", "taken"),
    [
        (LensConfig(), {"large"}),
        (LensConfig(all=True), {"large", "middle", "small"}),
        (LensConfig(nth=1), {"large"}),
        (LensConfig(nth=3), {"small"}),
        (LensConfig(nth=4), set()),
    ],
)
def test_the_faces_that_are_asked_for_are_translated(config: LensConfig, taken: set[str]) -> None:
    photo = np.full((240, 320, 3), 60, np.uint8)
    pasted = photo.copy()
    count = lens_with([LARGE, MIDDLE, SMALL], config).apply(Photo(pasted))
    assert count == len(taken)
    for name, (y, x) in CENTRES.items():
        assert changed(photo, pasted)[y, x] == (name in taken), name
        if name in taken:
            np.testing.assert_allclose(pasted[y, x], 195, atol=2)


def test_without_a_face_the_photo_stays_as_it_is() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    pasted = photo.copy()
    assert lens_with([]).apply(Photo(pasted)) == 0
    np.testing.assert_array_equal(pasted, photo)


def test_faces_that_overlap_are_translated_from_the_photo_and_not_from_each_other() -> None:
    photo = np.full((240, 320, 3), 60, np.uint8)
    pasted = photo.copy()
    lens_with([make_face(150, 120, 100), make_face(165, 120, 90)], LensConfig(all=True)).apply(Photo(pasted))
    # The negative of a negative would be the photo again.
    np.testing.assert_allclose(pasted[120, 160], 195, atol=2)


@pytest.mark.parametrize("feather", [0.02, 0.5])
def test_the_feather_is_as_wide_as_asked_for(feather: float) -> None:
    photo = np.full((240, 320, 3), 60, np.uint8)
    pasted = photo.copy()
    lens_with([make_face(160, 120, 200)], LensConfig(feather=feather)).apply(Photo(pasted))
    row = pasted[120, 60:260, 0].astype(int)
    fading = ((row > 62) & (row < 193)).sum() / 2
    # Of a smooth step, some four fifths are told from its ends.
    assert fading / 200 == pytest.approx(0.85 * feather, abs=0.03 + 0.1 * feather)


@pytest.mark.parametrize("shape", [(60, 160), (160, 60), (90, 90), (20, 30), (64, 800)])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_a_whole_photo_is_translated_to_its_edges(shape: tuple[int, int], has_alpha: bool) -> None:
    photo = np.full((*shape, 3), 60, np.uint8)
    pasted = photo.copy()
    alpha = np.full(shape, 255, np.uint8) if has_alpha else None
    lens = lens_with([], LensConfig(region="whole"))
    assert lens.apply(Photo(pasted, alpha)) == 1
    np.testing.assert_allclose(pasted, 195, atol=1)


def test_squares_of_a_whole_photo_fade_into_each_other() -> None:
    """Each square is made brighter than the one before: no step in the photo is as large as theirs."""
    made = iter(range(100))
    lens = replace(
        lens_with([], LensConfig(region="whole")), translate=lambda _: np.full((64, 64, 3), next(made) * 0.2)
    )
    pasted = np.zeros((80, 200, 3), np.uint8)
    lens.apply(Photo(pasted))
    levels = pasted[40, :, 0].astype(int)
    assert levels[-1] - levels[0] > 40
    assert np.abs(np.diff(levels)).max() < 5
    assert (np.diff(levels) >= 0).all()


def test_a_model_that_records_its_template_is_placed_by_it(
    as_student: Callable[[AlignmentTemplate | None], Path], caplog: pytest.LogCaptureFixture
) -> None:
    template = AlignmentTemplate(eye_distance=0.4, eyes_y=0.5)
    student = as_student(template)
    with caplog.at_level(logging.WARNING):
        lens = open_lens(student, LensConfig())
        assert open_lens(student / "model.tflite", LensConfig()).template == template
    assert lens.template == template
    assert caplog.messages == []
    face = make_face(160, 120, 100)
    assert place_face(face, lens.template).side_px == pytest.approx(100 * 0.235 / 0.4)


def test_a_model_without_a_template_is_placed_by_the_default_one_and_said(
    negative: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        lens = open_lens(negative, LensConfig())
    assert lens.template == AlignmentTemplate()
    assert lens.size_px == 64
    (said,) = caplog.messages
    assert "negative.tflite records no alignment" in said
    caplog.clear()
    open_lens(negative, LensConfig(region="whole"))
    assert caplog.messages == []


def test_a_damaged_template_is_refused(as_student: Callable[[AlignmentTemplate | None], Path]) -> None:
    student = as_student(AlignmentTemplate())
    manifest = student / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"eye_distance": 0.235', '"eye_distance": -1'))
    with pytest.raises(UnusableArtifact, match="eye_distance = -1"):
        find_template(student)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"all": True, "nth": 2}, "nth = 2"),
        ({"nth": 0}, "nth = 0"),
        ({"feather": 0.7}, r"feather = 0\.7"),
        ({"region": "whole", "all": True}, "region = whole"),
    ],
)
def test_what_goes_not_together_is_refused(values: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LensConfig(**values)
