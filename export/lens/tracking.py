"""Following faces from frame to frame: each is looked for where it was, and anew where it is gone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.faces.face import Face, choose_faces, overlap
from compress.faces.find import find_faces, follow_face
from compress.faces.template import AlignmentTemplate, Placement, place_face
from export.lens.smoothing import PlacementFilter

SEARCH_EVERY = 15
"""Frames between searches for faces that came in, and between thorough ones while there is none."""
_SAME_FACE_OVERLAP = 0.3
Find = Callable[..., list[Face]]
Follow = Callable[[np.ndarray, Face], Face | None]


@dataclass
class _Track:
    """A face that is followed."""

    face: Face
    smooth: PlacementFilter


@dataclass
class Tracker:
    """The faces of a film that are translated, frame after frame.

    A face is kept until it is gone, also where another becomes larger.
    """

    template: AlignmentTemplate
    every: bool = False
    """Whether all faces are taken."""
    nth: int | None = None
    """Which one is taken instead of the largest."""
    find: Find = find_faces
    follow: Follow = follow_face
    _tracks: list[_Track] = field(default_factory=list)
    _since_search: int = 0
    """Frames since the last search that was thorough, or for all faces."""

    def place(self, frame: np.ndarray, time_s: float) -> list[Placement]:
        """Return the squares of the faces of the next frame, steadied; none where none is seen.

        Args:
            frame: `(height, width, 3)` uint8 sRGB, upright.
            time_s: When it is shown, seconds.
        """
        followed = [(self.follow(frame, track.face), track) for track in self._tracks]
        self._tracks = [_Track(face, track.smooth) for face, track in followed if face is not None]
        if not self._tracks or (self.every and self._since_search <= 0):
            self._search(frame)
        self._since_search -= 1
        return [track.smooth(place_face(track.face, self.template), time_s) for track in self._tracks]

    def _search(self, frame: np.ndarray) -> None:
        is_due = self._since_search <= 0
        for face in choose_faces(self.find(frame, thorough=is_due), every=self.every, nth=self.nth):
            if all(overlap(face, track.face) < _SAME_FACE_OVERLAP for track in self._tracks):
                self._tracks.append(_Track(face, PlacementFilter()))
        if is_due:
            self._since_search = SEARCH_EVERY

    def to_record(self) -> dict[str, Any]:
        """Return its state as JSON has it."""
        tracks = [
            {"score": face.score, "box": face.box, "points": face.points.tolist(), "smooth": track.smooth.to_record()}
            for track in self._tracks
            for face in (track.face,)
        ]
        return {"tracks": tracks, "since_search": self._since_search}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on from a state that `to_record` returned."""
        self._since_search = record["since_search"]
        self._tracks = [
            _Track(
                Face(track["score"], tuple(track["box"]), np.array(track["points"])),
                PlacementFilter(**track["smooth"]),
            )
            for track in record["tracks"]
        ]
