"""What an image costs in energy, by the counters that processors keep of themselves (RAPL), where they are readable.

A counter is that of a whole processor: its idle cores and whatever else runs are in it. It counts on about every
millisecond, so a turn of some milliseconds is told within a fifth, and the median over rounds better.

Source: Linux, Documentation/power/powercap/powercap.rst.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, kw_only=True)
class Counter:
    """The energy counter of one processor."""

    name: str
    energy_uj: Path
    range_uj: int
    """Where it starts again at 0, microjoules."""

    def read(self) -> int:
        """Microjoules since it last started at 0."""
        return int(self.energy_uj.read_text())


class EnergyMeter:
    """Energy of the models that take turns.

    Args:
        counters: From `find_counters`; with none, nothing is measured.
    """

    def __init__(self, counters: tuple[Counter, ...]) -> None:
        self.counters = counters
        self._per_invoke_uj: dict[int, list[float]] = {}

    def read(self) -> Mapping[Counter, int]:
        """Where all counters stand."""
        return {counter: counter.read() for counter in self.counters}

    def add_turn(self, position: int, before: Mapping[Counter, int], invokes: int) -> None:
        """Count a turn's energy towards a model, given where the counters stood before it."""
        if not self.counters:
            return
        spent = sum((now - before[counter]) % counter.range_uj for counter, now in self.read().items())
        self._per_invoke_uj.setdefault(position, []).append(spent / invokes)

    def energy_mj(self, position: int) -> float | None:
        """A model's energy per invoke, the median over its turns, millijoules; None where nothing was measured."""
        turns = self._per_invoke_uj.get(position)
        return median(turns) / 1e3 if turns else None


def find_counters(folder: Path = POWERCAP) -> tuple[Counter, ...]:
    """The counters of whole processors that this user may read; most systems grant that to root alone."""
    found = []
    # A processor's parts (intel-rapl:0:0) are within it.
    for zone in sorted(folder.glob("*-rapl:[0-9]*")):
        if zone.name.count(":") != 1:
            continue
        try:
            name = (zone / "name").read_text().strip()
            # One more than the largest value, after which comes 0.
            counter = Counter(
                name=name,
                energy_uj=zone / "energy_uj",
                range_uj=int((zone / "max_energy_range_uj").read_text()) + 1,
            )
            counter.read()
        except (OSError, ValueError):
            continue
        if name.startswith("package"):
            found.append(counter)
    return tuple(found)
