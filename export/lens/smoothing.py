"""Steadying where a face is laid from frame to frame: slow moves are smoothed, quick ones followed.

Source: Casiez et al. 2012, 1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems,
CHI 2012, section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.faces.template import Placement

_SLOWEST_HZ = 0.02
"""Cut-off frequency for a head that keeps still."""
_HZ_PER_SPEED = 0.5
"""What it rises by for each side of the square that the head moves in a second; likewise for turning and growing."""
_HZ_PER_LAG = 200.0
"""What it rises by for each side that the square lags behind, beyond `_REST`; the paper's filter has no such term.

By speed alone, it would follow what the detectors see in noise, or lag behind a slow head.
"""
_REST = (0.012, 0.012, 0.03, 0.03)
"""Lag that is left alone, of x, y, the side's logarithm and the roll: some four times what noise of 4 of 255 does."""
_SPEED_HZ = 1.0
"""Cut-off frequency of the speed itself, as in the paper."""
_JUMP = (0.2, 0.2, 0.25, 0.35)
"""Change within a frame that is a cut: of x and y in sides, of the side's logarithm, of the roll in radians."""
_ROLL = 3


@dataclass
class PlacementFilter:
    """One-Euro filter of a square's centre, the logarithm of its side, and its roll; a jump begins it anew."""

    time_s: float = 0.0
    values: list[float] = field(default_factory=list)
    """x and y in pixels, logarithm of the side, roll in radians, smoothed; empty before the first frame."""
    found: list[float] = field(default_factory=list)
    """The same as they were found in the frame before."""
    speeds: list[float] = field(default_factory=list)
    """Of each, in sides or radians a second."""

    def __call__(self, placement: Placement, time_s: float) -> Placement:
        """Return the smoothed square of a frame.

        Args:
            placement: The square as it was found.
            time_s: When the frame is shown, seconds; later than the frame before, else the square is taken as it is.
        """
        found = np.array([placement.x, placement.y, math.log(placement.side_px), placement.roll_rad])
        step_s = time_s - self.time_s
        self.time_s = time_s
        if not self.values or step_s <= 0:
            return self._begin(found)
        before = np.array(self.values)
        # Speeds are those of what was found: what is smoothed lags behind, the more the fewer frames there are.
        change, step = _difference(found, before), _difference(found, np.array(self.found))
        unit = np.array([placement.side_px, placement.side_px, 1.0, 1.0])
        if (np.abs(step / unit) > _JUMP).any():
            return self._begin(found)
        speed = np.array(self.speeds)
        speed += _weight(np.full(4, _SPEED_HZ), step_s) * (step / unit / step_s - speed)
        lag = np.maximum(np.abs(change / unit) - _REST, 0)
        cutoff_hz = _SLOWEST_HZ + _HZ_PER_SPEED * np.abs(speed) + _HZ_PER_LAG * lag
        after = before + _weight(cutoff_hz, step_s) * change
        self.values, self.found, self.speeds = after.tolist(), found.tolist(), speed.tolist()
        return _placement(self.values)

    def _begin(self, found: np.ndarray) -> Placement:
        self.values, self.found, self.speeds = found.tolist(), found.tolist(), [0.0] * len(found)
        return _placement(self.values)

    def to_record(self) -> dict[str, Any]:
        """Return its state as JSON has it."""
        return {"time_s": self.time_s, "values": self.values, "found": self.found, "speeds": self.speeds}


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how one square lies to another, the roll the short way round."""
    difference = one - other
    difference[_ROLL] = math.remainder(difference[_ROLL], math.tau)
    return difference


def _weight(cutoff_hz: np.ndarray, step_s: float) -> np.ndarray:
    """Return the share of the newest value in a low-pass filter of a cut-off frequency."""
    turned = math.tau * cutoff_hz * step_s
    return turned / (turned + 1)


def _placement(values: Sequence[float]) -> Placement:
    x, y, log_side, roll_rad = values
    return Placement(x=x, y=y, side_px=math.exp(log_side), roll_rad=roll_rad)
