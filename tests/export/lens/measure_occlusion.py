"""Measure whether a network that tells people from background finds what covers a face; docs/lens.md holds the results.

The lens has no such mask: this is why. The file is selfie_segmentation.tflite of the npm package
`@mediapipe/selfie_segmentation` 0.1.1675465747.

python tests/export/lens/measure_occlusion.py selfie_segmentation.tflite STUDENT FOLDER…
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from compress.distill.training_data.occluders.canvas import Canvas, FacePlace, ellipse, shade
from compress.distill.training_data.occluders.paste import paste as cover
from compress.distill.training_data.occluders.shapes import SHAPES
from compress.faces.cut import cut
from compress.faces.face import LEFT_EYE, RIGHT_EYE, Face
from compress.faces.find import find_faces
from compress.faces.template import Placement, place_face
from compress.images import list_images, psnr_db, read_image, to_uint8
from export.lens.config import LensConfig
from export.lens.lens import Lens, open_lens
from export.lens.paste import Photo, feathered_mask, paste

SIDE, LEAST_PX = 256, 100
Draw = Callable[[Canvas, np.random.Generator], None]


def draw_cup(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw a mug before the mouth and the chin."""
    x, top = random.uniform(-0.4, 0.4), 1.13 + random.uniform(-0.45, 0.25)
    half, height, side = random.uniform(0.55, 0.75), random.uniform(1.3, 1.7), random.choice([-1.0, 1.0])
    colour = random.integers(20, 250, 3)
    for share, factor in ((1, 0.75), (0.85, 0.95), (0.6, 1.05), (0.3, 1.12)):
        corners = np.array([(-1, 0), (1, 0), (0.85, 1), (-0.85, 1)]) * (half * share, height)
        canvas.polygon(corners + np.array([x, top]), shade(colour, factor))
    canvas.polygon(ellipse((x, top), half, 0.16), shade(colour, 0.5))
    handle = np.array([(half, 0.3), (half + 0.38, 0.45), (half + 0.35, 0.9), (0.9 * half, 1.05)])
    canvas.stroke(handle * (side, 1) + np.array([x, top]), 0.16, shade(colour, 0.85))


