"""Flicker of generators whose steadiness is known: one that does nothing, one that blurs, one with texture in place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from compress.errors import UnusableData, UsageError
from compress.images import list_images, read_image, write_png
from eval.config import PerturbConfig, ScoreConfig
from eval.flicker.perturb import perturb_folder
from eval.scores import score_folder

CommandLine = Callable[..., Any]
Drawer = Callable[..., Path]
Generator = Callable[[np.ndarray], np.ndarray]

SIZE_PX = 48
KINDS = ["shift", "noise", "jpeg"]
# At half of a photo's contrast, hardly a pixel is clipped.
TEXTURE = np.random.default_rng(0).integers(-40, 41, (SIZE_PX, SIZE_PX, 3))


def identity(image: np.ndarray) -> np.ndarray:
    return image


def blur(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def texture_in_place(image: np.ndarray) -> np.ndarray:
    return (128 + (image.astype(np.int64) - 128) // 2 + TEXTURE).clip(0, 255).astype(np.uint8)


def weaker_texture_in_place(image: np.ndarray) -> np.ndarray:
    return (128 + (image.astype(np.int64) - 128) // 2 + TEXTURE // 2).clip(0, 255).astype(np.uint8)


def translate(photos: Path, generator: Generator, out: Path) -> Path:
    out.mkdir()
    for path in list_images(photos):
        write_png(out / f"{path.stem}.png", generator(read_image(path)))
    return out


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    folder = tmp_path_factory.mktemp("flicker")
    perturb_folder(draw(folder / "photos", 6), PerturbConfig(image_size_px=SIZE_PX), folder / "perturbed")
    return folder / "perturbed"


def flicker_of(perturbed: Path, generator: Generator, tmp_path: Path, teacher: Generator | None = None) -> Any:
    teachers = translate(perturbed, teacher, tmp_path / "teacher") if teacher else None
    fake = translate(perturbed, generator, tmp_path / "fake")
    return score_folder(ScoreConfig(flicker=perturbed, fake=fake, teacher=teachers))["flicker"]


def test_doing_nothing_changes_images_as_much_as_photos(perturbed: Path, tmp_path: Path) -> None:
    flicker = flicker_of(perturbed, identity, tmp_path)
    assert list(flicker) == KINDS
    for value in flicker.values():
        assert (value["ratio"], value["low"], value["high"]) == (1.0, 1.0, 1.0)
        assert value["input_change"] == value["output_change"] > 0
    # The noise, and what rounding to whole levels adds: variance 4 + 1/12. Black outlines lose half of it to clipping.
    assert flicker["noise"]["input_change"] == pytest.approx(np.sqrt(4 + 1 / 12), rel=0.05)


def test_a_blur_is_steadier_than_its_photos(perturbed: Path, tmp_path: Path) -> None:
    flicker = flicker_of(perturbed, blur, tmp_path)
    assert all(value["high"] < 0.8 for value in flicker.values())


def test_texture_at_fixed_places_flickers_under_shifts_alone(perturbed: Path, tmp_path: Path) -> None:
    flicker = flicker_of(perturbed, texture_in_place, tmp_path)
    assert flicker["shift"]["low"] > 1.5
    # The texture stays where it was under noise and JPEG, and the photo's contrast is halved.
    assert flicker["noise"]["ratio"] == pytest.approx(0.5, abs=0.1)
    assert flicker["jpeg"]["ratio"] == pytest.approx(0.5, abs=0.1)


def test_a_shift_is_undone_the_way_it_came(perturbed: Path, tmp_path: Path) -> None:
    """A sum of waves that resampling hardly blurs comes back to itself; undone the wrong way, it would not."""
    rows, columns = np.mgrid[0 : SIZE_PX + 8, 0 : SIZE_PX + 8]
    waves = 128 + 50 * np.sin(2 * np.pi * columns / 9) + 50 * np.sin(2 * np.pi * rows / 13)
    (tmp_path / "waves").mkdir()
    for name in ("a", "b"):
        write_png(tmp_path / "waves" / f"{name}.png", np.repeat(waves[..., None], 3, axis=2).astype(np.uint8))
    perturb_folder(tmp_path / "waves", PerturbConfig(image_size_px=SIZE_PX), tmp_path / "copies")
    flicker = score_folder(ScoreConfig(flicker=tmp_path / "copies", fake=tmp_path / "copies"))["flicker"]
    # Half a pixel of the steeper wave alone changes it by 12 levels.
    assert flicker["shift"]["input_change"] < 1
    moved = read_image(tmp_path / "copies/a.shift1.png").astype(float) - read_image(tmp_path / "copies/a.still.png")
    assert np.sqrt(np.mean(moved**2)) > 10


def test_a_student_is_held_to_its_teacher(perturbed: Path, tmp_path: Path) -> None:
    worse = flicker_of(perturbed, texture_in_place, tmp_path, teacher=weaker_texture_in_place)
    assert worse["shift"]["to_teacher"]["verdict"] == "flickers more"
    assert worse["shift"]["to_teacher"]["ratio"] == pytest.approx(
        worse["shift"]["output_change"] / worse["shift"]["teacher"]["output_change"]
    )
    (tmp_path / "again").mkdir()
    better = flicker_of(perturbed, weaker_texture_in_place, tmp_path / "again", teacher=texture_in_place)
    assert better["shift"]["to_teacher"]["verdict"] == "steadier"
    (tmp_path / "same").mkdir()
    same = flicker_of(perturbed, blur, tmp_path / "same", teacher=blur)
    assert {value["to_teacher"]["verdict"] for value in same.values()} == {"alike"}


def test_a_teacher_that_never_changes_is_no_measure(perturbed: Path, tmp_path: Path) -> None:
    flicker = flicker_of(perturbed, blur, tmp_path, teacher=np.zeros_like)
    assert flicker["noise"]["to_teacher"] is None
    assert flicker["noise"]["teacher"]["ratio"] == 0.0


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A grey film that brightens by 2, 4 and 6 levels."""
    (tmp_path / "frames").mkdir()
    for index, level in enumerate((100, 102, 106, 112)):
        write_png(tmp_path / "frames" / f"{index}.png", np.full((32, 32, 3), level, np.uint8))
    return tmp_path / "frames"


