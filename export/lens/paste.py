"""Pasting a square's translation back into the photo, turned and resized, along a soft edge.

Only the pixels that the square covers are touched, and of them those outside its mask stay as they are. A square that
is enlarged is turned at its own size and then resized along the axes: Pillow takes a fifth of the time that it takes to
turn it at the photo's size.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from compress.faces.cut import bounds
from compress.faces.template import Placement, apply_map, invert_map

_CLEAR_PX = 2
"""Pixels along a mask's border that are clear: a filter mixes what lies outside the square into them."""
_WHITE = 255


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


def feathered_mask(size_px: int, feather: float) -> np.ndarray:
    """Return a square's mask: `(size_px, size_px)` uint8, 255 inside, falling off smoothly to 0 at its border.

    Args:
        size_px: Side, pixels.
        feather: Width of the fall, in shares of the side.
    """
    distance = np.minimum(np.arange(size_px), np.arange(size_px)[::-1]) - _CLEAR_PX + 0.5
    ramp = np.clip(distance / (feather * size_px), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.rint(255 * np.outer(ramp, ramp)).astype(np.uint8)


def paste(photo: Photo, cut_out: np.ndarray, translated: np.ndarray, placement: Placement, mask: np.ndarray) -> None:
    """Paste a square's translation into a photo, in place.

    Of a square that is no larger in the photo than the model's, the photo's pixels hold more than the cut-out only by
    what resampling loses. There the change is pasted, the translation less the cut-out, both resized: where the model
    changes nothing, the photo stays as it is.

    Args:
        photo: The photo.
        cut_out: `(size, size, 3)` uint8, what the model saw.
        translated: `(size, size, 3)` uint8, what it made of it.
        placement: Where it was cut out.
        mask: `(size, size)` uint8, from `feathered_mask`.
    """
    box = _inside(bounds(placement), photo.colours.shape)
    if box is None:
        return
    picture = _put(translated, placement, box, Image.Resampling.BICUBIC)
    weight = _put(mask, placement, box, Image.Resampling.BILINEAR)
    if placement.side_px <= cut_out.shape[0]:
        before = _put(cut_out, placement, box, Image.Resampling.BICUBIC)
        _add_change(photo, box, np.asarray(picture).astype(np.int16) - np.asarray(before), weight)
    else:
        blend(photo, picture, weight, box)


def blend(photo: Photo, picture: Image.Image, weight: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Blend a picture into a part of a photo, in place.

    Args:
        photo: The photo.
        picture: RGB, of the part's size: the photo's new look, on white where it is transparent.
        weight: Greyscale, of the part's size: the picture's share, 255 for all.
        box: Left, top, right and bottom of the part, pixels.
    """
    left, top, right, bottom = box
    part = photo.colours[top:bottom, left:right]
    if photo.transparency is None:
        blended = Image.fromarray(part)
        blended.paste(picture, mask=weight)
        part[...] = np.asarray(blended)
        return
    part_seen = Photo(part, photo.transparency[top:bottom, left:right]).seen()
    _add_change(photo, box, np.asarray(picture).astype(np.int16) - part_seen, weight)


def _add_change(photo: Photo, box: tuple[int, int, int, int], change: np.ndarray, weight: Image.Image) -> None:
    """Add a change of what is seen, `(height, width, 3)` int16, to a part of a photo.

    Where the photo is half transparent, its colours have to change twice as much to be seen to change.
    """
    left, top, right, bottom = box
    part = photo.colours[top:bottom, left:right]
    share = np.asarray(weight, dtype=np.float32) / 255
    if photo.transparency is not None:
        opacity = photo.transparency[top:bottom, left:right].astype(np.float32) / 255
        share = np.divide(share, opacity, out=np.zeros_like(share), where=opacity > 0)
    changed = part + change * share[..., np.newaxis]
    part[...] = np.clip(np.rint(changed), 0, _WHITE).astype(np.uint8)


def _inside(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the part of a box that lies in a photo; None where it lies outside."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], shape[1]), min(box[3], shape[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _put(
    square: np.ndarray, placement: Placement, box: tuple[int, int, int, int], resampling: Image.Resampling
) -> Image.Image:
    """Return what covers a part of the photo when a square is put where it is placed; 0 beside it."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    scale = square.shape[0] / placement.side_px
    # A square that is enlarged is turned at its own scale, one that is shrunk at the photo's, near which it is brought.
    turned_at = min(scale, 1.0)
    across, down = max(1, round(width * turned_at)), max(1, round(height * turned_at))
    # From places in the picture turned at the square's own scale to the photo's, and to the square's.
    to_photo = np.array([[width / across, 0, left], [0, height / down, top]])
    back = invert_map(placement.matrix(square.shape[0]))
    matrix = np.concatenate([back[:, :2] @ to_photo[:, :2], apply_map(back, to_photo[:, 2:].T).T], axis=1)
    image = Image.fromarray(square)
    if (shrink := round(scale)) > 1:
        image, matrix = image.reduce(shrink), matrix / shrink
    turned = image.transform((across, down), Image.Transform.AFFINE, tuple(matrix.ravel()), resampling)
    return turned if turned.size == (width, height) else turned.resize((width, height), resampling)
