"""The image pool, against a plain-Python one that does what its paper says."""

import numpy as np
import pytest

from compress.training.image_pool import ImagePool, PoolChoices, draw_choices


class _PaperPool:
    """Shrivastava et al. 2017, with the coins and places that are drawn elsewhere."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: dict[int, np.ndarray] = {}

    def query(self, image: np.ndarray, slot: int, show_new: bool) -> np.ndarray:
        if len(self.images) < self.size:
            self.images[len(self.images)] = image
            return image
        if show_new:
            return image
        old, self.images[slot] = self.images[slot], image
        return old


def _query(images: ImagePool, new: np.ndarray, choices: PoolChoices) -> np.ndarray:
    return np.asarray(images.query(new, choices.slots, choices.show_new, choices.keep_new))


@pytest.mark.parametrize(("pool_size", "batch_size"), [(6, 1), (5, 2), (7, 3)])
def test_the_pool_shows_what_the_papers_would(pool_size: int, batch_size: int) -> None:
    paper, images = _PaperPool(pool_size), ImagePool(pool_size, (4, 6))
    for step in range(100):
        new = np.random.default_rng(step).uniform(-1, 1, (batch_size, 4, 6, 3)).astype(np.float32)
        choices = draw_choices(step, first_step=0, batch_size=batch_size, pool_size=pool_size, seed=3)
        pooled = _query(images, new, choices)
        expected = [paper.query(*one) for one in zip(new, choices.slots, choices.show_new, strict=True)]
        np.testing.assert_array_equal(pooled, expected)
    for slot, image in paper.images.items():
        np.testing.assert_array_equal(np.asarray(images.images)[slot], image)


def test_the_pool_fills_first_and_then_swaps_about_half() -> None:
    choices = [draw_choices(step, first_step=100, batch_size=2, pool_size=10, seed=0) for step in range(100, 1100)]
    assert np.concatenate([one.slots for one in choices[:5]]).tolist() == list(range(10))
    assert all(one.show_new.all() and one.keep_new.all() for one in choices[:5])
    swapped = ~np.concatenate([one.show_new for one in choices[5:]])
    np.testing.assert_array_equal(swapped, np.concatenate([one.keep_new for one in choices[5:]]))
    # Of 1,990 tosses, six standard deviations.
    assert abs(swapped.mean() - 0.5) < 6 * 0.5 / np.sqrt(1990)
    assert np.bincount(np.concatenate([one.slots for one in choices[5:]]), minlength=10).min() > 100


@pytest.mark.parametrize(("pool_size", "batch_size"), [(5, 2), (7, 3), (4, 4), (50, 8)])
def test_no_two_images_of_a_batch_meet_in_one_place(pool_size: int, batch_size: int) -> None:
    for seed in range(20):
        for step in range(30):
            slots = draw_choices(step, first_step=0, batch_size=batch_size, pool_size=pool_size, seed=seed).slots
            assert len(set(slots.tolist())) == batch_size
            assert slots.min() >= 0
            assert slots.max() < pool_size


def test_what_the_pool_does_follows_from_seed_and_step_alone() -> None:
    def drawn(step: int, seed: int) -> list[list[float]]:
        choices = draw_choices(step, first_step=0, batch_size=4, pool_size=9, seed=seed)
        return [choices.slots.tolist(), choices.show_new.tolist(), choices.keep_new.tolist()]

    assert drawn(30, 1) == drawn(30, 1)
    assert drawn(30, 1) != drawn(31, 1)
    assert drawn(30, 1) != drawn(30, 2)


def test_an_image_comes_out_and_goes_in_as_the_flags_say() -> None:
    images = ImagePool(3, (2, 2))
    old = np.stack([np.full((2, 2, 3), value, np.float32) for value in (1, 2, 3)])
    images.images.assign(old)
    new = np.stack([np.full((2, 2, 3), value, np.float32) for value in (7, 8)])
    slots, show_new, keep_new = np.array([2, 0]), np.array([True, False]), np.array([False, True])
    pooled = np.asarray(images.query(new, slots, show_new, keep_new))
    assert pooled[:, 0, 0, 0].tolist() == [7, 1]
    assert np.asarray(images.images)[:, 0, 0, 0].tolist() == [8, 2, 3]


def test_smaller_images_come_out_as_they_went_in() -> None:
    images = ImagePool(2, (8, 12))
    new = np.random.default_rng(0).uniform(-1, 1, (1, 4, 6, 3)).astype(np.float32)
    yes, no = np.array([True]), np.array([False])
    _ = images.query(new, np.array([1]), yes, yes)
    np.testing.assert_array_equal(np.asarray(images.query(-new, np.array([1]), no, yes)), new)
    stored = np.asarray(images.images)
    np.testing.assert_array_equal(stored[1, :4, :6], -new[0])
    assert not stored[1, 4:].any()
    assert not stored[0].any()


def test_without_a_pool_the_newest_images_are_shown() -> None:
    images = ImagePool(0, (4, 4))
    for step in range(20):
        choices = draw_choices(step, first_step=0, batch_size=3, pool_size=0, seed=0)
        new = np.random.default_rng(step).uniform(-1, 1, (3, 4, 4, 3)).astype(np.float32)
        np.testing.assert_array_equal(_query(images, new, choices), new)
    assert not np.asarray(images.images).any()
