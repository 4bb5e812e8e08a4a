"""Avatars: a whole CycleGAN data set, the same everywhere, with paired images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.data.avatars import NOTE_NAME, draw_avatar, draw_avatars
from compress.data.config import AvatarsConfig
from compress.data.folders import list_photos
from compress.errors import UsageError
from compress.images import read_image

SMALL = AvatarsConfig(train_per_domain=3, test_per_domain=2, image_size_px=48)
PEOPLE = [f"person {number}" for number in range(12)]


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "avatars"
    draw_avatars(SMALL, out)
    return out


def test_every_folder_holds_its_share_of_rgb_images(avatars: Path) -> None:
    counts = {folder.name: len(list(folder.iterdir())) for folder in avatars.iterdir() if folder.is_dir()}
    assert counts == {"trainA": 3, "trainB": 3, "testA": 2, "testB": 2, "testA_paired": 2, "testB_paired": 2}
    for path in avatars.rglob("*.png"):
        assert read_image(path).shape == (48, 48, 3)


def test_photos_finds_the_avatars(avatars: Path) -> None:
    assert list_photos(avatars, "both", "train") == list_photos(avatars, "A", "train") + list_photos(
        avatars, "B", "train"
    )


def test_a_paired_image_has_the_name_of_its_image(avatars: Path) -> None:
    for folder in ("testA", "testB"):
        names = [path.name for path in sorted((avatars / folder).iterdir())]
        assert [path.name for path in sorted((avatars / f"{folder}_paired").iterdir())] == names


def test_training_images_have_their_pairs_where_they_are_asked_for(avatars: Path, tmp_path: Path) -> None:
    out = tmp_path / "paired"
    counts = draw_avatars(replace(SMALL, train_paired=True), out)["images"]
    assert counts == dict.fromkeys(("trainA", "trainB", "trainA_paired", "trainB_paired"), 3) | dict.fromkeys(
        ("testA", "testB", "testA_paired", "testB_paired"), 2
    )
    for path in avatars.rglob("*.png"):
        assert path.read_bytes() == (out / path.relative_to(avatars)).read_bytes()
    for path in (out / "trainA").iterdir():
        drawn = draw_avatar(f"0/trainA/{int(path.stem)}", "B", 48)
        np.testing.assert_array_equal(read_image(out / "trainA_paired" / path.name), drawn)


def test_all_people_of_a_set_are_different(avatars: Path) -> None:
    pictures = {path.read_bytes() for path in avatars.rglob("*.png")}
    assert len(pictures) == 14


def test_same_seed_draws_the_same_and_counts_change_no_image(avatars: Path, tmp_path: Path) -> None:
    again = draw_avatars(SMALL, tmp_path / "again")
    assert again["content_sha256"] == json.loads((avatars / NOTE_NAME).read_text())["content_sha256"]
    draw_avatars(AvatarsConfig(train_per_domain=1, test_per_domain=1, image_size_px=48), tmp_path / "fewer")
    for path in (tmp_path / "fewer").rglob("*.png"):
        assert path.read_bytes() == (avatars / path.relative_to(tmp_path / "fewer")).read_bytes()


def test_another_seed_draws_others(avatars: Path, tmp_path: Path) -> None:
    other = AvatarsConfig(train_per_domain=3, test_per_domain=2, image_size_px=48, seed=1)
    result = draw_avatars(other, tmp_path / "other")
    assert result["content_sha256"] != json.loads((avatars / NOTE_NAME).read_text())["content_sha256"]


@pytest.mark.parametrize("person", PEOPLE)
def test_a_pair_differs_in_hair_and_keeps_face_clothes_and_background(person: str) -> None:
    man, woman = draw_avatar(person, "A", 64), draw_avatar(person, "B", 64)
    assert np.abs(man.astype(int) - woman).max() > 50
    # No hair and no beard reaches these.
    for kept in (np.s_[0, 0], np.s_[24:29, 21:42], np.s_[56:62, 30:36]):
        np.testing.assert_array_equal(man[kept], woman[kept])


def test_avatars_fill_any_size() -> None:
    small, large = draw_avatar("anyone", "B", 32), draw_avatar("anyone", "B", 128)
    assert (small.shape, large.shape) == ((32, 32, 3), (128, 128, 3))
    assert np.abs(large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3)) - small).mean() < 4


def test_note_quotes_the_licence_and_the_configuration(avatars: Path) -> None:
    note = json.loads((avatars / NOTE_NAME).read_text())
    assert "Free for personal and commercial use" in note["license"]
    assert note["artist"] == "Pablo Stanley"
    assert note["config"] == {
        "train_per_domain": 3,
        "test_per_domain": 2,
        "train_paired": False,
        "image_size_px": 48,
        "seed": 0,
    }


def test_existing_output_needs_overwrite(tmp_path: Path) -> None:
    config = AvatarsConfig(train_per_domain=1, test_per_domain=1, image_size_px=16)
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        draw_avatars(config, tmp_path / "out")
    assert draw_avatars(config, tmp_path / "out", overwrite=True)["images"]["trainA"] == 1


@pytest.mark.parametrize(
    "config",
    [AvatarsConfig(train_per_domain=0), AvatarsConfig(test_per_domain=-1), AvatarsConfig(image_size_px=8)],
)
def test_numbers_out_of_range_are_named_and_write_nothing(config: AvatarsConfig, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected"):
        draw_avatars(config, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
