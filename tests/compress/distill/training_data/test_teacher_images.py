"""The teacher's images: each is made once, and again where what was kept is damaged."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import images
from compress.cache import store
from compress.distill.training_data.pairs import collect_pairs
from compress.distill.training_data.teacher_images import TeacherImages, batch_size, cache_folder

PHOTOS = list(np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8))


class Teacher:
    """Inverts its images, and counts those that are not black, with which batches are filled up."""

    def __init__(self) -> None:
        self.seen = 0
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, photos: np.ndarray) -> np.ndarray:
        self.shapes.append(photos.shape)
        self.seen += sum((photo != -1).any() for photo in photos)
        return -photos


def inverted(photos: Sequence[np.ndarray]) -> np.ndarray:
    return images.to_uint8(-images.to_float(np.stack(photos)))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A cache that holds the images of all photos."""
    translate = TeacherImages(Teacher(), tmp_path / "cache")
    translate(PHOTOS)
    translate.finish()
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
    np.testing.assert_array_equal(translate(PHOTOS), inverted(PHOTOS))
    assert teacher.seen == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_images_are_made_anew_and_counted(damage: str, kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in sorted(kept.iterdir())[:3]:
        DAMAGES[damage](path)
    teacher = Teacher()
    translate = TeacherImages(teacher, kept)
    np.testing.assert_array_equal(translate(PHOTOS), inverted(PHOTOS))
    assert teacher.seen == 3
    with caplog.at_level(logging.INFO):
        translate.finish()
        translate.finish()
    (line,) = caplog.messages
    assert line == f"3 of the teacher's images in {kept} were damaged and were made anew"
    again = Teacher()
    TeacherImages(again, kept)(PHOTOS)
    assert again.seen == 0


def test_collecting_pairs_tells_of_damage(kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, photo in enumerate(PHOTOS):
        images.write_png(tmp_path / f"{number}.png", photo)
    next(iter(kept.iterdir())).write_bytes(b"")
    translate = TeacherImages(Teacher(), kept)
    pairs = collect_pairs(sorted(tmp_path.glob("*.png")), translate, work=tmp_path, image_size_px=8)
    np.testing.assert_array_equal(pairs.targets, inverted(PHOTOS))
    assert any(message.startswith("1 of the teacher's images") for message in caplog.messages)


def test_a_full_disk_costs_one_line_and_not_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "replace_bytes", full)
    translate = TeacherImages(Teacher(), tmp_path / "cache")
    np.testing.assert_array_equal(translate(PHOTOS), inverted(PHOTOS))
    translate.finish()
    assert [message for message in caplog.messages if "No space left" in message] == [
        "the teacher's images are not kept: [Errno 28] No space left on device"
    ]


def test_photos_go_in_batches_of_one_size_and_large_ones_by_fewer(tmp_path: Path) -> None:
    teacher = Teacher()
    TeacherImages(teacher, tmp_path)(PHOTOS)
    assert (teacher.shapes, teacher.seen) == ([(4, 8, 8, 3)] * 2, 7)
    assert [batch_size(side, side) for side in (128, 256, 300, 512, 2048)] == [4, 4, 2, 1, 1]


def test_images_in_another_precision_lie_apart() -> None:
    folders = {cache_folder("0" * 64, 128, precision) for precision in ("float32", "mixed_bfloat16")}
    assert {folder.name for folder in folders} == {f"{'0' * 16}-128px", f"{'0' * 16}-128px-mixed_bfloat16"}
