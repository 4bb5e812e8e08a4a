"""The teacher's images: each is made once, and again where what was kept is damaged."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import images
from compress.cache import store
from compress.distill.training_data.pairs import collect_pairs
from compress.distill.training_data.teacher_images import TeacherImages

PHOTOS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


class Teacher:
    """Inverts its images, and counts them."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, photos: np.ndarray) -> np.ndarray:
        self.seen += len(photos)
        return -photos


def inverted(photo: np.ndarray) -> np.ndarray:
    return images.to_uint8(-images.to_float(photo))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A cache that holds the images of all photos."""
    translate = TeacherImages(Teacher(), tmp_path / "cache")
    for photo in PHOTOS:
        translate(photo)
    return tmp_path / "cache"


def resized(path: Path) -> None:
    images.write_png(path, np.zeros((4, 4, 3), np.uint8))


def changed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes([content[60] ^ 255]) + content[61:])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:70]),
    "empty": lambda path: path.write_bytes(b""),
    "of another size": resized,
    "changed": changed,
    "no picture": lambda path: path.write_bytes(b"<html>quota exceeded</html>"),
}


def test_an_image_is_made_once(kept: Path) -> None:
    teacher = Teacher()
    translate = TeacherImages(teacher, kept)
    for photo in PHOTOS:
        np.testing.assert_array_equal(translate(photo), inverted(photo))
    assert teacher.seen == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_images_are_made_anew_and_counted(damage: str, kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in sorted(kept.iterdir())[:3]:
        DAMAGES[damage](path)
    teacher = Teacher()
    translate = TeacherImages(teacher, kept)
    for photo in PHOTOS:
        np.testing.assert_array_equal(translate(photo), inverted(photo))
    assert teacher.seen == 3
    with caplog.at_level(logging.INFO):
        translate.report_damage()
        translate.report_damage()
    (line,) = caplog.messages
    assert line == f"3 of the teacher's images in {kept} were damaged and were made anew"
    again = Teacher()
    for photo in PHOTOS:
        TeacherImages(again, kept)(photo)
    assert again.seen == 0


def test_collecting_pairs_tells_of_damage(kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, photo in enumerate(PHOTOS):
        images.write_png(tmp_path / f"{number}.png", photo)
    next(iter(kept.iterdir())).write_bytes(b"")
    translate = TeacherImages(Teacher(), kept)
    pairs = collect_pairs(sorted(tmp_path.glob("*.png")), translate, work=tmp_path, image_size_px=8)
    np.testing.assert_array_equal(pairs.targets, [inverted(photo) for photo in PHOTOS])
    assert any(message.startswith("1 of the teacher's images") for message in caplog.messages)


def test_a_full_disk_costs_one_line_and_not_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "replace_bytes", full)
    translate = TeacherImages(Teacher(), tmp_path / "cache")
    for photo in PHOTOS:
        np.testing.assert_array_equal(translate(photo), inverted(photo))
    assert [message for message in caplog.messages if "No space left" in message] == [
        "the teacher's images are not kept: [Errno 28] No space left on device"
    ]
