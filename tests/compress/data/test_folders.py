"""CycleGAN's layout on disk, and a single folder in its place."""

import contextlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from compress.data.config import PhotosConfig
from compress.data.folders import LAYOUT, find_paired_images, fingerprint_split, list_photos, list_photos_to_translate
from compress.data.photos import prepare_photos
from compress.errors import UnusableData
from compress.images import write_png

PHOTO = np.zeros((4, 4, 3), np.uint8)


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
    with pytest.raises(
        UnusableData, match="nowhere is no folder; expected one of photos, or one that holds trainA, trainB"
    ):
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
        list_photos(tmp_path, "B", "test")


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


@pytest.fixture
def single(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(25):
        write_png(folder / f"{number:02}.png", PHOTO)
    return folder


@pytest.mark.parametrize("domain", ["A", "both"])
def test_a_single_folder_is_divided_by_names(single: Path, domain) -> None:
    train, test = (list_photos(single, domain, split) for split in ("train", "test"))
    assert sorted([*train, *test]) == sorted(single.iterdir())
    assert 1 <= len(test) <= 10
    write_png(single / "more.png", PHOTO)
    assert set(test) <= set(list_photos(single, domain, "test"))
    assert set(train) <= set(list_photos(single, domain, "train"))


def test_a_single_folder_has_no_photos_of_the_other_domain(single: Path) -> None:
    with pytest.raises(UnusableData, match="has no folder trainB"):
        list_photos(single, "B", "train")


def test_a_single_photo_is_of_no_test(tmp_path: Path) -> None:
    write_png(tmp_path / "1.png", PHOTO)
    halves = []
    for split in ("train", "test"):
        with contextlib.suppress(UnusableData):
            halves.append(list_photos(tmp_path, "A", split))
    assert halves == [[tmp_path / "1.png"]]


def test_the_halves_of_a_single_folder_have_fingerprints_of_their_own(single: Path) -> None:
    before = [fingerprint_split(single, split) for split in ("train", "test")]
    write_png(list_photos(single, "A", "test")[0], PHOTO + 1)
    after = [fingerprint_split(single, split) for split in ("train", "test")]
    assert (before[0], before[1]) == (after[0], before[1])
    assert before[1] != after[1]


def test_photos_of_a_single_folder_are_written_as_domain_a(single: Path, tmp_path: Path) -> None:
    written = prepare_photos(single, PhotosConfig(image_size_px=8), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert names == {f"A_{path.stem}.png" for path in list_photos(single, "A", "test")}
    assert written == {"images": len(names)}


@pytest.mark.parametrize("domain", ["A", "both"])
def test_photos_that_are_not_read_are_counted_in_the_folder_of_each_domain(
    data: Path, domain: Literal["A", "both"]
) -> None:
    for number in range(3):
        (data / "trainA" / f"IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(
        UnusableData, match=r"3 of 5 photos in .*trainA would be left out(.|\n)*pip install pillow-heif"
    ):
        list_photos(data, domain, "train")
    assert len(list_photos(data, "B", "train")) == 2


def test_photos_to_translate_are_a_photo_a_folder_or_a_data_set(data: Path, single: Path) -> None:
    photo = data / "testA" / "a.png"
    assert list_photos_to_translate(photo) == [photo]
    assert list_photos_to_translate(data) == list_photos_to_translate(data / "testA") == list_photos(data, "A", "test")
    assert len(list_photos_to_translate(single)) == 25
