"""Measure what `compress export detail` wrote beside the lens and the student; docs/lens.md holds the results.

python tests/export/detail/measure.py STUDENT DETAIL PHOTO…   differences to `compress lens`'s pasting of each photo's
                                                             middle square, in steps of a byte; then milliseconds of
                                                             processor time on one thread, in turns with the student

A photo's middle square is resized to the size that the file takes, and shrunk from there to the student's.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from compress.faces.template import Placement
from compress.images import read_image, to_uint8
from export.detail.check import DetailNetwork
from export.interpreter.litert import TfliteGenerator
from export.lens.paste import Photo, paste

_TURNS = 41


def _pasted(photo: np.ndarray, image: np.ndarray, generated: np.ndarray) -> np.ndarray:
    side, made = len(photo), photo.copy()
    mask = np.full(image.shape[:2], 255, np.uint8)
    paste(Photo(made), image, generated, Placement(x=side / 2, y=side / 2, side_px=side), mask, detail="local-affine")
    return made


def _in_turns(works: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_TURNS):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name].append(1e3 * (time.process_time() - start))
    return times


def main(student: str, detail: str, *photos: str) -> None:
    """Print the differences of all photos, and the times of the last."""
    generator, network = TfliteGenerator.open(Path(student), threads=1), DetailNetwork(Path(detail))
    works: dict[str, Callable[[], object]] = {}
    for path in photos:
        square = ImageOps.fit(Image.fromarray(read_image(Path(path))), (network.photo_px, network.photo_px))
        photo = np.asarray(square)
        image = np.asarray(square.resize((network.image_px, network.image_px), Image.Resampling.BOX))
        generated = to_uint8(generator.translate(image))
        steps = np.abs(network.run(photo, image, generated).astype(int) - _pasted(photo, image, generated))
        same = np.array_equal(network.run(photo, image, image), photo)
        print(f"{Path(path).name}: at most {steps.max()}, {steps.mean():.4f} in the mean; the photo back: {same}")
        works = {
            "student": lambda image=image: generator.run(image),
            "detail": lambda photo=photo, image=image, made=generated: network.run(photo, image, made),
            "lens's pasting": lambda photo=photo, image=image, made=generated: _pasted(photo, image, made),
        }
    for name, times in _in_turns(works).items():
        print(f"{name}: median {np.median(times):.1f} ms, least {min(times):.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
