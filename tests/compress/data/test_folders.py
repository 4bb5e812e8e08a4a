"""CycleGAN's layout on disk."""

from pathlib import Path

import numpy as np
import pytest

from compress.data.folders import LAYOUT, find_paired_images, list_photos
from compress.errors import UnusableData
from compress.images import write_png


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in LAYOUT:
        (tmp_path / name).mkdir()
        for stem in ("b", "a"):
            write_png(tmp_path / name / f"{stem}.png", np.zeros((4, 4, 3), np.uint8))
    return tmp_path


def test_one_domain_comes_sorted(data: Path) -> None:
    assert list_photos(data, "B", "test") == [data / "testB" / "a.png", data / "testB" / "b.png"]


def test_both_is_a_then_b_with_equal_names_kept(data: Path) -> None:
    found = [path.relative_to(data).as_posix() for path in list_photos(data, "both", "train")]
    assert found == ["trainA/a.png", "trainA/b.png", "trainB/a.png", "trainB/b.png"]


def test_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="nowhere is no folder; expected one that holds trainA, trainB"):
        list_photos(tmp_path / "nowhere", "A", "train")


def test_other_layouts_are_described(tmp_path: Path) -> None:
    (tmp_path / "horses").mkdir()
    (tmp_path / "readme.txt").touch()
    with pytest.raises(UnusableData, match=r"has no folder trainA(?s:.*)It holds horses/, readme.txt\."):
        list_photos(tmp_path, "A", "train")


def test_a_flat_folder_of_many_photos_is_described_in_short(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.jpg").touch()
    with pytest.raises(UnusableData, match=r"05\.jpg and 14 more"):
        list_photos(tmp_path, "both", "test")


def test_a_folder_that_is_not_asked_for_may_be_missing(data: Path) -> None:
    for path in (data / "testB").iterdir():
        path.unlink()
    (data / "testB").rmdir()
    assert len(list_photos(data, "both", "train")) == 4
    with pytest.raises(UnusableData, match="no folder testB"):
        list_photos(data, "both", "test")


def test_an_empty_folder_is_an_error(data: Path) -> None:
    for path in (data / "trainB").iterdir():
        path.unlink()
    with pytest.raises(UnusableData, match="trainB holds no image"):
        list_photos(data, "both", "train")


def test_paired_images_have_the_names_of_their_photos_and_their_order(data: Path) -> None:
    (data / "trainA").rename(data / "trainA_paired")
    (data / "testA").rename(data / "trainA")
    assert find_paired_images(list_photos(data, "A", "train")) == [
        data / "trainA_paired" / name for name in ("a.png", "b.png")
    ]


def test_a_photo_without_its_paired_image_is_named(data: Path) -> None:
    (data / "trainA_paired").mkdir()
    (data / "trainA_paired" / "a.png").hardlink_to(data / "trainA" / "a.png")
    with pytest.raises(UnusableData, match=r"1 of 2 images in trainA have no paired image, the first is .*b\.png"):
        find_paired_images(list_photos(data, "A", "train"))
