"""Pictures that the user's own program made: the teacher must make them, and the reading that does is found."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from compress import images, teachers
from compress.errors import ParityError, UnusableData, UnusableModel, UsageError
from compress.teachers.reading.config import ReadingConfig


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    for number in range(2):
        coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        images.write_png(folder / f"{number}.png", coarse.repeat(4, axis=0).repeat(4, axis=1))
    return folder


def _pictures(teacher: Path, photos: Path, out: Path, **said: Any) -> Path:
    """Write what a teacher makes of photos when it is read in a way."""
    out.mkdir()
    model = teachers.load(teacher, reading=ReadingConfig(**said))
    for path in images.list_images(photos):
        made = model.predict_on_batch(images.to_float(images.read_image(path))[None])
        images.write_png(out / path.name, images.to_uint8(np.asarray(made)[0]))
    keras.backend.clear_session()
    return out


def _verify(photo: Path, picture: Path, **said: Any) -> ReadingConfig:
    return ReadingConfig(verify=(f"{photo}={picture}",), **said)


def test_the_teachers_own_pictures_pass(teacher_file, photos, tmp_path) -> None:
    made = _pictures(teacher_file, photos, tmp_path / "made")
    assert teachers.describe(teacher_file, reading=_verify(photos, made)).layers
    assert teachers.describe(teacher_file, reading=_verify(photos / "0.png", made / "0.png")).layers


@pytest.mark.parametrize("said", [{"residual": "clip-add"}, {"value_range": "0..1"}, {"channel_order": "bgr"}])
def test_the_reading_that_fits_is_named(teacher_file, photos, tmp_path, said) -> None:
    made = _pictures(teacher_file, photos, tmp_path / "made", **said)
    ((flag, value),) = [(f"--{key.replace('_', '-')}", value) for key, value in said.items()]
    with pytest.raises(ParityError, match=rf"With {flag} {value}: \d\d\.\d dB"):
        teachers.describe(teacher_file, reading=_verify(photos, made))
    assert teachers.describe(teacher_file, reading=_verify(photos, made, **said)).layers


def test_a_layer_that_the_file_does_not_show_is_found(teacher_file, photos, tmp_path) -> None:
    made = _pictures(teacher_file, photos, tmp_path / "made", layer_as=("Tanh=sigmoid",))
    with pytest.raises(ParityError, match=r"With --layer-as Tanh=sigmoid: \d\d\.\d dB"):
        teachers.describe(teacher_file, reading=_verify(photos, made))


def test_a_picture_of_another_size_is_refused_without_a_search(teacher_file, photos, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    images.write_png(tmp_path / "odd.png", np.zeros((50, 70, 3), np.uint8))
    with pytest.raises(UnusableData, match="has 50x70 pixels, but the teacher makes no picture of that size"):
        teachers.describe(teacher_file, reading=_verify(photos / "0.png", tmp_path / "odd.png"))
    assert "looking for" not in caplog.text


def test_a_file_that_cannot_be_read_is_refused_without_a_search(photos, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    (tmp_path / "torn.pth").write_bytes(b"torn")
    with pytest.raises(UnusableModel):
        teachers.describe(tmp_path / "torn.pth", reading=_verify(photos, photos))
    assert "looking for" not in caplog.text


def test_a_lossy_picture_is_said(teacher_file, photos, tmp_path) -> None:
    Image.fromarray(images.read_image(photos / "1.png")).save(tmp_path / "1.jpg")
    with pytest.raises(ParityError, match=r"No other reading.*The picture of 0\.png is no PNG"):
        teachers.describe(teacher_file, reading=_verify(photos / "0.png", tmp_path / "1.jpg"))


def test_pictures_of_no_known_reading_are_refused(teacher_file, photos) -> None:
    with pytest.raises(ParityError, match="No other reading"):
        teachers.describe(teacher_file, reading=_verify(photos / "0.png", photos / "1.png"))


@pytest.mark.parametrize("pair", ["photo.png", "=picture.png", "photo.png="])
def test_what_is_no_pair_is_refused(teacher_file, pair) -> None:
    with pytest.raises(UsageError, match="expected PHOTO=PICTURE"):
        teachers.describe(teacher_file, reading=ReadingConfig(verify=(pair,)))


def test_what_is_missing_or_of_two_kinds_is_named(teacher_file, photos, tmp_path) -> None:
    with pytest.raises(UnusableData, match="nowhere of --verify does not exist"):
        teachers.describe(teacher_file, reading=_verify(photos, tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="one is a folder, the other a file"):
        teachers.describe(teacher_file, reading=_verify(photos, photos / "0.png"))


def test_a_command_ends_with_the_code_of_parity(command, teacher_file, photos) -> None:
    ended = command("inspect", teacher_file, "--verify", f"{photos / '0.png'}={photos / '1.png'}")
    assert ended.returncode == 5
    assert "expected 40 dB" in ended.stderr
