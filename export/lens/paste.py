"""Pasting a square's translation back into the photo, turned and resized, along a soft edge.

Only the pixels that the square covers are touched, and of them those outside its mask stay as they are. A square that
is enlarged is turned at its own size and then resized along the axes, row by row: turning it at the photo's size would
take most of the lens's time.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from compress.faces.cut import bounds
from compress.faces.sample import STEP_BITS
from compress.faces.template import Placement, apply_map, invert_map
from export.lens.config import Detail
from export.lens.detail import UNIT_BITS, local_gain
from export.lens.resample import ALL, Enlarged, colours_of, pack, rows_at_once, turn

_CLEAR_PX = 2
"""Pixels along a mask's border that are clear: a filter mixes what lies outside the square into them."""
_WHITE = 255
_LEAST_WITH_DETAIL = 1.2
"""Side of a square, in the model's, up to which the photo's detail beyond the model's size is kept as it is."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that is pasted into."""

    colours: np.ndarray
    """`(height, width, 3)` uint8, changed in place."""
    transparency: np.ndarray | None = None
    """`(height, width)` uint8, never changed; None where all is opaque."""

    def seen(self) -> np.ndarray:
        """Return `(height, width, 3)` uint8: the photo on white, as a generator sees it."""
        if self.transparency is None:
            return self.colours
        image = Image.new("RGB", self.colours.shape[1::-1], "white")
        image.paste(Image.fromarray(self.colours), mask=Image.fromarray(self.transparency))
        return np.asarray(image)


