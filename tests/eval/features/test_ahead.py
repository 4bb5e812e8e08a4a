"""Work ahead of whoever asks for its results: in order, not far ahead, and its errors where they belong."""

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData
from eval.features.ahead import AHEAD, map_ahead, read_ahead


def test_results_come_in_order_though_they_are_ready_in_another() -> None:
    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    items = [0.05, 0.0, 0.03, 0.0, 0.01, 0.0]
    assert list(map_ahead(wait, items, threads=3)) == items


def test_work_runs_on_other_threads_and_only_a_little_ahead() -> None:
    asked: list[int] = []

    def count() -> Iterator[int]:
        for item in range(1000):
            asked.append(item)
            yield item

    results = map_ahead(lambda _: threading.get_ident(), count(), threads=2)
    assert next(results) != threading.get_ident()
    assert len(asked) == AHEAD * 2 + 1
    for _ in range(10):
        next(results)
    assert len(asked) == AHEAD * 2 + 11
    results.close()
    assert len(asked) == AHEAD * 2 + 11


def test_an_error_comes_in_place_of_its_result() -> None:
    results = map_ahead(lambda item: 6 // item, [3, 2, 0, 1], threads=2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_images_are_read_in_order_and_a_broken_one_is_named(tmp_path: Path) -> None:
    for level in range(12):
        Image.new("RGB", (8, 8), (level, 0, 0)).save(tmp_path / f"{level:02d}.png")
    paths = sorted(tmp_path.iterdir())
    assert [int(image[0, 0, 0]) for image in read_ahead(paths)] == list(range(12))
    assert {image.shape for image in read_ahead(paths, (4, 6))} == {(4, 6, 3)}
    paths[5].write_bytes(paths[5].read_bytes()[:40])
    images = read_ahead(paths)
    assert [int(next(images)[0, 0, 0]) for _ in range(5)] == list(range(5))
    with pytest.raises(UnusableData, match=r"05\.png is broken"):
        next(images)


def test_warnings_are_as_before_after_reading(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{name}.png")
    before = list(warnings.filters)
    assert len(list(read_ahead(sorted(tmp_path.iterdir())))) == 3
    assert list(warnings.filters) == before
