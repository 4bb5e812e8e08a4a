"""Measure detail beyond the model's size against other ways to enlarge its pictures; docs/lens.md holds the results.

python tests/export/lens/measure_detail.py drawn STUDENT PHOTOS TRUTHS   photos larger than the student's, and what it
                                                                          should make of them, under the same names
python tests/export/lens/measure_detail.py larger TEACHER SIZE PHOTOS     what the same Keras generator makes of photos
                                                                          that are larger than SIZE

The photos are shrunk to the model's size by whole pixels' means, and the picture that it makes is enlarged again. Of
each way: PSNR, and the correlation of what lies beyond the model's size with that of the truth.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from compress.faces.template import Placement
from compress.images import list_images, psnr_db, read_image, to_float, to_uint8
from compress.teachers.reading.config import AS_FOUND
from export.config import TranslateConfig
from export.lens.config import Detail
from export.lens.paste import Photo, paste
from export.translator import open_translator

Way = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Makes a large picture, 0 to 1, of the photo, the photo as the model saw it, and what it made of that."""
_RADIUS, _EPSILON = 4, 1e-4
_LUMA = np.array([0.299, 0.587, 0.114])


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    factor = len(picture) // side
    return picture.reshape(side, factor, side, factor, -1).mean(axis=(1, 3))


def _enlarged(picture: np.ndarray, side: int, resampling: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
    channels = np.moveaxis(picture.astype(np.float32), -1, 0)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), resampling)) for one in channels], axis=-1)


def _windows(values: np.ndarray) -> np.ndarray:
    """Return the mean of `(height, width, channels)` in a window around each pixel."""
    padded = np.pad(values, [(_RADIUS, _RADIUS)] * 2 + [(0, 0)], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * _RADIUS + 1,) * 2, axis=(0, 1)).mean(axis=(-2, -1))


def _bicubic(photo: np.ndarray, before: np.ndarray, made: np.ndarray) -> np.ndarray:
    return _enlarged(made, len(photo), Image.Resampling.BICUBIC)


def _laplacian(photo: np.ndarray, before: np.ndarray, made: np.ndarray) -> np.ndarray:
    return photo + _enlarged(made - before, len(photo))


def _guided(guide: np.ndarray, small: np.ndarray, made: np.ndarray) -> np.ndarray:
    """He et al. 2013, Guided Image Filtering, with a guide of 1 or 3 channels, as a fast guided filter."""
    channels, side = guide.shape[-1], len(guide)
    products = _windows((small[..., :, np.newaxis] * small[..., np.newaxis, :]).reshape(*small.shape[:2], -1))
    shared = _windows((small[..., :, np.newaxis] * made[..., np.newaxis, :]).reshape(*small.shape[:2], -1))
    mean, mean_made = _windows(small), _windows(made)
    variance = products.reshape(*small.shape[:2], channels, channels) - mean[..., np.newaxis] * mean[..., np.newaxis, :]
    covariance = shared.reshape(*small.shape[:2], channels, 3) - mean[..., np.newaxis] * mean_made[..., np.newaxis, :]
    gain = np.linalg.solve(variance + _EPSILON * np.eye(channels), covariance)
    offset = _windows(mean_made - np.einsum("yxi,yxij->yxj", mean, gain))
    smooth = _windows(gain.reshape(*small.shape[:2], -1))
    large = _enlarged(smooth, side).reshape(side, side, channels, 3)
    return np.einsum("yxi,yxij->yxj", guide, large) + _enlarged(offset, side)


def _guided_luma(photo: np.ndarray, before: np.ndarray, made: np.ndarray) -> np.ndarray:
    return _guided((photo @ _LUMA)[..., np.newaxis], (before @ _LUMA)[..., np.newaxis], made)


def _pasted(detail: Detail) -> Way:
    def make(photo: np.ndarray, before: np.ndarray, made: np.ndarray) -> np.ndarray:
        large, *small = (np.rint(picture * 255).astype(np.uint8) for picture in (photo, before, made))
        side = len(large)
        mask = np.full(small[0].shape[:2], 255, np.uint8)
        pasted = large.copy()
        paste(Photo(pasted), small[0], small[1], Placement(x=side / 2, y=side / 2, side_px=side), mask, detail=detail)
        return pasted / 255

    return make


WAYS: dict[str, Way] = {
    "bicubic": _bicubic,
    "Laplacian": _laplacian,
    "guided luma": _guided_luma,
    "guided RGB": _guided,
    "--detail none": _pasted("none"),
    "--detail local-affine": _pasted("local-affine"),
}


def _beyond(picture: np.ndarray, side: int) -> np.ndarray:
    return (picture - _enlarged(_shrunk(picture, side), len(picture))).ravel()


def measure(cases: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Print each way's mean PSNR and correlation, over photos, photos as the model saw them, its pictures, truths."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for case in cases:
        photo, before, made, truth = (picture.astype(np.float64) / 255 for picture in case)
        for way, make in WAYS.items():
            large = np.clip(make(photo, before, made), 0, 1)
            alike = np.corrcoef(_beyond(large, len(before)), _beyond(truth, len(before)))[0, 1]
            found[way].append((psnr_db(large - truth, peak=1), alike))
    for way, numbers in found.items():
        psnr, alike = np.mean(numbers, axis=0)
        print(f"{way}: {psnr:.2f} dB, correlation {alike:.3f}, {len(numbers)} photos")


def _drawn(model: Path, photos: Path, truths: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    translate, (side, _) = open_translator(model, TranslateConfig(threads=1), AS_FOUND)
    for path in list_images(photos):
        photo = read_image(path)
        before = np.asarray(Image.fromarray(photo).reduce(len(photo) // side))
        yield photo, before, to_uint8(translate(before)), read_image(truths / path.name)


def _larger(model: Path, side: int, photos: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    import keras

    from export.source import load_source

    generator = load_source(model, reading=AS_FOUND).model

    def at(size: int) -> Callable[[np.ndarray], np.ndarray]:
        resized = keras.models.clone_model(generator, input_tensors=keras.Input((size, size, 3)))
        resized.set_weights(generator.get_weights())
        return lambda photo: to_uint8(np.asarray(resized(to_float(photo)[np.newaxis]))[0])

    paths = list_images(photos)
    factor = min(read_image(paths[0]).shape[:2]) // side
    small, large = at(side), at(side * factor)
    for path in paths:
        photo = np.asarray(Image.fromarray(read_image(path)).resize((side * factor,) * 2, Image.Resampling.LANCZOS))
        before = np.asarray(Image.fromarray(photo).reduce(factor))
        yield photo, before, small(before), large(photo)


def main(what: str, model: str, second: str, third: str) -> None:
    """Run what the command line names."""
    if what == "drawn":
        measure(_drawn(Path(model), Path(second), Path(third)))
    else:
        measure(_larger(Path(model), int(second), Path(third)))


if __name__ == "__main__":
    main(*sys.argv[1:])
