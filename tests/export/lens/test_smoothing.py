"""Steadying a face's square: a still head keeps still, a quick one is followed, a cut begins anew."""

import json
import math

import numpy as np
import pytest

from compress.faces.template import Placement
from export.lens.smoothing import PlacementFilter

RATE_HZ = 30
STILL = Placement(x=300, y=200, side_px=256, roll_rad=0.1)


def follow(placements: list[Placement]) -> np.ndarray:
    """The smoothed squares of frames: x, y, side, roll each."""
    smooth = PlacementFilter()
    found = [smooth(placement, index / RATE_HZ) for index, placement in enumerate(placements)]
    return np.array([[each.x, each.y, each.side_px, each.roll_rad] for each in found])


def as_placements(values: np.ndarray) -> list[Placement]:
    return [Placement(x=x, y=y, side_px=side, roll_rad=roll) for x, y, side, roll in values.tolist()]


def test_a_still_head_shakes_less_than_a_third_as_much() -> None:
    noise = np.random.default_rng(0).normal(0, [0.3, 0.3, 0.7, 0.003], (300, 4))
    shaken = np.add(noise, [STILL.x, STILL.y, STILL.side_px, STILL.roll_rad])
    smoothed = follow(as_placements(shaken))[60:]
    assert (smoothed.std(axis=0) < shaken.std(axis=0) / 3).all()
    assert (np.abs(smoothed.mean(axis=0) - shaken[60:].mean(axis=0)) < [0.1, 0.1, 0.2, 0.001]).all()


@pytest.mark.parametrize("sides_per_s", [0.5, 1.0, 3.0])
def test_a_moving_head_is_followed_closely(sides_per_s: float) -> None:
    x = 300 + 256 * sides_per_s * np.arange(60) / RATE_HZ
    values = np.stack([x, *(np.full(60, value) for value in (200, 256, 0.1))], axis=1)
    late = values[30:, 0] - follow(as_placements(values))[30:, 0]
    assert 0 <= late.max() < 0.07 * 256


@pytest.mark.parametrize(
    "after",
    [
        Placement(x=400, y=200, side_px=256, roll_rad=0.1),
        Placement(x=300, y=100, side_px=256, roll_rad=0.1),
        Placement(x=300, y=200, side_px=400, roll_rad=0.1),
        Placement(x=300, y=200, side_px=256, roll_rad=0.9),
    ],
)
def test_after_a_cut_the_new_place_is_taken_at_once(after: Placement) -> None:
    found = follow([*[STILL] * 10, after])
    np.testing.assert_allclose(found[-1], [after.x, after.y, after.side_px, after.roll_rad])


def test_a_roll_goes_the_short_way_round() -> None:
    smooth = PlacementFilter()
    smooth(Placement(x=0, y=0, side_px=100, roll_rad=math.pi - 0.05), 0.0)
    found = smooth(Placement(x=0, y=0, side_px=100, roll_rad=-math.pi + 0.05), 1 / RATE_HZ)
    assert math.pi - 0.05 < found.roll_rad < math.pi + 0.05


def test_smoothing_depends_on_time_and_not_on_the_number_of_frames() -> None:
    """A head that drifts lags as far behind at 30 and at 60 frames a second."""
    lag = []
    for rate in (30, 60):
        smooth, drift = PlacementFilter(), 300 + 40 * np.arange(2 * rate) / rate
        found = [smooth(Placement(x=x, y=200, side_px=256), index / rate).x for index, x in enumerate(drift.tolist())]
        lag.append(drift[-1] - found[-1])
    assert lag[0] == pytest.approx(lag[1], rel=0.15)


def test_a_state_read_from_json_goes_on_the_same() -> None:
    values = np.add(np.random.default_rng(1).normal(0, 2.56, (20, 4)), [300, 200, 256, 0])
    values[:, 3] = 0.1
    one = PlacementFilter()
    for index, placement in enumerate(as_placements(values[:10])):
        one(placement, index / RATE_HZ)
    other = PlacementFilter(**json.loads(json.dumps(one.to_record())))
    for index, placement in enumerate(as_placements(values[10:]), 10):
        assert one(placement, index / RATE_HZ) == other(placement, index / RATE_HZ)
