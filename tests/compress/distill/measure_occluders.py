"""Measure how students take what covers a face, on photos that none was trained on.

Run as `python tests/compress/distill/measure_occluders.py STUDENT... --teacher FILE --data PHOTOS [--seed 1000]`. Over
each photo of `testA` every kind of occluder is drawn once, by a seed that no training has. For each student, and for
the untouched photo as a control, it prints PSNRs in dB, over all pixels of all photos: `inside` an occluder (where it
is more than half opaque) and `outside` of it (where nothing is drawn) to the teacher's image of the clean photo with
the same occluder pasted over it, and of the student's `clean` images to the teacher's.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress import images, teachers
from compress.data.folders import list_photos
from compress.distill.training_data.occluders.canvas import Canvas, draw_face_place
from compress.distill.training_data.occluders.paste import paste
from compress.distill.training_data.occluders.shapes import SHAPES
from compress.distill.training_data.teacher_precision import translator
from compress.images import psnr_db

Translate = Callable[[np.ndarray], np.ndarray]
"""`(batch, height, width, 3)` uint8 to the same."""


def draw_layers(count: int, size_px: int, seed: int) -> dict[str, np.ndarray]:
    """Draw every kind of occluder for each photo: `(count, size_px, size_px, 4)` uint8, by the kind's name."""
    made: dict[str, np.ndarray] = {}
    for kind, shape in enumerate(SHAPES):
        layers = []
        for photo in range(count):
            random = np.random.default_rng((seed, kind, photo))
            canvas = Canvas(size_px, draw_face_place(random, None))
            shape(canvas, random)
            layers.append(canvas.layer())
        made[shape.__name__.removeprefix("draw_")] = np.stack(layers)
    return made


def measure(
    translate: Translate, photos: np.ndarray, targets: np.ndarray, layers: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return the PSNRs of one student, dB."""
    found = {"clean": psnr_db(_error(translate(photos), targets))}
    inside, outside = [], []
    for kind, drawn in layers.items():
        pictures = translate(np.stack([paste(*pair) for pair in zip(photos, drawn, strict=True)]))
        expected = np.stack([paste(*pair) for pair in zip(targets, drawn, strict=True)])
        error = _error(pictures, expected)
        inside.append(error[drawn[..., 3] > 127])
        outside.append(error[drawn[..., 3] == 0])
        found[f"inside {kind}"] = psnr_db(inside[-1])
    found["inside"], found["outside"] = psnr_db(np.concatenate(inside)), psnr_db(np.concatenate(outside))
    return {name: round(value, 2) for name, value in found.items()}


def _error(pictures: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return differences in [-1, 1], as `psnr_db` takes them."""
    return images.to_float(pictures) - images.to_float(expected)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", type=Path, nargs="+")
    parser.add_argument("--teacher", type=Path, required=True, help="its file, or a folder of its images of testA")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--sheet", type=Path, help="PNG of photo, occluded photo, and each student's image of it")
    chosen = parser.parse_args()
    side = teachers.describe(chosen.students[0]).input_shape[0]
    if side is None:
        parser.error(f"{chosen.students[0]} takes images of any size; pass a student of one size first")
    clean = np.stack([photo for _, photo in images.read_images(list_photos(chosen.data, "A", "test"), side)])

    def in_batches(model: Translate) -> Translate:
        return lambda batch: np.concatenate([model(batch[first : first + 20]) for first in range(0, len(batch), 20)])

    def load(path: Path) -> Translate:
        model = translator(teachers.load(path))
        return in_batches(lambda batch: images.to_uint8(model(images.to_float(batch))))

    if chosen.teacher.is_dir():
        taught = np.stack([image for _, image in images.read_images(sorted(chosen.teacher.iterdir()), side)])
    else:
        taught = load(chosen.teacher)(clean)
    models = {str(path): load(path) for path in chosen.students}
    drawn = draw_layers(len(clean), side, chosen.seed)
    print(json.dumps({"student": "the photo", **measure(lambda batch: batch, clean, taught, drawn)}), flush=True)
    for name, model in models.items():
        print(json.dumps({"student": name, **measure(model, clean, taught, drawn)}), flush=True)
    if chosen.sheet:
        rows = []
        for number, layers in enumerate(drawn.values()):
            for photo in (2 * number, 2 * number + 1):
                occluded = paste(clean[photo], layers[photo])
                pictures = [model(occluded[np.newaxis])[0] for model in models.values()]
                rows.append(np.concatenate([clean[photo], taught[photo], occluded, *pictures], axis=1))
        images.write_png(chosen.sheet, np.concatenate(rows))
