"""Finding the faces of a photo: near and far, turned and small, each confirmed and measured by a second look.

The network for far faces looks at the photo, the one for near faces where that sees none. Each find is cut out upright
with as much around it again, and the network for near faces says whether it is a face and where its key points are: it
is twice as steady. Where nothing is found, the photo is turned by quarters, and looked at in overlapping tiles; at last
less will do of a large face, such as one seen from the side or in coloured light.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from compress.faces.blazeface.detector import FULL_RANGE, SHORT_RANGE, load_network
from compress.faces.cut import cut_coarsely
from compress.faces.face import Face, overlap
from compress.faces.template import Placement, apply_map

_LEAST_FIND, _LEAST_CONFIRMED = 0.65, 0.75
_LEAST_FIND_LARGE, _LEAST_CONFIRMED_LARGE = 0.5, 0.6
"""Scores, chosen on test photos: of 260 of horses and zebras two hold a face, and do; of 600 of CelebA's 8 hold none
without those for large faces, and one with them. Of training photos 3 of 200 horses' are taken for faces, by those."""
_LARGE = 0.25
"""Side of a large face's box, in shorter sides of the photo."""
_SURE = 0.85
"""Score from which on a face does not lie upside down: so do 4 of 20 portraits on their heads that reach less."""
_AROUND = 2.0
"""Side of what is looked at again, in sides of the face's box."""
_SAME_FACE_OVERLAP = 0.3
_TILE_OVERLAP = 0.5
_TILES_A_SIDE = (2, 4)
"""Tiles along the photo's shorter side, halves overlapping not counted; the finer ones come last."""


def find_faces(photo: np.ndarray, *, thorough: bool = True) -> list[Face]:
    """Find the faces of a photo.

    Args:
        photo: `(height, width, 3)` uint8 sRGB, upright or turned by any angle.
        thorough: Whether a photo that shows none as it lies is turned, looked at in tiles, and asked for unsure ones.

    Returns:
        The faces, the largest first; none where there is none.
    """
    if not thorough:
        return _confirm(photo, _as_it_lies(photo), _LEAST_CONFIRMED)
    for views in (_as_it_lies(photo), _turned(photo), _tiles(photo)):
        if found := _confirm(photo, views, _LEAST_CONFIRMED):
            return found
    least_px = _LARGE * min(photo.shape[:2])
    return [face for face in _confirm(photo, _unsure(photo), _LEAST_CONFIRMED_LARGE) if face.side_px >= least_px]


def follow_face(photo: np.ndarray, face: Face) -> Face | None:
    """Find a face of the frame before in this one: only around where it was, by the network for near faces.

    Args:
        photo: `(height, width, 3)` uint8 sRGB.
        face: The face as it was.

    Returns:
        The face as it is; None where it is gone.
    """
    return _look_at(photo, face, face.roll_rad, _LEAST_CONFIRMED_LARGE)


def _confirm(photo: np.ndarray, candidates: Iterable[Face], least_score: float) -> list[Face]:
    """Return those of the finds that a second look confirms, each once, the largest first."""
    found: list[Face] = []
    for candidate in candidates:
        face = _look_again(photo, candidate, least_score)
        if face is not None and all(overlap(face, other) < _SAME_FACE_OVERLAP for other in found):
            found.append(face)
    return sorted(found, key=lambda face: -face.side_px)


def _as_it_lies(photo: np.ndarray) -> list[Face]:
    far = load_network(FULL_RANGE).detect(photo, least_score=_LEAST_FIND)
    return far or load_network(SHORT_RANGE).detect(photo, least_score=_LEAST_CONFIRMED)


def _unsure(photo: np.ndarray) -> Iterator[Face]:
    for network in (FULL_RANGE, SHORT_RANGE):
        yield from load_network(network).detect(photo, least_score=_LEAST_FIND_LARGE)


def _turned(photo: np.ndarray) -> Iterator[Face]:
    height, width = photo.shape[:2]
    for quarters in (1, 3, 2):
        # Counterclockwise; a point's way back is clockwise.
        for face in _as_it_lies(np.rot90(photo, quarters)):
            yield _turn_back(face, quarters, width=width, height=height)


def _turn_back(face: Face, quarters: int, *, width: int, height: int) -> Face:
    """Return a face of a photo that was turned counterclockwise by quarters, where it lies in the photo itself."""
    maps = {
        1: np.array([[0.0, -1.0, width], [1.0, 0.0, 0.0]]),
        2: np.array([[-1.0, 0.0, width], [0.0, -1.0, height]]),
        3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height]]),
    }
    return _mapped(face, maps[quarters])


def _mapped(face: Face, matrix: np.ndarray) -> Face:
    """Map a face, its box to the upright square of the same centre and length of the sides."""
    left, top, right, bottom = face.box
    x, y = apply_map(matrix, np.array([[(left + right) / 2, (top + bottom) / 2]]))[0].tolist()
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    half_width, half_height = scale * (right - left) / 2, scale * (bottom - top) / 2
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    return replace(face, box=box, points=apply_map(matrix, face.points))


def _tiles(photo: np.ndarray) -> Iterator[Face]:
    height, width = photo.shape[:2]
    network = load_network(FULL_RANGE)
    for number in _TILES_A_SIDE:
        side = min(height, width) // number
        if side < FULL_RANGE.side_px // 2:
            return
        found = False
        for top in _starts(height, side):
            for left in _starts(width, side):
                tile = photo[top : top + side, left : left + side]
                for face in network.detect(tile, least_score=_LEAST_CONFIRMED):
                    found = True
                    yield _mapped(face, np.array([[1.0, 0.0, left], [0.0, 1.0, top]]))
        if found:
            return


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin along an axis, so that each of its places lies in the middle half of one."""
    steps = max(1, int(np.ceil((length - side) / (side * _TILE_OVERLAP))))
    return [round(place) for place in np.linspace(0, length - side, steps + 1)] if length > side else [0]


def _look_again(photo: np.ndarray, face: Face, least_score: float) -> Face | None:
    """Return a find as the network for near faces sees it, upright and from near; None if that sees no face there.

    An unsure one is also looked at upside down: hair is taken for a beard, and a beard for hair.
    """
    seen = _look_at(photo, face, face.roll_rad, least_score)
    if seen is not None and seen.score < _SURE:
        turned = _look_at(photo, face, face.roll_rad + np.pi, least_score)
        return seen if turned is None or turned.score < seen.score else turned
    return seen


def _look_at(photo: np.ndarray, face: Face, roll_rad: float, least_score: float) -> Face | None:
    left, top, right, bottom = face.box
    around = Placement(
        x=(left + right) / 2, y=(top + bottom) / 2, side_px=max(_AROUND * face.side_px, 1.0), roll_rad=roll_rad
    )
    matrix = around.matrix(SHORT_RANGE.side_px)
    square = cut_coarsely(photo, around, SHORT_RANGE.side_px)
    for seen in load_network(SHORT_RANGE).detect(square, least_score=least_score):
        confirmed = _mapped(seen, matrix)
        if overlap(confirmed, face) >= _SAME_FACE_OVERLAP:
            return confirmed
    return None
