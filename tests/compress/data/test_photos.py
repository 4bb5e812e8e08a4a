"""`compress data photos`: every photo once, one size, names that cannot collide."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress import images
from compress.data.config import PhotosConfig
from compress.data.folders import LAYOUT
from compress.data.photos import prepare_photos
from compress.errors import UnusableData, UsageError


def test_photos_of_both_domains_lie_in_one_folder_at_one_size(photo_folders: Path, tmp_path: Path) -> None:
    written = prepare_photos(photo_folders, PhotosConfig(domain="both", image_size_px=20), tmp_path / "out")
    paths = images.list_images(tmp_path / "out")
    assert written == {"images": 8}
    assert [path.name for path in paths] == [f"{domain}_{index:03d}.png" for domain in "AB" for index in range(4)]
    assert {images.read_image(path).shape for path in paths} == {(20, 20, 3)}


def test_true_translations_bear_the_names_of_the_photos(photo_folders: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(photo_folders, root)
    for domain, grey in (("A", 50), ("B", 200)):
        (root / f"test{domain}_paired").mkdir()
        for photo in images.list_images(root / f"test{domain}"):
            images.write_png(root / f"test{domain}_paired" / photo.name, np.full((40, 40, 3), grey, np.uint8))
    config = PhotosConfig(domain="both", image_size_px=20)
    prepare_photos(root, config, tmp_path / "inputs")
    prepare_photos(root, replace(config, paired=True), tmp_path / "paired")
    names = [path.name for path in images.list_images(tmp_path / "inputs")]
    assert [path.name for path in images.list_images(tmp_path / "paired")] == names
    assert {int(images.read_image(tmp_path / "paired" / name)[0, 0, 0]) for name in names if name[0] == "B"} == {200}
    with pytest.raises(UsageError, match=r"(is the same as|holds|lies inside) .*which this command reads"):
        prepare_photos(root, config, root / "testB_paired", overwrite=True)
    (root / "testB_paired/002.png").unlink()
    with pytest.raises(UnusableData, match=r"1 of 8 images in testA and testB have no paired image"):
        prepare_photos(root, replace(config, paired=True), tmp_path / "torn")
    assert not (tmp_path / "torn").exists()


@pytest.fixture
def data(photo_folders: Path, tmp_path: Path) -> Path:
    """A data set of its own, so that a test may lose it; its folder testB is a link to one elsewhere."""
    root = tmp_path / "sets" / "data"
    shutil.copytree(photo_folders, root)
    (root / "testB").rename(tmp_path / "elsewhere")
    (root / "testB").symlink_to(tmp_path / "elsewhere")
    return root


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "out", ["sets/data", "sets", "sets/data/trainA/..", "elsewhere", *(f"sets/data/{name}" for name in LAYOUT)]
)
def test_output_never_replaces_the_data_set(out: str, data: Path, tmp_path: Path) -> None:
    before = _contents(tmp_path)
    with pytest.raises(UsageError, match=r"(is the same as|holds|lies inside) .*which this command reads"):
        prepare_photos(data, PhotosConfig(image_size_px=20), tmp_path / out, overwrite=True)
    assert _contents(tmp_path) == before
    assert (data / "testB").is_symlink()


def test_what_was_laid_out_within_the_data_set_can_be_laid_out_anew(data: Path) -> None:
    for size in (20, 16):
        prepare_photos(data, PhotosConfig(image_size_px=size), data / "small", overwrite=True)
    assert images.read_image(images.list_images(data / "small")[0]).shape == (16, 16, 3)
    assert len(images.list_images(data / "testA")) == 4


def test_of_two_photos_of_one_stem_none_is_lost(data: Path, tmp_path: Path) -> None:
    (data / "testA" / "001.jpg").write_bytes((data / "testA" / "001.png").read_bytes())
    for config in (PhotosConfig(image_size_px=20), PhotosConfig(image_size_px=20, domain="both")):
        with pytest.raises(UnusableData, match=r"testA/001\.jpg and .*testA/001\.png share a stem"):
            prepare_photos(data, config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert prepare_photos(data, PhotosConfig(image_size_px=20, domain="B"), tmp_path / "out") == {"images": 4}


def test_the_command_ends_with_the_code_of_unusable_data_and_the_way_out(
    data: Path, tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (data / "testA" / "more").mkdir()
    (data / "testA" / "more" / "a.png").write_bytes((data / "testA" / "001.png").read_bytes())
    ended = command("data", "photos", data, "--out", tmp_path / "out", "--image-size-px", 20)
    assert ended.returncode == UnusableData.exit_code
    assert "1 of 5 photos" in ended.stderr
    assert "1 photo(s) in sub-folders, which are not searched: more/a.png; move them up, or away" in ended.stderr
    assert not (tmp_path / "out").exists()
