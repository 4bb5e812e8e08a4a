"""Following faces: kept while they are there, looked for where they are gone, several at once where asked for."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from compress.faces.face import Face, overlap
from compress.faces.find import find_faces, follow_face
from compress.faces.template import AlignmentTemplate
from export.lens.tracking import SEARCH_EVERY, Tracker

FRAME = np.zeros((4, 4, 3), np.uint8)


def make_face(x: float, side: float = 100) -> Face:
    points = np.array([[x - 12, 40], [x + 12, 40], [x, 50], [x, 60], [x, 40], [x, 40]], dtype=float)
    return Face(0.9, (x - side / 2, 0, x + side / 2, side), points)


class Scene:
    """The faces that there are to see, and how often they were looked for."""

    def __init__(self, *faces: Face) -> None:
        self.faces: Sequence[Face] = faces
        self.searches: list[bool] = []

    def find(self, frame: np.ndarray, *, thorough: bool) -> list[Face]:
        self.searches.append(thorough)
        return list(self.faces)

    def follow(self, frame: np.ndarray, face: Face) -> Face | None:
        return next((one for one in self.faces if overlap(one, face) > 0.3), None)


def track(scene: Scene, **options) -> Tracker:
    return Tracker(AlignmentTemplate(), find=scene.find, follow=scene.follow, **options)


def places(tracker: Tracker, frames: int = 1, start: int = 0) -> list[float]:
    placed = []
    for index in range(start, start + frames):
        placed = tracker.place(FRAME, index / 30)
    return [each.x for each in placed]


def test_a_face_that_was_found_is_followed_and_not_looked_for() -> None:
    scene = Scene(make_face(100))
    tracker = track(scene)
    assert places(tracker, 40) == [pytest.approx(100)]
    assert scene.searches == [True]


def test_the_face_that_was_taken_is_kept_where_another_grows_larger() -> None:
    scene = Scene(make_face(100), make_face(400, 80))
    tracker = track(scene)
    places(tracker, 3)
    scene.faces = (make_face(400, 180), make_face(104))
    assert places(tracker, 1, 3)[0] == pytest.approx(102, abs=2.1)


def test_a_face_that_is_gone_is_looked_for_anew_and_passes_through_till_then() -> None:
    scene = Scene(make_face(100))
    tracker = track(scene)
    places(tracker, 3)
    scene.faces = ()
    assert places(tracker, 20, 3) == []
    scene.faces = (make_face(500),)
    assert places(tracker, 1, 23) == [pytest.approx(500)]


def test_without_a_face_only_some_searches_are_thorough() -> None:
    scene = Scene()
    places(track(scene), 4 * SEARCH_EVERY)
    assert scene.searches.count(True) == 4
    assert len(scene.searches) == 4 * SEARCH_EVERY


def test_with_every_face_those_that_come_in_are_found_and_each_keeps_its_own_filter() -> None:
    scene = Scene(make_face(100))
    tracker = track(scene, every=True)
    places(tracker, 3)
    scene.faces = (make_face(103), make_face(400))
    assert len(places(tracker, SEARCH_EVERY, 3)) == 2
    assert len(places(tracker, 3 * SEARCH_EVERY, 3 + SEARCH_EVERY)) == 2


def test_the_nth_face_is_the_one_that_is_followed() -> None:
    scene = Scene(make_face(100), make_face(400, 80))
    tracker = track(scene, nth=2)
    assert places(tracker, 2) == [pytest.approx(400)]


def test_a_state_read_from_json_goes_on_the_same() -> None:
    scene = Scene(make_face(100), make_face(400, 80))
    one, other = track(scene, every=True), track(scene, every=True)
    places(one, 20)
    other.restore(json.loads(json.dumps(one.to_record())))
    for index in range(20, 50):
        scene.faces = (make_face(100 + index - 20), make_face(400 - index, 80))
        assert one.place(FRAME, index / 30) == other.place(FRAME, index / 30)


def test_a_real_face_is_followed_where_it_moved_to(draw_face) -> None:
    frame = np.full((240, 320, 3), (120, 130, 110), np.uint8)
    frame[20:180, 60:220] = draw_face(160)
    (found,) = find_faces(frame)
    moved = np.roll(frame, (8, 14), axis=(0, 1))
    followed = follow_face(moved, found)
    assert followed is not None
    assert np.abs(followed.points[:4] - found.points[:4] - (14, 8)).max() < 4
    assert follow_face(np.full_like(frame, 120), found) is None
