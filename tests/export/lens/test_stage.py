"""`compress lens photo` and `folder` as a user runs them, on files of every kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData, UsageError
from compress.faces.find import find_faces
from compress.faces.template import AlignmentTemplate, place_face
from compress.images import read_image, read_layers, write_png
from export.lens.config import LensConfig
from export.lens.paste import Photo, feathered_mask, paste
from export.lens.stage import translate_folder, translate_photo


def run(model: Path, photo: Path, tmp_path: Path, config: LensConfig | None = None) -> tuple[dict, np.ndarray]:
    result = translate_photo(model, photo, tmp_path / "out.png", config or LensConfig())
    with Image.open(tmp_path / "out.png") as opened:
        return result, np.asarray(opened)


def inside_mask(photo: np.ndarray) -> np.ndarray:
    """Where the mask of the photo's largest face lets anything through."""
    black = np.zeros(photo.shape, np.uint8)
    square = np.zeros((64, 64, 3), np.uint8)
    placement = place_face(find_faces(photo)[0], AlignmentTemplate())
    paste(Photo(black), square, square + 255, placement, feathered_mask(64, LensConfig().feather))
    return black.max(axis=-1) > 0


def require_translated_in_place(photo: np.ndarray, written: np.ndarray) -> None:
    """Check that a photo's face is a negative, and that all outside its mask is untouched."""
    assert written.shape[:2] == photo.shape[:2]
    inside = inside_mask(photo)
    np.testing.assert_array_equal(written[~inside, :3], photo[~inside])
    face = find_faces(photo)[0]
    x, y = face.points[:4].mean(axis=0).astype(int)
    around = np.s_[y - 3 : y + 3, x - 3 : x + 3]
    assert np.abs(written[around][..., :3].astype(float).mean() + photo[around].astype(float).mean() - 255) < 12


def test_the_face_is_translated_in_its_place_by_command(command, negative, portrait, tmp_path) -> None:
    write_png(tmp_path / "a.png", portrait)
    out = tmp_path / "out.png"
    done = command("lens", "photo", negative, tmp_path / "a.png", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"out": str(out), "translated": 1, "height_px": 240, "width_px": 320}
    assert "records no alignment" in done.stderr
    require_translated_in_place(portrait, read_image(out))
    # What it wrote it may replace.
    again = command("lens", "photo", negative, tmp_path / "a.png", "--out", out)
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert command("lens", "photo", negative, tmp_path / "a.png", "--out", out, "--overwrite").returncode == 0


def test_an_identity_leaves_a_small_face_as_it_was(identity, draw_face, tmp_path) -> None:
    photo = np.pad(draw_face(60), ((30, 30), (60, 40), (0, 0)), mode="edge")
    write_png(tmp_path / "a.png", photo)
    result, written = run(identity, tmp_path / "a.png", tmp_path)
    assert result["translated"] == 1
    np.testing.assert_array_equal(written, photo)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_photo_that_exif_turns_is_written_upright(negative, portrait, orientation: int, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(portrait).save(tmp_path / "a.jpg", exif=exif, quality=95)
    _, written = run(negative, tmp_path / "a.jpg", tmp_path)
    upright = read_image(tmp_path / "a.jpg")
    assert written.shape == ((320, 240, 3) if orientation >= 5 else (240, 320, 3))
    require_translated_in_place(upright, written)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_is_translated_on_its_side(negative, portrait, quarters: int, tmp_path) -> None:
    turned = np.ascontiguousarray(np.rot90(portrait, quarters))
    write_png(tmp_path / "a.png", turned)
    _, written = run(negative, tmp_path / "a.png", tmp_path)
    require_translated_in_place(turned, written)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "LA", "I;16"])
def test_a_photo_of_another_kind_becomes_rgb(negative, portrait, mode: str, tmp_path) -> None:
    image = Image.fromarray(portrait)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    file = tmp_path / "a.tif"
    image.save(file)
    _, written = run(negative, file, tmp_path)
    colours, _ = read_layers(file)
    require_translated_in_place(colours, written)
    assert written.shape[2] == (4 if mode == "LA" else 3)


def test_transparency_is_kept(negative, portrait, tmp_path) -> None:
    alpha = np.full(portrait.shape[:2], 255, np.uint8)
    alpha[:, :110], alpha[200:] = 0, 128
    Image.fromarray(np.dstack([portrait, alpha])).save(tmp_path / "a.png")
    result, written = run(negative, tmp_path / "a.png", tmp_path)
    assert result["translated"] == 1
    np.testing.assert_array_equal(written[..., 3], alpha)
    # What cannot be seen stays, too.
    np.testing.assert_array_equal(written[:, :110, :3], portrait[:, :110])
    assert (written[100, 160:200, :3] != portrait[100, 160:200]).any()


def test_a_4k_photo_keeps_its_size_and_its_pixels(negative, draw_face, tmp_path) -> None:
    photo = np.full((2160, 3840, 3), 130, np.uint8)
    photo[300:1500, 1500:2700] = draw_face(1200)
    write_png(tmp_path / "a.png", photo)
    _, written = run(negative, tmp_path / "a.png", tmp_path)
    require_translated_in_place(photo, written)


