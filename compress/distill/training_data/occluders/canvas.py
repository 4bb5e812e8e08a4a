"""A transparent picture that is drawn on in lengths of a face, so that an occluder fits whatever face it covers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from compress.faces.template import AlignmentTemplate

Colour = tuple[int, int, int]
_SUPERSAMPLING = 3
"""Side of the square of drawn pixels that one pixel is averaged over."""
_JITTER = 0.015
"""Deviation of a face's eyes from where their template puts them, as a share of the square's side."""


@dataclass(frozen=True)
class FacePlace:
    """Where a face lies in a square image; lengths are shares of its side."""

    eyes: tuple[float, float]
    """The middle of the eyes, from the left and from the top."""
    eye_distance: float
    roll_rad: float
    """Angle of the line through the eyes, positive clockwise."""

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Map `(points, 2)` from eye distances, right and down of the middle of the eyes, to shares of the side."""
        cosine, sine = math.cos(self.roll_rad), math.sin(self.roll_rad)
        turned = points @ np.array([[cosine, sine], [-sine, cosine]])
        return turned * self.eye_distance + np.array(self.eyes)


def draw_face_place(random: np.random.Generator, alignment: AlignmentTemplate | None) -> FacePlace:
    """Draw where a face lies: as the template says beside some jitter, else anywhere that a portrait's face may be."""
    if alignment is None:
        eyes = (random.uniform(0.3, 0.7), random.uniform(0.3, 0.55))
        return FacePlace(eyes, random.uniform(0.14, 0.28), random.normal(0.0, 0.12))
    eyes = (alignment.eyes_x + random.normal(0.0, _JITTER), alignment.eyes_y + random.normal(0.0, _JITTER))
    roll_rad = random.normal(0.0, 0.03 if alignment.level_eyes else 0.12)
    return FacePlace(eyes, alignment.eye_distance * random.uniform(0.92, 1.08), roll_rad)


class Canvas:
    """Draws polygons and strokes at several times the image's size; points are `(points, 2)` in eye distances."""

    def __init__(self, size_px: int, place: FacePlace) -> None:
        """Start without a mark.

        Args:
            size_px: Side of the image that the drawing will be pasted over.
            place: Where its face lies.
        """
        side = size_px * _SUPERSAMPLING
        self._side, self._place = side, place
        self._drawn = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._drawn)

    def to_canvas(self, image_point: tuple[float, float]) -> np.ndarray:
        """Return where a point of the image, shares of its side, lies in eye distances."""
        cosine, sine = math.cos(self._place.roll_rad), math.sin(self._place.roll_rad)
        moved = (np.array(image_point) - self._place.eyes) / self._place.eye_distance
        return moved @ np.array([[cosine, -sine], [sine, cosine]])

    def polygon(self, points: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Fill a polygon; what lay beneath is replaced, not blended with, also where `alpha` is below 1."""
        corners = self._place.to_image(points) * self._side
        self._draw.polygon([tuple(corner) for corner in corners.tolist()], fill=(*colour, round(255 * alpha)))

    def stroke(self, points: np.ndarray, widths: float | Sequence[float] | np.ndarray, colour: Colour) -> None:
        """Draw a line with round ends and joints, of one width in eye distances or of one at each point."""
        corners = self._place.to_image(points) * self._side
        radii = np.broadcast_to(widths, len(points)) * (self._place.eye_distance * self._side / 2)
        fill = (*colour, 255)
        for (x, y), radius in zip(corners.tolist(), radii.tolist(), strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        for start, end, first, last in zip(corners, corners[1:], radii, radii[1:], strict=False):
            along = end - start
            length = math.hypot(*along)
            if length:
                across = np.array([-along[1], along[0]]) / length
                sides = (start + across * first, end + across * last, end - across * last, start - across * first)
                self._draw.polygon([tuple(corner) for corner in np.stack(sides).tolist()], fill=fill)

    def layer(self) -> np.ndarray:
        """Return the drawing at the image's size: `(size_px, size_px, 4)` uint8, colours and opacity."""
        return np.asarray(self._drawn.reduce(_SUPERSAMPLING))


def ellipse(centre: tuple[float, float], half_width: float, half_height: float, power: float = 2.0) -> np.ndarray:
    """Return the `(48, 2)` outline of a superellipse: an ellipse by `power` 2, nearer to its rectangle above that."""
    angles = np.linspace(0.0, 2 * math.pi, 48, endpoint=False)
    wave = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.sign(wave) * np.abs(wave) ** (2 / power) * (half_width, half_height) + centre


def curve(start: np.ndarray, bend: np.ndarray, end: np.ndarray, points: int = 12) -> np.ndarray:
    """Return `(points, 2)` of the quadratic Bézier curve from `start` to `end`, pulled to `bend`."""
    share = np.linspace(0.0, 1.0, points)[:, None]
    return (1 - share) ** 2 * start + 2 * share * (1 - share) * bend + share**2 * end


def shade(colour: Colour | np.ndarray, factor: float) -> Colour:
    """Return a colour that is brighter or darker by a factor."""
    red, green, blue = np.clip(np.asarray(colour) * factor, 0, 255).astype(int).tolist()
    return red, green, blue


def mix(random: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """Draw a colour between two neighbours of a row of colours."""
    place = random.uniform(0, len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    between = (1 - (place - first)) * np.array(colours[first]) + (place - first) * np.array(colours[first + 1])
    return shade(between, 1.0)
