"""The template: eyes and mouth come to lie where it says, and it survives a manifest."""

import math

import numpy as np
import pytest

from compress.config import to_mapping
from compress.errors import UnusableArtifact, UsageError
from compress.faces.face import Face
from compress.faces.template import (
    ALIGNMENT,
    AlignmentTemplate,
    Placement,
    apply_map,
    invert_map,
    place_face,
    read_template,
    record_template,
)


def make_face(*, apart: float, to_mouth: float, roll: float = 0.0, scale: float = 1.0) -> Face:
    """A face whose eyes' middle lies at (300, 200), turned clockwise by `roll` radians."""
    points = np.array([[-apart / 2, 0], [apart / 2, 0], [0, to_mouth / 2], [0, to_mouth], [-apart, 0], [apart, 0]])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    return Face(0.9, (0, 0, 1, 1), scale * points @ turn.T + (300, 200))


def in_square(face: Face, placement: Placement) -> np.ndarray:
    return apply_map(invert_map(placement.matrix(1)), face.points)


@pytest.mark.parametrize("roll", [0.0, 0.4, -0.4, math.pi / 2, math.pi])
def test_eyes_lie_level_at_their_place_and_distance(roll: float) -> None:
    face = make_face(apart=60, to_mouth=50, roll=roll)
    placement = place_face(face, AlignmentTemplate())
    assert placement.side_px == pytest.approx(60 / 0.235)
    points = in_square(face, placement)
    np.testing.assert_allclose(points[0], (0.5 - 0.235 / 2, 0.43), atol=1e-9)
    np.testing.assert_allclose(points[1], (0.5 + 0.235 / 2, 0.43), atol=1e-9)


@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_the_mouth_sets_the_size_of_a_face_from_the_side(roll: float) -> None:
    face = make_face(apart=20, to_mouth=53, roll=roll)
    placement = place_face(face, AlignmentTemplate())
    assert placement.side_px == pytest.approx(200)
    np.testing.assert_allclose(in_square(face, placement)[3], (0.5, 0.43 + 0.265), atol=1e-9)


def test_an_upright_template_does_not_turn_with_the_head() -> None:
    face = make_face(apart=60, to_mouth=50, roll=0.4)
    placement = place_face(face, AlignmentTemplate(level_eyes=False, eyes_x=0.4, eyes_y=0.3))
    assert placement.roll_rad == 0
    np.testing.assert_allclose(in_square(face, placement)[:2].mean(axis=0), (0.4, 0.3), atol=1e-9)


def test_points_that_coincide_still_give_a_square() -> None:
    placement = place_face(make_face(apart=0, to_mouth=0), AlignmentTemplate())
    assert placement.side_px == 1


def test_corners_go_clockwise_from_the_upper_left() -> None:
    corners = Placement(x=10, y=20, side_px=4, roll_rad=math.pi / 2).corners()
    np.testing.assert_allclose(corners, [[12, 18], [12, 22], [8, 22], [8, 18]], atol=1e-9)


def test_a_template_survives_a_manifest() -> None:
    template = AlignmentTemplate(eye_distance=0.3, level_eyes=False)
    assert read_template(record_template(template), origin="m") == template
    assert read_template({}, origin="m") is None
    assert record_template(None) == {}


@pytest.mark.parametrize(
    "damaged",
    [
        "face",
        [],
        {"eye_distance": 0},
        {"eye_distance": "0.3"},
        {"eyes_x": 2},
        {"level_eyes": 1},
        {"nose": 0.5},
        to_mapping(AlignmentTemplate()) | {"eye_to_mouth": float("nan")},
    ],
)
def test_a_damaged_template_names_its_origin(damaged: object) -> None:
    with pytest.raises(UnusableArtifact, match=r"student/manifest(.|\n)*anew"):
        read_template({ALIGNMENT: damaged}, origin="student/manifest")


def test_a_template_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"eyes_y = 1\.5, expected 0\.0 to 1\.0"):
        AlignmentTemplate(eyes_y=1.5)