def test_a_small_face_in_a_large_photo_is_translated(negative, draw_face, tmp_path) -> None:
    photo = np.full((1080, 1920, 3), 130, np.uint8)
    photo[700:800, 300:400] = draw_face(100)
    write_png(tmp_path / "a.png", photo)
    _, written = run(negative, tmp_path / "a.png", tmp_path)
    require_translated_in_place(photo, written)


def test_a_face_that_the_frame_cuts_is_translated_up_to_the_frame(negative, draw_face, tmp_path) -> None:
    photo = np.ascontiguousarray(draw_face(300)[:, 105:])
    write_png(tmp_path / "a.png", photo)
    _, written = run(negative, tmp_path / "a.png", tmp_path)
    require_translated_in_place(photo, written)
    np.testing.assert_allclose(written[140, 0].astype(int) + photo[140, 0], 255, atol=12)


def test_without_a_face_the_photo_is_written_as_it_was(command, negative, tmp_path) -> None:
    photo = np.full((90, 120, 3), (30, 90, 160), np.uint8)
    write_png(tmp_path / "a.png", photo)
    done = command("lens", "photo", negative, tmp_path / "a.png", "--out", tmp_path / "out.png", "--json")
    assert (done.returncode, json.loads(done.stdout)["translated"]) == (0, 0)
    assert "a.png: no face to translate was found; it is written as it was" in done.stderr
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), photo)


def test_several_faces_are_translated_with_all(negative, draw_face, tmp_path) -> None:
    photo = np.full((360, 640, 3), 130, np.uint8)
    photo[60:220, 20:180], photo[40:320, 320:600] = draw_face(160), draw_face(280)
    write_png(tmp_path / "a.png", photo)
    result, largest = run(negative, tmp_path / "a.png", tmp_path)
    assert result["translated"] == 1
    np.testing.assert_array_equal(largest[:, :200], photo[:, :200])
    (tmp_path / "out.png").unlink()
    result, both = run(negative, tmp_path / "a.png", tmp_path, LensConfig(all=True))
    assert result["translated"] == 2
    assert (both[140, 100] != photo[140, 100]).any()
    assert (both[180, 460] != photo[180, 460]).any()


def test_side_by_side_shows_the_photo_at_the_left(negative, portrait, tmp_path) -> None:
    write_png(tmp_path / "a.png", portrait)
    _, written = run(negative, tmp_path / "a.png", tmp_path, LensConfig(side_by_side=True))
    assert written.shape == (240, 640, 3)
    np.testing.assert_array_equal(written[:, :320], portrait)
    require_translated_in_place(portrait, written[:, 320:])


def test_a_whole_photo_is_translated_without_looking_for_a_face(negative, tmp_path) -> None:
    photo = np.full((90, 120, 3), (30, 90, 160), np.uint8)
    write_png(tmp_path / "a.png", photo)
    result, written = run(negative, tmp_path / "a.png", tmp_path, LensConfig(region="whole"))
    assert result["translated"] == 1
    np.testing.assert_allclose(written.astype(int) + photo, 255, atol=1)


def test_a_folder_is_translated_photo_by_photo(command, negative, portrait, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "face.png", portrait)
    Image.fromarray(portrait).save(tmp_path / "in" / "jpeg.jpg", quality=95)
    write_png(tmp_path / "in" / "none.png", np.full((50, 60, 3), 9, np.uint8))
    (tmp_path / "in" / "torn.png").write_bytes((tmp_path / "in" / "face.png").read_bytes()[:400])
    out = tmp_path / "out"
    done = command("lens", "folder", negative, tmp_path / "in", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    expected = {"out": str(out), "photos": 3, "skipped": 1, "translated": 2, "without_face": 1}
    assert json.loads(done.stdout) == expected
    assert sorted(path.name for path in out.glob("*.png")) == ["face.png", "jpeg.png", "none.png"]
    assert "torn.png" in done.stderr
    assert "none.png: no face" in done.stderr
    require_translated_in_place(portrait, read_image(out / "face.png"))


def test_what_would_not_keep_every_pixel_is_refused_before_anything_is_read(negative, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"out\.jpg: expected a name that ends in \.png"):
        translate_photo(negative, tmp_path / "gone.png", tmp_path / "out.jpg", LensConfig())


def test_an_output_among_the_photos_is_refused(command, negative, portrait, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "a.png", portrait)
    done = command("lens", "folder", negative, tmp_path / "in", "--out", tmp_path / "in" / "out")
    assert (done.returncode, "lies inside" in done.stderr) == (2, True)
    done = command("lens", "photo", negative, tmp_path / "in" / "a.png", "--out", tmp_path / "in" / "a.png")
    assert (done.returncode, "is the same as" in done.stderr) == (2, True)


def test_a_missing_photo_is_named(command, negative, tmp_path) -> None:
    done = command("lens", "photo", negative, tmp_path / "gone.png", "--out", tmp_path / "out.png")
    assert (done.returncode, "gone.png does not exist" in done.stderr) == (3, True)


def test_two_photos_of_one_stem_are_refused(negative, portrait, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "a.png", portrait)
    Image.fromarray(portrait).save(tmp_path / "in" / "a.jpg")
    with pytest.raises(UnusableData, match="share a stem"):
        translate_folder(negative, tmp_path / "in", tmp_path / "out", LensConfig())
