"""Calibration: ranges of most photos, drawn the same for the same seed."""

import shutil

import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableData
from export.calibration import observe
from export.graph.lower import lower


def test_a_rare_photo_does_not_widen_the_range(chain) -> None:
    graph = lower(chain([layers.Conv2D(4, 1)], (8, 8, 3)), input_shape=(8, 8, 3))
    dim, glaring = np.full((8, 8, 3), 140, np.uint8), np.full((8, 8, 3), 255, np.uint8)
    usual = observe.observe_ranges(graph, [dim] * 40)[graph.input]
    mixed = observe.observe_ranges(graph, [dim] * 39 + [glaring])[graph.input]
    assert mixed == usual == (pytest.approx(0.098, abs=1e-3),) * 2
    assert observe.observe_ranges(graph, [dim, glaring] * 20)[graph.input][1] == pytest.approx(1.0)


def test_a_single_photo_gives_its_own_extremes(chain) -> None:
    graph = lower(chain([layers.Conv2D(4, 1)], (8, 8, 3)), input_shape=(8, 8, 3))
    photo = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    least, greatest = observe.observe_ranges(graph, [photo])[graph.input]
    assert (least, greatest) == (-1.0, pytest.approx(191 / 127.5 - 1))


def test_the_same_seed_draws_the_same_photos(photo_folders) -> None:
    options = {"domain": "both", "count": 5, "size": (16, 16)}
    first, same, other = (observe.sample_photos(photo_folders, **options, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_held_back_photos_are_none_of_those_to_calibrate_on(photo_folders) -> None:
    options = {"domain": "A", "count": 99, "size": (16, 16), "seed": 0}
    seen, unseen = (
        observe.sample_photos(photo_folders, **options),
        observe.held_back_photos(photo_folders, **options),
    )
    assert (len(seen), len(unseen)) == (12, 4)
    assert not {photo.tobytes() for photo in seen} & {photo.tobytes() for photo in unseen}


@pytest.mark.parametrize("name", ["trainA", "."])
def test_photos_that_are_not_read_are_not_left_out_of_the_calibration(name, photo_folders, tmp_path) -> None:
    shutil.copytree(photo_folders / "trainA", tmp_path / "data" / name, dirs_exist_ok=True)
    (tmp_path / "data" / name / "IMG_1.jpg").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(UnusableData, match="1 of 13 photos"):
        observe.sample_photos(tmp_path / "data", domain="A", count=5, size=(16, 16), seed=0)


def test_photos_of_a_single_folder_that_are_kept_for_the_test_are_not_calibrated_on(photo_folders) -> None:
    options = {"domain": "A", "count": 50, "size": (16, 16), "seed": 0}
    used = observe.sample_photos(photo_folders / "trainA", **options)
    held_back = observe.held_back_photos(photo_folders / "trainA", **options)
    assert len(used) + len(held_back) == 12
    assert held_back
