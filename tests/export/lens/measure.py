"""Measure the lens on photos that may not lie here; docs/lens.md holds the results.

python tests/export/lens/measure.py found FOLDER…      photos without a face, and with several
python tests/export/lens/measure.py identity FOLDER…   what an identity student leaves of the photo
python tests/export/lens/measure.py time MODEL PHOTO   the lens's parts beside the student, one thread, at 1080p
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from compress.faces.cut import cut
from compress.faces.find import find_faces
from compress.faces.template import AlignmentTemplate, Placement, place_face
from compress.images import list_images, psnr_db, read_image, to_uint8
from export.interpreter.litert import TfliteGenerator
from export.lens.config import LensConfig
from export.lens.paste import Photo, feathered_mask, paste

SIZE, FEATHER, DETAIL, ROUNDS = 256, LensConfig().feather, LensConfig().detail, 60


def measure_found(folders: Iterable[Path]) -> None:
    """Print how many photos of each folder hold no face, and their names."""
    for folder in folders:
        photos = list_images(folder)
        counts = {path.name: len(find_faces(read_image(path))) for path in photos}
        without = [name for name, count in counts.items() if not count]
        several = [name for name, count in counts.items() if count > 1]
        print(f"{folder}: {len(photos)} photos, {len(without)} without a face {without[:20]}, several {several[:20]}")


def measure_identity(folders: Iterable[Path]) -> None:
    """Print the PSNR inside the mask of an identity student, and check that nothing outside it changes."""
    for folder in folders:
        found = [result for path in list_images(folder) if (result := _identity(read_image(path)))]
        psnr, sides = np.array(found).T
        print(
            f"{folder}: {len(found)} faces in squares of {sides.min():.0f} to {sides.max():.0f} pixels: least "
            f"{psnr.min():.1f} dB, median {np.median(psnr):.1f} dB, {int((psnr < 45).sum())} below 45 dB"
        )


def _identity(photo: np.ndarray) -> tuple[float, float] | None:
    faces = find_faces(photo)
    if not faces:
        return None
    placement = place_face(faces[0], AlignmentTemplate())
    square, mask = cut(photo, placement, SIZE), feathered_mask(SIZE, FEATHER)
    black, same, inverted = np.zeros_like(photo), photo.copy(), photo.copy()
    paste(Photo(black), np.zeros_like(square), np.full_like(square, 255), placement, mask)
    paste(Photo(same), square, square, placement, mask, detail=DETAIL)
    paste(Photo(inverted), square, 255 - square, placement, mask, detail=DETAIL)
    inside = black.max(axis=-1) > 0
    for pasted in (same, inverted):
        if (pasted[~inside] != photo[~inside]).any():
            raise SystemExit("pixels outside the mask were changed")
    return psnr_db(same[inside].astype(int) - photo[inside], peak=255), placement.side_px


def measure_time(model: Path, portrait: Path) -> None:
    """Print the processor's time of each part, ms, for a portrait at three sizes in a frame of 1920x1080."""
    generator = TfliteGenerator.open(model, threads=1)
    for side in (1000, 600, 300):
        frame = np.full((1080, 1920, 3), 128, np.uint8)
        frame[40 : 40 + side, 400 : 400 + side] = np.asarray(Image.fromarray(read_image(portrait)).resize((side, side)))
        placement, times = Placement(x=0, y=0, side_px=1), []
        for _ in range(ROUNDS):
            placement, taken = _time_once(generator, frame.copy())
            times.append(taken)
        find, cutting, student, pasting = 1000 * np.median(times, axis=0)
        print(
            f"square of {placement.side_px:.0f} px: find {find:.1f}, cut {cutting:.1f}, paste {pasting:.1f}; student "
            f"{student:.1f} ms: {(find + cutting + pasting) / student:.1f} times the student"
        )


def _time_once(generator: TfliteGenerator, frame: np.ndarray) -> tuple[Placement, list[float]]:
    size = generator.size[0]
    mask = feathered_mask(size, FEATHER)
    marks = [time.thread_time()]
    placement = place_face(find_faces(frame)[0], AlignmentTemplate())
    marks.append(time.thread_time())
    square = cut(frame, placement, size)
    marks.append(time.thread_time())
    made = to_uint8(generator.translate(square))
    marks.append(time.thread_time())
    paste(Photo(frame), square, made, placement, mask)
    marks.append(time.thread_time())
    return placement, np.diff(marks).tolist()


def main(what: str, *paths: str) -> None:
    """Run what the command line names."""
    if what == "time":
        measure_time(*map(Path, paths))
    else:
        {"found": measure_found, "identity": measure_identity}[what](map(Path, paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
