"""The lens itself: a loaded model and a template; a photo in, the photo with its faces translated out."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from compress.errors import UsageError
from compress.faces.cut import cut
from compress.faces.face import Face, choose_faces
from compress.faces.find import find_faces
from compress.faces.template import AlignmentTemplate, Placement, place_face
from compress.images import to_uint8
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.alignment import find_template
from export.lens.config import LensConfig
from export.lens.detail import local_gain
from export.lens.paste import Kept, Photo, feathered_mask, lay, paste
from export.translator import Translator, open_translator

FindFaces = Callable[[np.ndarray], list[Face]]
"""Finds the faces of a `(height, width, 3)` uint8 photo, the largest first."""
_LEAST_OVERLAP = 0.25
"""Overlap of the squares that a whole photo is translated in, in shares of their side."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A model, where a face has to lie for it, and what of a photo is translated."""

    translate: Translator
    size_px: int
    """Side of the square that the model takes."""
    template: AlignmentTemplate
    config: LensConfig
    find: FindFaces = find_faces

    def apply(self, photo: Photo) -> int:
        """Translate a photo, in place.

        Returns:
            How many faces were translated, or 1 for a whole photo; where it is 0, the photo is as it was.
        """
        if self.config.region == "whole":
            self.translate_whole(photo)
            return 1
        faces = choose_faces(self.find(photo.seen()), every=self.config.all, nth=self.config.nth)
        self.translate_squares(photo, [place_face(face, self.template) for face in faces])
        return len(faces)

    def translate_squares(self, photo: Photo, placed: Sequence[Placement]) -> None:
        """Translate the squares of a photo in which faces lie, in place."""
        seen = photo.seen()
        # Neighbours may overlap: none is cut out of what was pasted.
        if len(placed) > 1:
            seen = seen.copy()
        mask = feathered_mask(self.size_px, self.config.feather)
        for placement in placed:
            square = cut(seen, placement, self.size_px)
            made = to_uint8(self.translate(square))
            paste(photo, square, made, placement, mask, detail=self.config.detail, original=seen)

    def translate_whole(self, photo: Photo) -> None:
        """Translate a photo in squares of its shorter side, each fading into the one before where they overlap."""
        seen = photo.seen().copy()
        height, width = seen.shape[:2]
        side, is_wide = min(height, width), width > height
        last_end = 0
        for start in _starts(max(height, width), side):
            box = (start, 0, start + side, side) if is_wide else (0, start, side, start + side)
            ramp = _ramp(side, last_end - start)
            weight = np.broadcast_to(ramp if is_wide else ramp[:, np.newaxis], (side, side))
            self._translate_square(photo, seen, weight, box)
            last_end = start + side

    def _translate_square(
        self, photo: Photo, original: np.ndarray, weight: np.ndarray, box: tuple[int, int, int, int]
    ) -> None:
        """Translate an upright square of a photo, in place; `weight` is the translation's share in it, uint8."""
        part = original[box[1] : box[3], box[0] : box[2]]
        square = _resized(part, self.size_px, Image.Resampling.LANCZOS)
        made = to_uint8(self.translate(square))
        # What is larger in the photo is enlarged there.
        size = min(self.size_px, len(part))
        picture, before, share = (_resized(layer, size, Image.Resampling.BICUBIC) for layer in (made, square, weight))
        laid = np.dstack([picture, share])
        if self.config.detail == "none":
            lay(photo, box, laid)
        else:
            lay(photo, box, laid, Kept(original, before, local_gain(before, picture)))


def open_lens(model: Path, config: LensConfig, *, reading: ReadingConfig = AS_FOUND) -> Lens:
    """Open a model as a lens; where it records no template, the default one is taken, and said.

    Args:
        model: An artifact, a `.tflite` file, or any teacher's file.
        config: What of a photo is translated.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If the model takes pictures that are not square, or the size does not fit it or is missing.
        UnusableInput: If the model or its template cannot be used.
    """
    translate, (height, width) = open_translator(model, config.translation, reading)
    if height != width:
        raise UsageError(f"{model} takes {height}x{width} images; expected a model of square ones.")
    template = find_template(model)
    if template is None and config.region == "face":
        _log.warning(
            "%s records no alignment, as what was trained on faces from compress data faces does: they are placed by "
            "the default template",
            model,
        )
    return Lens(translate=translate, size_px=height, template=template or AlignmentTemplate(), config=config)


def _starts(length: int, side: int) -> list[int]:
    """Return where squares begin along the longer side, evenly, from one end to the other."""
    count = 1 + int(np.ceil((length - side) / (side * (1 - _LEAST_OVERLAP))))
    return [round(place) for place in np.linspace(0, length - side, count)]


def _resized(picture: np.ndarray, side: int, resampling: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((side, side), resampling))


def _ramp(side: int, overlap: int) -> np.ndarray:
    """Return `(side,)` uint8 weights that rise from 0 over an overlap; 255 behind it."""
    rise = (np.arange(side) + 0.5) / overlap if overlap > 0 else np.ones(side)
    return np.rint(255 * np.clip(rise, 0, 1)).astype(np.uint8)
