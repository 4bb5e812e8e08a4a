"""`compress data photos`: every photo once, one size, names that cannot collide."""

from pathlib import Path

from compress import images
from compress.data.config import PhotosConfig
from compress.data.photos import prepare_photos


def test_photos_of_both_domains_lie_in_one_folder_at_one_size(photo_folders: Path, tmp_path: Path) -> None:
    written = prepare_photos(photo_folders, PhotosConfig(domain="both", image_size_px=20), tmp_path / "out")
    paths = images.list_images(tmp_path / "out")
    assert written == {"images": 8}
    assert [path.name for path in paths] == [f"{domain}_{index:03d}.png" for domain in "AB" for index in range(4)]
    assert {images.read_image(path).shape for path in paths} == {(20, 20, 3)}