def draw_phone(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw a phone's back before an eye and a cheek, as in a mirror."""
    middle, turn = (random.uniform(-0.9, 0.9), random.uniform(0.0, 1.3)), random.normal(0.0, 0.2)
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    colour = random.integers(20, 225, 3)
    for place, half_width, half_height, factor in (
        ((0.0, 0.0), 0.57, 1.17, 0.7),
        ((0.0, 0.0), 0.53, 1.13, 1.0),
        ((-0.25, -0.8), 0.24, 0.27, 0.6),
    ):
        canvas.polygon(ellipse(place, half_width, half_height, 8.0) @ turned + middle, shade(colour, factor))


def draw_sheet(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw a sheet of paper before the mouth and what lies below."""
    turn, middle = random.normal(0.0, 0.12), (random.uniform(-0.4, 0.4), random.uniform(1.5, 2.2))
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    half = random.uniform(1.3, 1.9), random.uniform(0.8, 1.1)
    canvas.polygon(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half @ turned + middle, (240, 238, 230))


KINDS: dict[str, Draw] = {draw.__name__.removeprefix("draw_"): draw for draw in (*SHAPES, draw_cup, draw_phone)}
KINDS["sheet"] = KINDS["printed sheet"] = draw_sheet


def draw_layer(photo: np.ndarray, face: Face, kind: str, seed: int, print_: np.ndarray) -> np.ndarray:
    """Return `(side, side, 4)` uint8: a thing before the face of a square photo; `print_` is what a sheet shows."""
    side = len(photo)
    x, y = ((face.points[RIGHT_EYE] + face.points[LEFT_EYE]) / 2 / side).tolist()
    apart = math.dist(face.points[RIGHT_EYE], face.points[LEFT_EYE]) / side
    canvas = Canvas(side, FacePlace((x, y), apart, face.roll_rad))
    KINDS[kind](canvas, np.random.default_rng(seed))
    layer = canvas.layer().copy()
    if kind == "printed sheet":
        layer[..., :3] = np.asarray(Image.fromarray(print_).resize((side, side)))
    return layer


def person(network: Interpreter, square: np.ndarray) -> np.ndarray:
    """Return `(256, 256)` float32: the probability that a pixel is a person's."""
    network.set_tensor(network.get_input_details()[0]["index"], square[np.newaxis].astype(np.float32) / 255)
    network.invoke()
    return network.get_tensor(network.get_output_details()[0]["index"])[0, :, :, 0]


def face_oval() -> np.ndarray:
    """Return `(256, 256)` bool: where the default template puts a face, from brow to chin."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    return ((x - 0.5) / 0.26) ** 2 + ((y - 0.54) / 0.34) ** 2 <= 1


OVAL = face_oval()


@dataclass(frozen=True, eq=False)
class Case:
    """A portrait behind a thing, as the lens sees it."""

    seen: np.ndarray
    opacity: np.ndarray
    placement: Placement
    thing: np.ndarray
    """`(256, 256)` uint8: the thing's opacity in the square."""
    people: np.ndarray
    """`(256, 256)` float: what the network says."""


def cases(network: Interpreter, lens: Lens, photos: list[Path], kind: str | None) -> Iterator[Case]:
    """Cover each portrait, or none by None; leave out those in which no face is found any more."""
    for number, path in enumerate(photos):
        photo, other = read_image(path), read_image(photos[number - 1])
        layer = np.zeros((*photo.shape[:2], 4), np.uint8)
        if kind:
            layer = draw_layer(photo, find_faces(photo)[0], kind, number, other)
        seen = cover(photo, layer)
        for face in find_faces(seen)[:1]:
            placement = place_face(face, lens.template)
            thing = cut(np.repeat(layer[..., 3:], 3, axis=-1), placement, SIDE)[..., 0]
            yield Case(seen, layer[..., 3], placement, thing, person(network, cut(seen, placement, SIDE)))


def separation(case: Case) -> tuple[float, float]:
    """Return the share of a thing's pixels in the oval that are no person's, and the AUC: 0.5 tells nothing."""
    things, face = (case.people[OVAL & where].astype(float) for where in (case.thing > 200, case.thing == 0))
    if min(len(things), len(face)) < LEAST_PX:
        return math.nan, math.nan
    order, ties = (np.searchsorted(np.sort(things), face, side) for side in ("left", "right"))
    return float((things < 0.5).mean()), float((order + ties).sum() / (2 * len(things) * len(face)))


def pasted(lens: Lens, case: Case, let_through: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the photo with its face translated where a `(256, 256)` mask of 0 to 1 lets it, and the share of that."""
    size, mask = lens.size_px, feathered_mask(lens.size_px, lens.config.feather)
    if let_through is not None:
        share = Image.fromarray(let_through.astype(np.float32)).resize((size, size), Image.Resampling.BOX)
        mask = np.rint(mask * np.asarray(share)).astype(np.uint8)
    square, out, share = cut(case.seen, case.placement, size), case.seen.copy(), np.zeros_like(case.seen)
    made = to_uint8(lens.translate(square))
    paste(Photo(out), square, made, case.placement, mask, detail=lens.config.detail, original=case.seen)
    paste(Photo(share), np.zeros_like(square), np.full_like(square, 255), case.placement, mask)
    return out, share[..., 0]


def likeness(lens: Lens, case: Case) -> list[float]:
    """Return the PSNR of the thing, dB, without a mask, with it, by its true outline; and the mask's share taken."""
    let = np.where(OVAL, np.clip(2 * case.people - 0.5, 0, 1), 1)
    results = [pasted(lens, case, mask) for mask in (None, let, 1 - case.thing / 255)]
    plain = results[0][1]
    where = (case.opacity > 200) & (plain > 127)
    scores = [psnr_db(out[where].astype(int) - case.seen[where], peak=255) for out, _ in results if where.any()]
    taken = 1 - float(results[1][1].sum(dtype=float) / plain.sum(dtype=float))
    return [*(scores or [math.nan] * 3), taken]


def main(network: str, student: str, *folders: str) -> None:
    """Print a line for each kind of thing, and one of portraits that nothing covers."""
    interpreter = Interpreter(model_path=network, num_threads=1)
    interpreter.allocate_tensors()
    lens = open_lens(Path(student), LensConfig(threads=1))
    photos = [photo for folder in folders for photo in list_images(Path(folder))]
    for kind in (None, *KINDS):
        found = list(cases(interpreter, lens, photos, kind))
        told = np.array([[*separation(case), *likeness(lens, case)] for case in found])
        share, area, plain, masked, outlined, taken = np.nanmean(told, axis=0) if kind else (math.nan,) * 6
        worst = told[:, -1].max()
        print(
            f"{kind or 'nothing'}: {len(found)} of {len(photos)}, no person's {share:.3f}, AUC {area:.2f}; PSNR "
            f"{plain:.1f} dB, with the mask {masked:.1f}, by the outline {outlined:.1f}; of the mask taken "
            f"{taken if kind else told[:, -1].mean():.4f}, at most {worst:.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
