"""BlazeFace: the files are the pinned ones, and their numbers mean what the decoder takes them for."""

import hashlib
from importlib import resources

import numpy as np
import pytest

from compress.faces.blazeface.detector import FULL_RANGE, SHORT_RANGE, Network, letterbox, load_network, merge_finds
from compress.faces.face import Face, choose_faces, overlap

NETWORKS = [pytest.param(FULL_RANGE, id="full"), pytest.param(SHORT_RANGE, id="short")]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_file_is_the_pinned_one_and_the_notice_names_it(network: Network) -> None:
    folder = resources.files("compress.faces.blazeface")
    assert hashlib.sha256(folder.joinpath(network.file).read_bytes()).hexdigest() == network.sha256
    notice = folder.joinpath("NOTICE").read_text()
    assert network.file in notice
    assert network.sha256 in notice
    assert "Apache License, Version 2.0" in notice


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("left", "top"), [(0, 0), (90, 0), (0, 60), (90, 60)])
def test_key_points_lie_on_the_parts_of_a_drawn_face(network: Network, left: int, top: int, draw_face) -> None:
    photo = np.full((260, 290, 3), 120, np.uint8)
    photo[top : top + 200, left : left + 200] = draw_face(200)
    face, *others = load_network(network).detect(photo, least_score=0.5)
    assert others == []
    expected = np.array([[82, 96], [118, 96], [100, 120], [100, 134], [56, 104], [144, 104]]) + np.array([left, top])
    assert np.abs(face.points - expected).max() < 12
    # Eyes and mouth place the crop.
    assert np.abs(face.points[[0, 1, 3]] - expected[[0, 1, 3]]).max() < 7
    assert overlap(face, Face(0, (left + 55.0, top + 65.0, left + 145.0, top + 157.0), face.points)) > 0.7


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_found_where_nothing_is(network: Network) -> None:
    assert load_network(network).detect(np.full((90, 160, 3), 128, np.uint8), least_score=0.5) == []


@pytest.mark.parametrize("size", [(90, 160), (160, 90), (1, 700), (1080, 1920), (128, 128)])
def test_a_photo_lies_in_the_middle_of_a_black_square(size: tuple[int, int]) -> None:
    square, scale, (left, top) = letterbox(np.full((*size, 3), 200, np.uint8), 128)
    lit = square[..., 0] > 0
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    assert square.shape == (128, 128, 3)
    assert (square[lit] == 200).all()
    assert (rows[0], columns[0]) == (top, left)
    np.testing.assert_allclose([len(columns), len(rows)], scale * [size[1], size[0]])
    assert max(len(rows), len(columns)) == 128


def test_overlapping_finds_are_one_face_and_their_mean_is_weighted_by_score() -> None:
    places = np.zeros((3, 8, 2))
    places[0, :2], places[1, :2], places[2, :2] = [[0, 0], [10, 10]], [[1, 0], [11, 10]], [[50, 50], [60, 60]]
    places[1, 2:] = 4
    near, far = merge_finds(places, np.array([0.9, 0.6, 0.8]))
    assert (near.score, far.score) == (0.9, 0.8)
    np.testing.assert_allclose(near.box, (0.4, 0, 10.4, 10))
    np.testing.assert_allclose(near.points, 1.6)
    assert far.box == (50, 50, 60, 60)


def test_a_box_of_no_area_is_taken_once() -> None:
    assert len(merge_finds(np.zeros((2, 8, 2)), np.array([0.9, 0.8]))) == 2


def test_faces_are_chosen_by_size() -> None:
    faces = [Face(1.0, (0, 0, side, side), np.zeros((6, 2))) for side in (30, 20, 10)]
    assert choose_faces(faces) == faces[:1]
    assert choose_faces(faces, every=True) == faces
    assert choose_faces(faces, nth=3) == faces[2:]
    assert choose_faces(faces, nth=4) == []
    assert choose_faces([]) == []