def test_frames_compare_with_their_neighbours(frames: Path, tmp_path: Path) -> None:
    doubled = translate(frames, lambda image: (image - 100) * 2, tmp_path / "doubled")
    flicker = score_folder(ScoreConfig(flicker=frames, frames=True, fake=doubled))["flicker"]
    assert list(flicker) == ["frames"]
    assert flicker["frames"]["ratio"] == pytest.approx(2.0)
    assert flicker["frames"]["input_change"] == pytest.approx(np.sqrt((4 + 16 + 36) / 3))
    assert flicker["frames"]["images"]["3"] == {"input_change": 6.0, "output_change": 12.0}


def test_large_frames_compare_at_the_size_that_was_translated(frames: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for path in list_images(frames):
        write_png(tmp_path / "small" / path.name, read_image(path, 16))
    flicker = score_folder(ScoreConfig(flicker=frames, frames=True, fake=tmp_path / "small"))["flicker"]
    assert flicker["frames"]["ratio"] == pytest.approx(1.0)


def test_a_still_film_is_refused(tmp_path: Path, frames: Path) -> None:
    still = translate(frames, np.zeros_like, tmp_path / "still")
    with pytest.raises(UnusableData, match="do not change at all"):
        score_folder(ScoreConfig(flicker=still, frames=True, fake=frames))


def test_photos_that_were_not_perturbed_are_refused(perturbed: Path, draw: Drawer, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", 3)
    with pytest.raises(UnusableData, match=r"no flicker\.json.*--frames"):
        score_folder(ScoreConfig(flicker=photos, fake=photos))


def test_images_of_another_size_are_refused(perturbed: Path, tmp_path: Path) -> None:
    small = translate(perturbed, lambda image: image[::2, ::2], tmp_path / "small")
    with pytest.raises(UnusableData, match=r"is 48x48 px, expected 24x24.*Perturb at the size"):
        score_folder(ScoreConfig(flicker=perturbed, fake=small))


def test_a_missing_copy_is_named(perturbed: Path, tmp_path: Path) -> None:
    torn = translate(perturbed, identity, tmp_path / "torn")
    (torn / "flicker.json").write_text((perturbed / "flicker.json").read_text())
    (torn / "003.noise.png").unlink()
    with pytest.raises(UnusableData, match=r"003\.noise\.png is missing"):
        score_folder(ScoreConfig(flicker=torn, fake=torn))


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 0, "photos": []}', '{"schema": 1, "photos": [1]}'])
def test_a_torn_description_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "flicker.json").write_text(content)
    with pytest.raises(UnusableData, match="cannot be used"):
        score_folder(ScoreConfig(flicker=tmp_path, fake=tmp_path))


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        ({"flicker": Path("a"), "real": Path("b")}, "--real does not go with --flicker"),
        ({"flicker": Path("a"), "control": Path("b")}, "--control does not go with --flicker"),
        ({"real": Path("a"), "frames": True}, "--frames says what --flicker holds"),
        ({}, "needs --real"),
    ],
)
def test_folders_that_do_not_go_together_are_refused(folders: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ScoreConfig(fake=Path("c"), **folders)


def test_one_seed_makes_the_same_copies_and_draws_the_same_photos(draw: Drawer, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", 5)

    def perturb(name: str, seed: int) -> dict[str, bytes]:
        config = PerturbConfig(image_size_px=16, images=2, seed=seed)
        result = perturb_folder(photos, config, tmp_path / name)
        assert (result["photos"], result["images"]) == (2, 10)
        return {path.name: path.read_bytes() for path in list_images(tmp_path / name)}

    first = perturb("first", 0)
    assert len(first) == 10
    assert first == perturb("again", 0)
    assert first != perturb("other", 1)


def test_two_photos_of_one_stem_are_refused(draw: Drawer, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", 2)
    Image.open(photos / "000.png").save(photos / "000.jpg")
    with pytest.raises(UnusableData, match="share a stem"):
        perturb_folder(photos, PerturbConfig(image_size_px=16), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_perturb_and_score(draw: Drawer, command: CommandLine, tmp_path: Path) -> None:
    photos, copies = draw(tmp_path / "photos", 3), tmp_path / "copies"
    made = command("eval", "perturb", photos, "--image-size-px", SIZE_PX, "--out", copies)
    assert made.returncode == 0, made.stderr
    assert "images: 15" in made.stdout
    again = command("eval", "perturb", photos, "--image-size-px", SIZE_PX, "--out", copies)
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)

    fake, teacher = translate(copies, texture_in_place, tmp_path / "f"), translate(copies, blur, tmp_path / "t")
    folders = ["--flicker", copies, "--fake", fake, "--teacher", teacher]
    scored = command("eval", "score", *folders, "--out", tmp_path / "scores.json")
    assert scored.returncode == 0, scored.stderr
    assert "against the teacher" in scored.stdout
    assert "flickers more" in scored.stdout
    assert json.loads((tmp_path / "scores.json").read_text())["flicker"]["shift"]["ratio"] > 1

    mixed = command("eval", "score", *folders, "--real", photos)
    assert (mixed.returncode, "--real does not go with --flicker" in mixed.stderr) == (2, True)
    assert "Traceback" not in mixed.stderr


def test_photos_that_are_not_read_are_not_left_out_of_the_copies(tmp_path: Path, draw: Drawer) -> None:
    photos = draw(tmp_path / "photos", 4)
    (photos / "more.heic").write_bytes(b"")
    with pytest.raises(UnusableData, match="1 of 5 photos"):
        perturb_folder(photos, PerturbConfig(image_size_px=SIZE_PX), tmp_path / "out")
    assert not (tmp_path / "out").exists()
