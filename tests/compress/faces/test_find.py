"""Finding faces: near and far, turned, several, cut by the frame; and none where there is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.faces.face import Face
from compress.faces.find import find_faces
from compress.images import list_images, read_image

EYES = np.array([[0.41, 0.48], [0.59, 0.48]])


def on_canvas(face: np.ndarray, left: int, top: int, size: tuple[int, int]) -> np.ndarray:
    photo = np.full((*size, 3), (120, 130, 110), np.uint8)
    photo[top : top + len(face), left : left + len(face)] = face
    return photo


def require_eyes(face: Face, expected: np.ndarray, side: int) -> None:
    assert np.abs(face.points[:2] - expected).max() < 0.03 * side


@pytest.mark.parametrize("side", [900, 300, 100])
def test_a_face_is_found_in_a_full_hd_photo(side: int, draw_face) -> None:
    (face,) = find_faces(on_canvas(draw_face(side), 760, 120, (1080, 1920)))
    require_eyes(face, EYES * side + (760, 120), side)


def test_a_face_of_100_pixels_is_found_in_a_4k_photo(draw_face) -> None:
    (face,) = find_faces(on_canvas(draw_face(100), 2333, 1500, (2160, 3840)))
    require_eyes(face, EYES * 100 + (2333, 1500), 100)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_face_is_found_and_its_roll_told(quarters: int, draw_face) -> None:
    photo = np.rot90(on_canvas(draw_face(200), 60, 20, (240, 320)), quarters)
    (face,) = find_faces(photo)
    turned = {
        1: lambda points: np.stack([points[:, 1], 320 - points[:, 0]], axis=1),
        2: lambda points: np.array([320, 240]) - points,
        3: lambda points: np.stack([240 - points[:, 1], points[:, 0]], axis=1),
    }[quarters]
    require_eyes(face, turned(EYES * 200 + (60, 20)), 200)
    expected = {1: -90, 2: 180, 3: 90}[quarters]
    difference = (np.degrees(face.roll_rad) - expected + 180) % 360 - 180
    assert abs(difference) < 6


def test_a_tilted_face_is_found_and_its_roll_told(draw_face) -> None:
    tilted = Image.fromarray(draw_face(300)).rotate(-30, Image.Resampling.BICUBIC, fillcolor=(90, 120, 150))
    (face,) = find_faces(np.asarray(tilted))
    assert np.degrees(face.roll_rad) == pytest.approx(30, abs=6)


def test_of_several_faces_the_largest_comes_first(draw_face) -> None:
    photo = on_canvas(draw_face(160), 20, 60, (360, 640))
    photo[40:320, 320:600] = draw_face(280)
    large, small = find_faces(photo)
    assert large.side_px > 1.5 * small.side_px
    require_eyes(large, EYES * 280 + (320, 40), 280)
    require_eyes(small, EYES * 160 + (20, 60), 160)


@pytest.mark.parametrize("cut", ["left", "right", "bottom"])
def test_a_face_that_the_frame_cuts_is_found(cut: str, draw_face) -> None:
    drawn = draw_face(300)
    photo = {"left": drawn[:, 105:], "right": drawn[:, :195], "bottom": drawn[:216]}[cut]
    (face,) = find_faces(photo)
    # Of an eye beyond the frame, or at it, the place is a guess.
    whole = {"left": [1], "right": [0], "bottom": [0, 1]}[cut]
    expected = EYES * 300 - ((105, 0) if cut == "left" else (0, 0))
    assert np.abs(face.points[whole] - expected[whole]).max() < 0.03 * 300


def test_a_grey_face_is_found(draw_face) -> None:
    grey = np.asarray(Image.fromarray(draw_face(200)).convert("L").convert("RGB"))
    (face,) = find_faces(grey)
    require_eyes(face, EYES * 200, 200)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (64, 64), (500, 700)])
def test_no_face_is_found_in_noise(size: tuple[int, int]) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (max(1, size[0] // 8), max(1, size[1] // 8), 3), dtype=np.uint8)
    assert find_faces(np.asarray(Image.fromarray(coarse).resize((size[1], size[0])))) == []


def test_faces_are_found_in_real_portraits(material: Path) -> None:
    """Of all 600 test photos of CelebA one is missed, a profile behind sunglasses; of these 40 portraits none."""
    folder = material / "data" / "portraits_cc0"
    if not folder.is_dir():
        pytest.skip("the portraits are not here")
    for path in (*list_images(folder / "testA")[::3], *list_images(folder / "testB")[::3]):
        assert len(find_faces(read_image(path))) == 1, path
