"""Pasting a square's translation back into the photo, turned and resized, along a soft edge.

Only the pixels that the square covers are touched, and of them those outside its mask stay as they are. A square that
is enlarged is turned at its own size and then resized along the axes: to turn it at the photo's takes twice as long.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from compress.faces.cut import bounds
from compress.faces.template import Placement, apply_map, invert_map
from compress.faces.warp import load_opencv, resize, shrink, warp
from export.lens.config import Detail
from export.lens.detail import UNIT_BITS, local_gain

_CLEAR_PX = 2
"""Pixels along a mask's border that are clear: a filter mixes what lies outside the square into them."""
_WHITE = 255
_AT_ONCE = 1 << 15
"""Pixels that are blended at once: larger arrays cost more to get from the system than to fill."""
_NO_GAIN = 128
"""A gain of 0 as a byte, in which the largest, 2, becomes 1.98."""
_LEAST_WITH_DETAIL = 1.2
"""Side of a square, in the model's, up to which the photo's detail beyond the model's size is kept as it is."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that is pasted into."""

    colours: np.ndarray
    """`(height, width, 3)` uint8, changed in place."""
    transparency: np.ndarray | None = None
    """`(height, width)` uint8, never changed; None where all is opaque."""

    def part(self, place: tuple[slice, slice]) -> "Photo":
        """Return a part of it; what is changed there changes in it."""
        return Photo(self.colours[place], None if self.transparency is None else self.transparency[place])

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
    picture = _turn(np.dstack([translated, mask]), placement, box)
    if detail == "none" and magnified > 1:
        lay(photo, box, picture)
        return
    before = _colours(_turn(_opaque(cut_out), placement, box))
    gain = None if magnified <= _LEAST_WITH_DETAIL else local_gain(before, _colours(picture))
    lay(photo, box, picture, Kept(photo.seen() if original is None else original, before, gain))


@dataclass(frozen=True, eq=False)
class Kept:
    """What of a photo is added to the picture that is laid over a part of it: what the model did not see."""

    original: np.ndarray
    """`(height, width, 3)` uint8: all of the photo, on white, before anything was laid over it."""
    before: np.ndarray
    """`(height, width, 3)` uint8: the part as the model saw it, of the picture's size."""
    gain: np.ndarray | None = None
    """`(height, width, 3)` int16 of what the difference is multiplied by, from `local_gain`; 1 where None."""


def lay(photo: Photo, box: tuple[int, int, int, int], picture: np.ndarray, kept: Kept | None = None) -> None:
    """Lay a picture over a part of a photo, in place; what is smaller than the part is enlarged.

    Args:
        photo: The photo.
        box: Left, top, right and bottom of the part, pixels.
        picture: `(height, width, 4)` uint8: the part's new look, on white where it is transparent, and its share.
        kept: What of the photo is added to the picture.
    """
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    enlarged = resize(picture, height, width)
    unseen = _unseen_layers(kept, box) if kept else []
    rows = max(1, _AT_ONCE // width)
    for start in range(0, height, rows):
        band = slice(start, min(start + rows, height))
        new = _colours(enlarged[band])
        if unseen:
            new = _with_detail(new, *(layer[band] for layer in unseen))
        part = photo.part(np.s_[top + band.start : top + band.stop, left:right])
        _blend(part, new, enlarged[band][..., 3])


def _unseen_layers(kept: Kept, box: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Return what `_with_detail` takes beside the picture, over all of a part: original, before, and gain if any."""
    left, top, right, bottom = box
    small = [kept.before, *([] if kept.gain is None else [_bytes(kept.gain)])]
    enlarged = [resize(_opaque(layer), bottom - top, right - left) for layer in small]
    return [kept.original[top:bottom, left:right], *enlarged]


def _with_detail(
    new: np.ndarray, original: np.ndarray, before: np.ndarray, gain: np.ndarray | None = None
) -> np.ndarray:
    """Return some rows of the picture with the photo's detail: `(rows, width, 3)` int16, 0 to 255."""
    detail = np.subtract(original, _colours(before), dtype=np.int16)
    if gain is not None:
        detail *= _colours(gain).astype(np.int16) - _NO_GAIN
        detail += 1 << (UNIT_BITS - 1)
        detail >>= UNIT_BITS
    detail += new
    return np.clip(detail, 0, _WHITE, out=detail)


def _bytes(gain: np.ndarray) -> np.ndarray:
    """Return int16 gains as bytes, which are enlarged in a third of the time."""
    return np.clip(gain + _NO_GAIN, 0, 255).astype(np.uint8)


def _blend(part: Photo, new: np.ndarray, share: np.ndarray) -> None:
    """Blend a picture, `(height, width, 3)`, into a part of a photo, in place; 255 is the whole share."""
    cv2 = load_opencv()
    change = np.subtract(new, part.seen(), dtype=np.int16)
    shares = cv2.cvtColor(share, cv2.COLOR_GRAY2BGR).astype(np.int16)
    if part.transparency is not None:
        change = _through(part.transparency, change)
    change = cv2.multiply(change, shares, scale=1 / _WHITE)
    change += part.colours
    part.colours[...] = change if part.transparency is None else np.clip(change, 0, _WHITE)


def _through(transparency: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return by how much colours have to change for a change to be seen: half transparent ones twice as much.

    Nothing changes that cannot be seen.
    """
    opacity = transparency[..., np.newaxis]
    needed = change.astype(np.int32) * _WHITE // np.maximum(opacity, 1)
    return np.clip(needed, -_WHITE, _WHITE).astype(np.int16) * (opacity > 0)


def _inside(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the part of a box that lies in a photo; None where it lies outside."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], shape[1]), min(box[3], shape[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _turn(picture: np.ndarray, placement: Placement, box: tuple[int, int, int, int]) -> np.ndarray:
    """Turn a square's picture to the photo's axes, over a part of the photo.

    Args:
        picture: `(size, size, 4)` uint8.
        placement: Where the square lies.
        box: Left, top, right and bottom of the part, pixels.

    Returns:
        The same over the part, of its size, or smaller by what the square is enlarged in the photo. Beside the square,
        its border goes on.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    scale = len(picture) / placement.side_px
    # A square that is enlarged is turned at its own scale, one that is shrunk at the photo's, near which it is brought.
    across, down = (max(1, round(side * min(scale, 1.0))) for side in (width, height))
    # From places in the picture turned at the square's own scale to the photo's, and to the square's.
    to_photo = np.array([[width / across, 0, left], [0, height / down, top]])
    back = invert_map(placement.matrix(len(picture)))
    matrix = np.concatenate([back[:, :2] @ to_photo[:, :2], apply_map(back, to_photo[:, 2:].T).T], axis=1)
    if (factor := round(scale)) > 1:
        picture, matrix = shrink(picture, factor), matrix / factor
    return warp(picture, matrix, down, across)


def _opaque(colours: np.ndarray) -> np.ndarray:
    """Return `(height, width, 4)` of three channels: OpenCV samples four in less than half of the time."""
    cv2 = load_opencv()
    return cv2.cvtColor(colours, cv2.COLOR_BGR2BGRA)


def _colours(picture: np.ndarray) -> np.ndarray:
    """Return the first three channels of `(height, width, 4)`, contiguous."""
    cv2 = load_opencv()
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR)
