"""`compress lens photo` and `compress lens folder`: photos in, the same photos with translated faces out."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from compress.console.progress import progress
from compress.data.folders import list_photos_to_translate
from compress.errors import UsageError
from compress.files.atomic import atomic_dir, atomic_file, refuse_existing
from compress.files.ownership import GENERATOR
from compress.images import Layers, read_each_layers, read_layers, require_distinct_stems
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.lens.config import LensConfig
from export.lens.lens import Lens, open_lens
from export.lens.paste import Photo

_log = logging.getLogger(__name__)


def translate_photo(
    model: Path,
    photo: Path,
    out: Path,
    config: LensConfig,
    *,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Translate the faces of a photo in their place.

    Args:
        model: An artifact, a `.tflite` file, or any teacher's file.
        photo: The photo; turned upright, and in sRGB, as everywhere.
        out: The PNG file to write, of the photo's size: outside the faces' masks its pixels are the photo's own.
        config: Which faces, and how they are pasted.
        reading: What the user says about the teacher's file.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: the file, how many faces were translated (1 for a whole photo), height and width.

    Raises:
        UsageError: If `out` exists, is a folder or no PNG, or the image size does not fit the model or is missing.
        UnusableInput: If the model or the photo cannot be used.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: expected a name that ends in .png, which keeps every pixel as it is.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; expected a file. Pass another --out.")
    refuse_existing(out, overwrite=overwrite)
    lens = open_lens(model, config, reading=reading)
    picture, count = _apply(lens, read_layers(photo))
    with atomic_file(out, overwrite=overwrite) as partial:
        _write(partial, picture)
    if not count:
        _log.warning("%s: no face to translate was found; it is written as it was", photo)
    return {"out": str(out), "translated": count, "height_px": picture.shape[0], "width_px": picture.shape[1]}


def translate_folder(
    model: Path,
    photos: Path,
    out: Path,
    config: LensConfig,
    *,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Translate the faces of each photo of a folder in their place, as `translate_photo` does.

    Args:
        model: See `translate_photo`.
        photos: A folder of photos, or a data set, whose test photos are taken; broken ones are named and skipped.
        out: The folder to write: for each photo a PNG of the same stem.
        config: See `translate_photo`.
        reading: See `translate_photo`.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: numbers of photos that were written and skipped, of translated faces, and of photos without one.

    Raises:
        UsageError: See `translate_photo`.
        UnusableInput: See `translate_photo`; or more than 1 % of the photos are broken.
    """
    refuse_existing(out, overwrite=overwrite)
    paths = list_photos_to_translate(photos)
    require_distinct_stems(paths)
    lens = open_lens(model, config, reading=reading)
    counts: list[int] = []
    with atomic_dir(out, overwrite=overwrite) as scratch:
        for path, layers in progress(read_each_layers(paths), total=len(paths), name="lens", unit="photo"):
            picture, count = _apply(lens, layers)
            _write(scratch / f"{path.stem}.png", picture)
            if not count:
                _log.warning("%s: no face to translate was found; it is written as it was", path)
            counts.append(count)
    return {
        "out": str(out),
        "photos": len(counts),
        "skipped": len(paths) - len(counts),
        "translated": sum(counts),
        "without_face": counts.count(0),
    }


def _apply(lens: Lens, layers: Layers) -> tuple[np.ndarray, int]:
    """Return a photo's translation, RGB or RGBA, beside the photo where that is asked for, and the number of faces."""
    colours, transparency = layers
    original = colours.copy() if lens.config.side_by_side else None
    count = lens.apply(Photo(colours, transparency))
    pictures = [colours] if original is None else [original, colours]
    if transparency is not None:
        pictures = [np.dstack([each, transparency]) for each in pictures]
    return np.concatenate(pictures, axis=1), count


def _write(file: Path, picture: np.ndarray) -> None:
    """Write a PNG that says who wrote it, so that --overwrite may replace it."""
    signature = PngInfo()
    signature.add_text("Software", GENERATOR)
    Image.fromarray(picture).save(file, format="PNG", compress_level=1, pnginfo=signature)