@cache
def feathered_mask(size_px: int, feather: float) -> np.ndarray:
    """Return a square's mask: `(size_px, size_px)` uint8, 255 inside, falling off smoothly to 0 at its border.

    It is made once, and cannot be written to.

    Args:
        size_px: Side, pixels.
        feather: Width of the fall, in shares of the side.
    """
    distance = np.minimum(np.arange(size_px), np.arange(size_px)[::-1]) - _CLEAR_PX + 0.5
    ramp = np.clip(distance / (feather * size_px), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    mask = np.rint(255 * np.outer(ramp, ramp)).astype(np.uint8)
    mask.flags.writeable = False
    return mask


def paste(
    photo: Photo,
    cut_out: np.ndarray,
    translated: np.ndarray,
    placement: Placement,
    mask: np.ndarray,
    *,
    detail: Detail = "none",
    original: np.ndarray | None = None,
) -> None:
    """Paste a square's translation into a photo, in place.

    Of a square that is no larger in the photo than the model's, the photo's pixels hold more than the cut-out only by
    what resampling loses. There the change is pasted, the translation less the cut-out, both resized: where the model
    changes nothing, the photo stays as it is. With detail, that is so for every square.

    Args:
        photo: The photo.
        cut_out: `(size, size, 3)` uint8, what the model saw.
        translated: `(size, size, 3)` uint8, what it made of it.
        placement: Where it was cut out.
        mask: `(size, size)` uint8, from `feathered_mask`.
        detail: What becomes of the photo's detail beyond the model's size, in a larger square.
        original: `(height, width, 3)` uint8, the photo as it was seen before anything was pasted; as it is if None.
    """
    box = _inside(bounds(placement), photo.colours.shape)
    if box is None:
        return
    magnified = placement.side_px / cut_out.shape[0]
    if detail == "none" and magnified > 1:
        (picture,) = _turn([translated], mask, placement, box)
        lay(photo, box, picture)
        return
    picture, before = _turn([translated, cut_out], mask, placement, box)
    gain = None if magnified <= _LEAST_WITH_DETAIL else pack(local_gain(colours_of(before), colours_of(picture)))
    lay(photo, box, picture, Kept(photo.seen() if original is None else original, before, gain))


@dataclass(frozen=True, eq=False)
class Kept:
    """What of a photo is added to the picture that is laid over a part of it: what the model did not see."""

    original: np.ndarray
    """`(height, width, 3)` uint8: all of the photo, on white, before anything was laid over it."""
    before: np.ndarray
    """`(height, width)` of `PIXEL`, 0 to 255: the part as the model saw it, of the picture's size."""
    gain: np.ndarray | None = None
    """The same of what the difference is multiplied by, from `local_gain`; 1 where None."""


def lay(photo: Photo, box: tuple[int, int, int, int], picture: np.ndarray, kept: Kept | None = None) -> None:
    """Lay a picture over a part of a photo, in place; what is smaller than the part is enlarged.

    Args:
        photo: The photo.
        box: Left, top, right and bottom of the part, pixels.
        picture: `(height, width)` of `PIXEL`, 0 to 255: the part's new look, on white where it is transparent, and its
            share, `ALL` for all.
        kept: What of the photo is added to the picture.
    """
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    layers = [picture, *([kept.before] if kept else []), *([kept.gain] if kept and kept.gain is not None else [])]
    enlarged = [Enlarged(layer, height, width) for layer in layers]
    rows = rows_at_once(width)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        widened = [layer.widened(start, stop) for layer in enlarged]
        spans = _spans(widened[0]["share"])
        if not spans:
            continue
        first, last = spans[0][0], spans[-1][1]
        new, *rest = (
            layer.lengthened(piece[:, first:last], start, stop) for layer, piece in zip(enlarged, widened, strict=True)
        )
        if kept:
            new = _with_detail(new, kept.original[top + start : top + stop, left + first : left + last], *rest)
        for begin, end, is_all in spans:
            place = np.s_[top + start : top + stop, left + begin : left + end]
            piece = new[:, 3 * (begin - first) : 3 * (end - first)]
            if is_all and photo.transparency is None:
                photo.colours[place] = piece.reshape(stop - start, end - begin, 3)
            else:
                part = Photo(photo.colours[place], None if photo.transparency is None else photo.transparency[place])
                _lay_rows(part, piece, enlarged[0].shares(widened[0][:, begin:end], start, stop))


def _spans(shares: np.ndarray) -> list[tuple[int, int, bool]]:
    """Return the columns of some rows in which there is something to lay: from, to, and whether it covers all there.

    Args:
        shares: `(rows, columns)`, 0 to 128; the columns in which all are 128 are taken apart where they are neighbours.
    """
    touched, covered = np.flatnonzero(shares.max(axis=0)), np.flatnonzero(shares.min(axis=0) == ALL)
    if not len(touched):
        return []
    first, last = int(touched[0]), int(touched[-1]) + 1
    start, stop = (int(covered[0]), int(covered[-1]) + 1) if len(covered) else (last, last)
    if stop - start != len(covered):
        start = stop = last
    spans = (first, start, False), (start, stop, True), (stop, last, False)
    return [(begin, end, is_all) for begin, end, is_all in spans if begin < end]


def _with_detail(
    new: np.ndarray, original: np.ndarray, before: np.ndarray, gain: np.ndarray | None = None
) -> np.ndarray:
    """Return some rows of the picture with the photo's detail: `(rows, 3 * width)` int16, 0 to 255."""
    detail = original.reshape(new.shape) - before
    if gain is not None:
        detail *= gain
        detail += 1 << (UNIT_BITS - 1)
        detail >>= UNIT_BITS
    detail += new
    return np.clip(detail, 0, _WHITE, out=detail)


def _lay_rows(part: Photo, new: np.ndarray, shares: np.ndarray) -> None:
    """Blend rows, `(rows, 3 * width)` int16, into a part of a photo, in place; the shares are 0 to 128."""
    change = new - part.seen().reshape(new.shape)
    change *= shares
    if part.transparency is not None:
        change = _through(part.transparency, change)
    change += ALL // 2
    change >>= STEP_BITS
    change += part.colours.reshape(new.shape)
    part.colours[...] = np.clip(change, 0, _WHITE, out=change).reshape(part.colours.shape)


def _through(transparency: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return by how much colours have to change for a change to be seen: half transparent ones twice as much.

    Nothing changes that cannot be seen.
    """
    opacity = np.repeat(transparency, 3, axis=1)
    largest = _WHITE * ALL
    needed = change.astype(np.int32) * _WHITE // np.maximum(opacity, 1)
    return np.clip(needed, -largest, largest).astype(np.int16) * (opacity > 0)


def _inside(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the part of a box that lies in a photo; None where it lies outside."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], shape[1]), min(box[3], shape[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _turn(
    pictures: list[np.ndarray], mask: np.ndarray, placement: Placement, box: tuple[int, int, int, int]
) -> list[np.ndarray]:
    """Turn a square's pictures to the photo's axes, over a part of the photo.

    Args:
        pictures: `(size, size, 3)` uint8 each, one or two.
        mask: `(size, size)` uint8.
        placement: Where the square lies.
        box: Left, top, right and bottom of the part, pixels.

    Returns:
        The pictures, `(height, width)` of `PIXEL` each, with the mask for a share: of the part's size, or smaller by
        what the square is enlarged in the photo. Beside the square, its border goes on.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    scale = len(mask) / placement.side_px
    # A square that is enlarged is turned at its own scale, one that is shrunk at the photo's, near which it is brought.
    across, down = (max(1, round(side * min(scale, 1.0))) for side in (width, height))
    # From places in the picture turned at the square's own scale to the photo's, and to the square's.
    to_photo = np.array([[width / across, 0, left], [0, height / down, top]])
    back = invert_map(placement.matrix(len(mask)))
    matrix = np.concatenate([back[:, :2] @ to_photo[:, :2], apply_map(back, to_photo[:, 2:].T).T], axis=1)
    if (shrink := round(scale)) > 1:
        *pictures, mask = (np.asarray(Image.fromarray(layer).reduce(shrink)) for layer in (*pictures, mask))
        matrix = matrix / shrink
    return turn(pictures, mask, matrix, down, across)
