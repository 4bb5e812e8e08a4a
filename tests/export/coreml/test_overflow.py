"""Tensors for which float16 is too narrow are found on photos."""

import numpy as np
import pytest
from keras import layers

from compress.images import to_float
from export.coreml import overflow
from export.graph.lower import lower


@pytest.fixture
def graph(chain):
    return lower(chain([layers.Conv2D(4, 3, name="first"), layers.Conv2D(3, 1)], (16, 16, 3)), input_shape=(16, 16, 3))


def test_largest_activation_is_that_of_the_worst_photo(graph, chain):
    dark, bright = np.full((16, 16, 3), 128, np.uint8), np.full((16, 16, 3), 255, np.uint8)
    first = chain([layers.Conv2D(4, 3, name="first")], (16, 16, 3))
    both = overflow.measure_activations(graph, [bright, dark])
    assert both["image"] == pytest.approx(1.0)
    assert both["first"] == pytest.approx(
        max(np.abs(first(to_float(photo)[np.newaxis])).max() for photo in (dark, bright)), rel=1e-4
    )


@pytest.mark.parametrize(("value", "near"), [(1.0, False), (16000.0, False), (17000.0, True), (1e9, True)])
def test_a_quarter_of_float16_is_near_its_end(value: float, near: bool):
    assert overflow.find_overflows({"it": value, "other": 0.5}) == ({"it"} if near else set())


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_on_one_photo_is_not_lost(graph, monkeypatch: pytest.MonkeyPatch, place: int):
    values = [np.ones(3), np.ones(3)]
    values[place] = np.array([1.0, np.nan, 1.0])
    monkeypatch.setattr(overflow, "run_graph", lambda graph, image, note: note("it", values.pop(0)))
    photo = np.zeros((16, 16, 3), np.uint8)
    assert np.isnan(overflow.measure_activations(graph, [photo, photo])["it"])


def test_what_is_no_number_counts_as_near():
    assert overflow.find_overflows({"it": float("nan")}) == {"it"}
