"""The pictures that a page offers to who has no camera."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from compress.data.avatars import draw_avatar
from compress.data.folders import list_photos_to_translate
from compress.images import read_layers

_MOST = 6
_LONGEST_SIDE_PX = 960
_QUALITY = 85
_AVATAR_PX, _FRAME_PX = 400, (640, 480)
_PEOPLE = (("s8", "A"), ("s13", "A"), ("third", "B"))


@dataclass(frozen=True)
class Sample:
    """A picture of a page."""

    content: bytes
    """A JPEG file."""
    alt: str
    """What it shows, for who cannot see it."""


def load_samples(folder: Path | None) -> list[Sample]:
    """Load the pictures of a folder, made small and freed of all but their pixels; or draw some.

    Raises:
        UnusableData: If the folder holds no photo, or a broken one.
    """
    if folder is None:
        return [_draw(person, domain) for person, domain in _PEOPLE]
    return [
        Sample(_encode(_on_white(path)), f"Picture {number}")
        for number, path in enumerate(list_photos_to_translate(folder)[:_MOST], 1)
    ]


def _draw(person: str, domain: str) -> Sample:
    """Draw a person by DiceBear, as `compress data avatars` does, in the middle of a wider picture."""
    avatar = draw_avatar(person, "A" if domain == "A" else "B", _AVATAR_PX)
    width, height = _FRAME_PX
    frame = Image.new("RGB", _FRAME_PX, tuple(avatar[0, 0].tolist()))
    frame.paste(Image.fromarray(avatar), ((width - _AVATAR_PX) // 2, height - _AVATAR_PX))
    return Sample(_encode(frame), f"A drawn {'man' if domain == 'A' else 'woman'}")


def _on_white(path: Path) -> Image.Image:
    colours, transparency = read_layers(path)
    image = Image.fromarray(colours)
    if transparency is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=Image.fromarray(np.asarray(transparency)))
        image = white
    image.thumbnail((_LONGEST_SIDE_PX, _LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
    return image


def _encode(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, format="JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()
