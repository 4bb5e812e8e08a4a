"""One BlazeFace network: a photo in, faces out.

The network sees the photo in a square, scaled to fit, the rest black. Each anchor, a cell's centre, gives a logit and
16 numbers: the box's centre and size, and six key points, all but the size as offsets from the anchor, in pixels of
that square. Overlapping finds are one face, the mean of them weighted by score.

Source: Bazarevsky et al. 2019, BlazeFace, arXiv:1907.05047.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from compress.faces.cut import thin
from compress.faces.face import Face
from compress.faces.warp import resize
from compress.images import to_float

_SAME_FACE_OVERLAP = 0.3
_POINTS = 6
_SPARE = 2
"""A photo is thinned out to no less than so many pixels for each of the network's, before it is resized."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A file, and what its outputs mean."""

    file: str
    sha256: str
    side_px: int
    anchors: tuple[tuple[int, int], ...]
    """Grids of anchors in the order of the outputs: pixels between cells, anchors a cell."""


SHORT_RANGE = Network(
    file="short_range.tflite",
    sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    side_px=128,
    anchors=((8, 2), (16, 6)),
)
"""For faces that fill a fifth of the picture and more, as a phone's front camera sees them."""
FULL_RANGE = Network(
    file="full_range_sparse.tflite",
    sha256="671dd2f9ed11a78436fc21cc42357a803dfc6f73e9fb86541be942d5716c2dce",
    side_px=192,
    anchors=((4, 1),),
)
"""For faces as far as five metres away."""


class BlazeFace:
    """A loaded network, on one thread."""

    def __init__(self, network: Network) -> None:
        from ai_edge_litert.interpreter import Interpreter

        content = resources.files("compress.faces.blazeface").joinpath(network.file).read_bytes()
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = sorted(self._interpreter.get_output_details(), key=lambda detail: -int(detail["shape"][-1]))
        self._regressors, self._logits = (detail["index"] for detail in outputs)
        self._side_px = network.side_px
        self._anchors = _anchors(network)

    def detect(self, photo: np.ndarray, *, least_score: float) -> list[Face]:
        """Find faces in a photo.

        Args:
            photo: `(height, width, 3)` uint8 sRGB.
            least_score: Least probability of a find, between 0 and 1.

        Returns:
            The faces, in pixels of the photo, the surest first.
        """
        square, scale, margins = letterbox(photo, self._side_px)
        self._interpreter.set_tensor(self._input, to_float(square)[np.newaxis])
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._logits)[0, :, 0]
        found = np.flatnonzero(logits > np.log(least_score / (1 - least_score)))
        if not len(found):
            return []
        scores = 1 / (1 + np.exp(-logits[found].astype(np.float64)))
        numbers = self._interpreter.get_tensor(self._regressors)[0, found].astype(np.float64)
        places = _decode(numbers, self._anchors[found])
        return merge_finds((places - margins) / scale, scores)


@cache
def load_network(network: Network) -> BlazeFace:
    """Return a network, loaded once."""
    return BlazeFace(network)


def letterbox(photo: np.ndarray, side_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a photo into the middle of a black square.

    Returns:
        The square; its pixels for each of the photo's, and the margin before the photo, along x and y.
    """
    height, width = photo.shape[:2]
    fit = side_px / max(height, width)
    across, down = (max(1, round(side * fit)) for side in (width, height))
    # Of a large photo, the filter would look at every pixel.
    thinned = thin(photo, max(1, int(1 / fit) // _SPARE))
    left, top = (side_px - across) // 2, (side_px - down) // 2
    square = np.zeros((side_px, side_px, 3), np.uint8)
    square[top : top + down, left : left + across] = resize(thinned, down, across)
    return square, np.array([across / width, down / height]), np.array([left, top])


def merge_finds(places: np.ndarray, scores: np.ndarray) -> list[Face]:
    """Take overlapping finds for one face: the mean of them, weighted by score.

    Args:
        places: `(finds, 8, 2)`: the box's upper left and lower right corner, and six key points.
        scores: `(finds,)`, 0 to 1.

    Returns:
        The faces, the surest first; a face's score is that of its surest find.
    """
    faces = []
    left = np.argsort(-scores)
    while len(left):
        shared = _overlaps(places[left[0], :2], places[left, :2]) > _SAME_FACE_OVERLAP
        # A box of no area overlaps not even itself.
        shared[0] = True
        same = left[shared]
        mean = np.average(places[same], axis=0, weights=scores[same])
        (x0, y0), (x1, y1) = mean[:2].tolist()
        faces.append(Face(score=float(scores[left[0]]), box=(x0, y0, x1, y1), points=mean[2:]))
        left = left[~shared]
    return faces


def _anchors(network: Network) -> np.ndarray:
    """Return `(anchors, 2)` centres of cells, pixels, x first, in the order of the network's outputs."""
    return np.concatenate([_centres(network.side_px // stride, stride, each) for stride, each in network.anchors])


def _centres(cells: int, stride: int, each: int) -> np.ndarray:
    axis = (np.arange(cells) + 0.5) * stride
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return np.repeat(grid, each, axis=0)


def _decode(numbers: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return `(finds, 8, 2)` places in pixels of the network's square: two corners and six key points."""
    pairs = numbers.reshape(-1, 2 + _POINTS, 2)
    centre, half = pairs[:, 0] + anchors, pairs[:, 1] / 2
    return np.concatenate(
        [(centre - half)[:, np.newaxis], (centre + half)[:, np.newaxis], pairs[:, 2:] + anchors[:, np.newaxis]], axis=1
    )


def _overlaps(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over the union of a box `(2, 2)` with each of `(boxes, 2, 2)`."""
    sides = np.minimum(one[1], others[:, 1]) - np.maximum(one[0], others[:, 0])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = np.clip(others[:, 1] - others[:, 0], 0, None).prod(axis=1)
    union = np.clip(one[1] - one[0], 0, None).prod() + areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
