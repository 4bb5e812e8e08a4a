"""Measure the lens on photos that may not lie here; docs/lens.md holds the results.

python tests/export/lens/measure.py found FOLDER…      photos without a face, and with several
python tests/export/lens/measure.py framed PHOTO…      small and turned portraits whose face is found
python tests/export/lens/measure.py identity FOLDER…   what an identity student leaves of the photo
python tests/export/lens/measure.py time MODEL PHOTO   the lens's parts beside the student, one thread, at 1080p
python tests/export/lens/measure.py flicker MODEL PHOTO…
                                                       how much a still head flickers through the lens, in films of it
python tests/export/lens/measure.py colours PHOTO      what a film's colours leave of a photo, and what they cost
"""

import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from compress.faces.blazeface.detector import FULL_RANGE, SHORT_RANGE, Network, load_network
from compress.faces.cut import cut
from compress.faces.face import Face
from compress.faces.find import find_faces, follow_face
from compress.faces.template import AlignmentTemplate, place_face
from compress.images import list_images, psnr_db, read_image, to_uint8
from export.interpreter.litert import TfliteGenerator
from export.lens.config import LensConfig
from export.lens.film import EXACT
from export.lens.lens import Lens, open_lens
from export.lens.paste import Photo, feathered_mask, paste
from export.lens.tracking import Tracker

SIZE, FEATHER, DETAIL, ROUNDS, FRAMES = 256, LensConfig().feather, LensConfig().detail, 60, 36


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
    for side in (1000, 600, 400):
        frame = np.full((1080, 1920, 3), 128, np.uint8)
        frame[40 : 40 + side, 400 : 400 + side] = np.asarray(Image.fromarray(read_image(portrait)).resize((side, side)))
        face = find_faces(frame)[0]
        parts = _parts(generator, frame, face)
        times = {name: [] for name in parts}
        for _ in range(ROUNDS):
            for name, part in parts.items():
                start = time.thread_time()
                part()
                times[name].append(1000 * (time.thread_time() - start))
        took = {name: float(np.median(values)) for name, values in times.items()}
        said = ", ".join(f"{name} {value:.1f}" for name, value in took.items())
        around = took["cut"] + took["paste"]
        print(
            f"square of {place_face(face, AlignmentTemplate()).side_px:.0f} px: {said} ms; in photos "
            f"{(around + took['find']) / took['student']:.1f} times the student, in films "
            f"{(around + took['follow']) / took['student']:.1f}"
        )


def _parts(generator: TfliteGenerator, frame: np.ndarray, face: Face) -> dict[str, Callable[[], object]]:
    """What is timed, in turns."""
    size = generator.size[0]
    mask, placement = feathered_mask(size, FEATHER), place_face(face, AlignmentTemplate())
    square = cut(frame, placement, size)
    made, scratch = to_uint8(generator.translate(square)), frame.copy()
    near, far = (np.zeros((network.side_px, network.side_px, 3), np.uint8) for network in (SHORT_RANGE, FULL_RANGE))
    return {
        "find": lambda: find_faces(frame),
        "its networks alone": lambda: (_run(SHORT_RANGE, near), _run(FULL_RANGE, far)),
        "follow": lambda: follow_face(frame, face),
        "cut": lambda: cut(frame, placement, size),
        "paste": lambda: paste(Photo(scratch), square, made, placement, mask),
        "paste with detail": lambda: paste(Photo(scratch), square, made, placement, mask, detail="local-affine"),
        "student": lambda: to_uint8(generator.translate(square)),
    }


def _run(network: Network, square: np.ndarray) -> object:
    return load_network(network).detect(square, least_score=0.999)


