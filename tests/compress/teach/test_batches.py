"""Batches: the right images, cropped, mirrored and downscaled, as a function of seed and step alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress import images
from compress.errors import UnusableData
from compress.teach.batches import Batches, DomainImages, downscale, load_domain
from compress.teach.config import TeachConfig

CONFIG = TeachConfig(image_size_px=32, image_width_px=40, steps=400, decay_steps=0, load_scale=1.25, pool_size=4)
LOADED = (40, 50)
COUNT = 12
HELD_BACK = np.array([1, 4, 6, 9])


@pytest.fixture(scope="module")
def domain() -> DomainImages:
    """Images whose every pixel says where it is: red its image, green its row, blue its column."""
    places = np.stack(np.meshgrid(np.arange(COUNT), *map(np.arange, LOADED), indexing="ij"), axis=-1)
    return DomainImages(places.astype(np.uint8), np.setdiff1d(np.arange(COUNT), HELD_BACK), HELD_BACK)


def _batches(domain: DomainImages, config: TeachConfig = CONFIG) -> Batches:
    return Batches(domain, domain, config)


def _seen(batches: Batches, steps: int, name: str = "a") -> np.ndarray:
    """All images of the first steps, as bytes."""
    return images.to_uint8(np.concatenate([batches(step)[0][name] for step in range(steps)]))


def test_a_step_sees_the_same_whenever_it_is_asked_for(domain: DomainImages) -> None:
    batches = _batches(domain)
    (first,) = batches(5)
    batches(6)
    for (again,) in (batches(5), _batches(domain)(5)):
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value)


def test_seed_domain_and_step_change_what_is_seen(domain: DomainImages) -> None:
    seen = _seen(_batches(domain), 20)
    assert not np.array_equal(seen, _seen(_batches(domain, replace(CONFIG, seed=1)), 20))
    assert not np.array_equal(seen, _seen(_batches(domain), 20, "b"))
    assert len(np.unique(seen, axis=0)) == 20


def test_images_are_float32_between_minus_one_and_one(domain: DomainImages) -> None:
    (inputs,) = _batches(replace(domain, pixels=domain.pixels * 5))(0)
    assert inputs["a"].dtype == np.float32
    assert inputs["a"].shape == (1, 32, 40, 3)
    assert inputs["a"].min() >= -1
    assert inputs["a"].max() <= 1


def test_every_training_image_is_seen_and_none_that_is_held_back(domain: DomainImages) -> None:
    seen = set(_seen(_batches(domain), len(domain.training))[..., 0].flat)
    assert seen == set(domain.training.tolist())


def test_crops_are_whole_vary_and_reach_every_edge(domain: DomainImages) -> None:
    seen = _seen(_batches(domain, replace(CONFIG, flip=False)), 300)
    tops, lefts = seen[:, 0, 0, 1], seen[:, 0, 0, 2]
    for image, top, left in zip(seen, tops, lefts, strict=True):
        np.testing.assert_array_equal(image[:, 0, 1], np.arange(top, top + 32))
        np.testing.assert_array_equal(image[0, :, 2], np.arange(left, left + 40))
    assert (set(tops), set(lefts)) == (set(range(9)), set(range(11)))


def test_about_half_of_the_images_are_mirrored(domain: DomainImages) -> None:
    columns = _seen(_batches(domain), 300)[:, 0, :, 2].astype(int)
    mirrored = columns[:, 0] > columns[:, -1]
    assert set(np.diff(columns[mirrored]).flat) == {-1}
    assert set(np.diff(columns[~mirrored]).flat) == {1}
    # Six standard deviations.
    assert abs(mirrored.mean() - 0.5) < 6 * 0.5 / np.sqrt(300)


def test_images_loaded_at_their_size_are_not_cropped(domain: DomainImages) -> None:
    exact = replace(domain, pixels=domain.pixels[:, :32, :40])
    seen = _seen(_batches(exact, replace(CONFIG, load_scale=1.0, flip=False)), 10)
    assert not seen[:, 0, 0, 1:].any()


def test_downscaling_averages_blocks() -> None:
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)
    expected = np.empty((2, 2, 3, 3))
    for row in range(2):
        for column in range(3):
            square = batch[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            expected[:, row, column] = square.mean(axis=(1, 2))
    np.testing.assert_allclose(downscale(batch, 4), expected, atol=1e-6)
    np.testing.assert_array_equal(downscale(batch, 1), batch)


@pytest.fixture(scope="module")
def growing() -> Batches:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 128, 160, 3)).astype(np.uint8)
    config = TeachConfig(
        image_size_px=128,
        image_width_px=160,
        load_scale=1.0,
        steps=30,
        decay_steps=0,
        quarter_size_steps=8,
        half_size_steps=7,
        pool_size=4,
    )
    domain = DomainImages(pixels, np.arange(4), np.arange(4, 8))
    return Batches(domain, domain, config)


def test_images_grow_from_phase_to_phase(growing: Batches) -> None:
    shapes = [growing(step)[0]["b"].shape for step in (0, 7, 8, 14, 15, 29)]
    assert shapes == [(4, 32, 40, 3)] * 2 + [(2, 64, 80, 3)] * 2 + [(1, 128, 160, 3)] * 2


@pytest.mark.parametrize(("first_step", "steps"), [(0, 1), (8, 2), (15, 4)])
def test_the_pool_starts_anew_at_each_size(growing: Batches, first_step: int, steps: int) -> None:
    filling = [growing(step)[0] for step in range(first_step, first_step + steps)]
    assert np.concatenate([inputs["slots"] for inputs in filling]).tolist() == [0, 1, 2, 3]
    assert all(inputs["show_new"].all() and inputs["keep_new"].all() for inputs in filling)


def test_the_adversarial_loss_comes_in_over_the_first_steps(domain: DomainImages) -> None:
    batches = _batches(domain, replace(CONFIG, anneal_steps=10))
    assert [float(batches(step)[0]["anneal"][0]) for step in (0, 5, 10, 50)] == [0.0, 0.5, 1.0, 1.0]
    assert _batches(domain)(0)[0]["anneal"].tolist() == [1.0]


def test_the_pixel_loss_comes_back_at_each_size(growing: Batches) -> None:
    batches = replace(growing, config=replace(growing.config, anneal_steps=2))
    starts = (0, growing.config.quarter_size_steps, growing.config.quarter_size_steps + growing.config.half_size_steps)
    for first in starts:
        assert [float(batches(first + step)[0]["anneal"][0]) for step in (0, 1)] == [0.0, 0.5]


def test_a_paired_image_is_cropped_and_mirrored_like_its_image(domain: DomainImages) -> None:
    assert not {"paired_a", "paired_b"} & set(_batches(domain)(0)[0])
    batches = _batches(replace(domain, paired=255 - domain.pixels))
    seen, paired = (_seen(batches, 30, name) for name in ("b", "paired_b"))
    np.testing.assert_array_equal(paired, 255 - seen)


def _loaded(folder: Path, file: Path, config: TeachConfig = CONFIG, seed: int = 0) -> DomainImages:
    return load_domain(images.list_images(folder), file, config, seed=seed)


def test_loaded_images_are_larger_by_the_load_scale_and_some_are_held_back(photo_folders: Path, tmp_path: Path) -> None:
    domain = _loaded(photo_folders / "trainA", tmp_path / "a.npy")
    assert domain.pixels.shape == (12, *LOADED, 3)
    assert len(domain.held_back) == 4
    assert sorted([*domain.training, *domain.held_back]) == list(range(12))
    first = images.read_image(images.list_images(photo_folders / "trainA")[0], LOADED)
    np.testing.assert_array_equal(domain.pixels[0], first)


def test_the_seed_chooses_the_images_that_are_held_back(photo_folders: Path, tmp_path: Path) -> None:
    one, again, other = (_loaded(photo_folders / "trainA", tmp_path / "a.npy", seed=seed) for seed in (0, 0, 5))
    np.testing.assert_array_equal(one.held_back, again.held_back)
    assert not np.array_equal(one.held_back, other.held_back)


def test_held_back_images_are_cropped_at_the_centre(domain: DomainImages) -> None:
    held_back_images = domain.held_back_images((32, 40))
    assert held_back_images.shape == (4, 32, 40, 3)
    assert held_back_images[:, 0, 0].tolist() == [[index, 4, 5] for index in HELD_BACK]


def test_a_broken_image_is_skipped(photo_folders: Path, tmp_path: Path) -> None:
    folder = _copied(photo_folders / "trainA", tmp_path / "photos", 12)
    (folder / "003.png").write_bytes(b"\x89PNG torn")
    domain = _loaded(folder, tmp_path / "a.npy")
    assert sorted([*domain.training, *domain.held_back]) == list(range(11))
    np.testing.assert_array_equal(domain.pixels[3], images.read_image(folder / "004.png", LOADED))


def test_paired_images_are_loaded_in_the_order_of_their_images(photo_folders: Path, tmp_path: Path) -> None:
    paths = images.list_images(photo_folders / "trainA")
    domain = load_domain(paths, tmp_path / "a.npy", CONFIG, seed=0, paired_paths=paths[::-1])
    assert domain.paired is not None
    np.testing.assert_array_equal(domain.paired, domain.pixels[::-1])


@pytest.mark.parametrize("broken", ["photos", "photos_paired"])
def test_a_broken_image_of_a_pair_is_refused(broken: str, photo_folders: Path, tmp_path: Path) -> None:
    folders = [_copied(photo_folders / "trainA", tmp_path / name, 12) for name in ("photos", "photos_paired")]
    (tmp_path / broken / "003.png").write_bytes(b"\x89PNG torn")
    paths, paired_paths = ([folder / f"{index:03d}.png" for index in range(12)] for folder in folders)
    with pytest.raises(UnusableData, match=r"1 images in .*photos or .*photos_paired cannot be read"):
        load_domain(paths, tmp_path / "a.npy", CONFIG, seed=0, paired_paths=paired_paths)


def test_too_few_images_are_refused_by_the_name_of_their_folder(photo_folders: Path, tmp_path: Path) -> None:
    folder = _copied(photo_folders / "trainA", tmp_path / "few", 7)
    with pytest.raises(UnusableData, match="few has 7 usable images, expected at least 8"):
        _loaded(folder, tmp_path / "a.npy")


def _copied(source: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    for path in images.list_images(source)[:count]:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