def measure_flicker(model: Path, *photos: Path) -> None:
    """Print how much a still head changes from frame to frame inside its square, in parts of what the film itself does.

    The film is the portrait with noise of 4 of 255, as of a sensor, anew in each frame.
    """
    for detail in ("none", "local-affine"):
        lens = open_lens(model, LensConfig(threads=1, detail=detail))
        found = {"as found": [], "steadied": []}
        for photo in photos:
            still = read_image(photo).astype(np.float32)
            noise = np.random.default_rng(0)
            film = [np.clip(still + noise.normal(0, 4, still.shape), 0, 255).astype(np.uint8) for _ in range(FRAMES)]
            for name, ratios in found.items():
                ratios.append(_flicker(lens, film, steadied=name == "steadied"))
        for name, ratios in found.items():
            print(f"--detail {detail}, {name}: mean {np.mean(ratios):.2f}, most {max(ratios):.2f}, {len(ratios)} heads")


def _flicker(lens: Lens, film: list[np.ndarray], *, steadied: bool) -> float:
    tracker, made = Tracker(lens.template), []
    for index, frame in enumerate(film):
        placed = (tracker if steadied else Tracker(lens.template)).place(frame, index / 30)
        made.append(frame.copy())
        lens.translate_squares(Photo(made[-1]), placed)
    square = place_face(find_faces(film[0])[0], lens.template)
    half = 0.35 * square.side_px
    rows, columns = (slice(max(round(at - half), 0), round(at + half)) for at in (square.y, square.x))

    def change(frames: list[np.ndarray]) -> float:
        late = np.stack([frame[rows, columns] for frame in frames[FRAMES // 3 :]]).astype(np.float32)
        return float(np.abs(np.diff(late, axis=0)).mean())

    return change(made) / change(film)


def measure_colours(photo: Path) -> None:
    """Print how a photo of 1280x720 comes back from a film's colours, and in what time, without EXACT and with it."""
    import av

    picture = np.asarray(Image.fromarray(read_image(photo)).resize((1280, 720)))
    for flags in (None, EXACT):
        back, times = picture, []
        for _ in range(ROUNDS):
            start = time.thread_time()
            film = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", interpolation=flags, threads=1
            )
            back = film.to_ndarray(format="rgb24", interpolation=flags, threads=1)
            times.append(1000 * (time.thread_time() - start))
        difference = back.astype(float) - picture
        means = ", ".join(f"{mean:.2f}" for mean in difference.mean(axis=(0, 1)))
        off = np.abs(difference).mean()
        print(f"flags {flags}: {means} of 255, {off:.2f} off; there and back {np.median(times):.1f} ms")


def measure_framed(*photos: Path) -> None:
    """Print of how many portraits the face is found in a grey frame of 1920x1080, by size, and turned in their own."""
    pictures = [Image.fromarray(read_image(photo)) for photo in photos]
    for side in (1000, 600, 400, 250, 150, 100, 60):
        found = 0
        for picture in pictures:
            frame = Image.new("RGB", (1920, 1080), (128, 128, 128))
            frame.paste(picture.resize((side, side)), (500, 50))
            found += bool(find_faces(np.asarray(frame)))
        print(f"{side} px in 1920x1080: {found} of {len(pictures)}")
    for degrees in (15, 30, 45, 60, 90, 180):
        turned = [picture.rotate(degrees, expand=True, fillcolor=(128, 128, 128)) for picture in pictures]
        pairs = [[find_faces(np.asarray(each)) for each in pair] for pair in zip(pictures, turned, strict=True)]
        faces = [(upright[0], found[0]) for upright, found in pairs if upright and found]
        turns = [upright.roll_rad - found.roll_rad - math.radians(degrees) for upright, found in faces]
        off = [abs(math.degrees(math.remainder(turn, math.tau))) for turn in turns]
        print(f"turned by {degrees}: {len(faces)} of {len(pictures)}, the roll {max(off):.0f} degrees off at most")


def main(what: str, *paths: str) -> None:
    """Run what the command line names."""
    of_photos = {"time": measure_time, "flicker": measure_flicker, "colours": measure_colours, "framed": measure_framed}
    if what in of_photos:
        of_photos[what](*map(Path, paths))
    else:
        {"found": measure_found, "identity": measure_identity}[what](map(Path, paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
