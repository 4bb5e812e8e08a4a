"""Space of a sweep: the recipe's keys that it varies, and the values that each may take."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress.config import from_mapping, require_fitting
from compress.errors import UsageError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Settings = dict[str, Any]
"""What one trial varies: `distill.width` -> 24."""
_MOST_VALUES = 10_000


@dataclass(frozen=True, kw_only=True)
class Range:
    """Range of a number, both ends in it."""

    low: float
    high: float
    log: bool = False
    """Whether a tenth of the range lies between 1 and 10 as it lies between 10 and 100."""
    step: float | None = None
    """Distance of neighbouring values; whole numbers are 1 apart where none is given."""

    @property
    def is_whole(self) -> bool:
        """True if its values are whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 0))

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UsageError(f"low = {self.low} and high = {self.high}, expected low below high.")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise UsageError(f"step = {self.step}, expected more than 0, at most high - low.")
        if self.log and (self.low <= 0 or self.step is not None):
            raise UsageError(f"log = true with low = {self.low} and step = {self.step}: expected low > 0 and no step.")


@dataclass(frozen=True)
class Axis:
    """A key of the recipe and the values that it takes."""

    key: str
    """`TABLE.KEY`."""
    values: tuple[Any, ...] | Range

    def listed(self) -> tuple[Any, ...]:
        """Return all of its values.

        Raises:
            UsageError: If it is a range without a step.
        """
        if not isinstance(self.values, Range):
            return self.values
        step = self.values.step or (1 if self.values.is_whole and not self.values.log else None)
        if step is None:
            raise UsageError(
                f"[space] {self.key} is a range without a step, and a grid needs all values. Give step or a list, or "
                'take method = "random".'
            )
        count = math.floor((self.values.high - self.values.low) / step + 1e-9) + 1
        if count > _MOST_VALUES:
            raise UsageError(f"[space] {self.key} has {count} values, expected at most {_MOST_VALUES} in a grid.")
        values = (self.values.low + place * step for place in range(count))
        # Three tenths, not 0.30000000000000004.
        return tuple(value if isinstance(value, int) else float(f"{value:.12g}") for value in values)

    def distribution(self) -> "BaseDistribution":
        """Return it as Optuna draws from it; a list by the places of its values, which may be of any type."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not isinstance(self.values, Range):
            return CategoricalDistribution(range(len(self.values)))
        low, high, log, step = self.values.low, self.values.high, self.values.log, self.values.step
        if self.values.is_whole:
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    def from_drawn(self, value: Any) -> Any:
        """Return the value that Optuna's stands for."""
        return value if isinstance(self.values, Range) else self.values[value]

    def to_drawn(self, value: Any) -> Any:
        """Return what stands for a value in Optuna."""
        return value if isinstance(self.values, Range) else self.values.index(value)


def grid(axes: Sequence[Axis]) -> list[Settings]:
    """Return every combination, the last axis fastest.

    Raises:
        UsageError: If an axis is a range without a step, or there are too many.
    """
    listed = [axis.listed() for axis in axes]
    if (count := math.prod(map(len, listed))) > _MOST_VALUES:
        raise UsageError(f"[space] has {count} combinations, expected at most {_MOST_VALUES} in a grid.")
    return [dict(zip((axis.key for axis in axes), values, strict=True)) for values in itertools.product(*listed)]


def parse_axes(table: Mapping[str, Any], kinds: Mapping[str, type[Any]], origin: str) -> tuple[Axis, ...]:
    """Parse the table `[space]`.

    Args:
        table: `TABLE.KEY` to a list or a range.
        kinds: Configuration classes of the recipe's tables that may be varied.
        origin: Name of the file, for errors.

    Raises:
        UsageError: If a key is none of the recipe's, a value is none that it takes, or nothing is varied.
    """
    axes = tuple(_parse_axis(key, given, kinds, f"{origin} [space]") for key, given in _flatten(table))
    if not axes:
        raise UsageError(f'{origin} [space] varies nothing. Give a key its values: "distill.width" = [16, 24].')
    return axes


def _flatten(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield keys and values; a key without quotes is a table of its own in TOML."""
    for key, given in table.items():
        if isinstance(given, Mapping) and "." not in key:
            yield from ((f"{key}.{inner}", value) for inner, value in given.items())
        else:
            yield key, given


def _parse_axis(key: str, given: Any, kinds: Mapping[str, type[Any]], origin: str) -> Axis:
    table, _, name = key.partition(".")
    if table not in kinds or not name:
        raise UsageError(f"{origin} has {key!r}, expected a recipe's TABLE.KEY in quotes; tables: {', '.join(kinds)}.")
    if isinstance(given, Mapping) and {"low", "high"} <= set(given):
        values: Any = from_mapping(Range, given, origin=f"{origin} {key}")
        tried = (values.low, values.high, *(() if values.step is None else (values.low + values.step,)))
    elif isinstance(given, list) and given:
        values = tried = tuple(given)
    else:
        raise UsageError(
            f"{origin}: {key} = {given!r}, expected a list of values, or a range: "
            "{low = 1e-4, high = 1e-2, log = true}."
        )
    for value in tried:
        require_fitting(kinds[table], {name: value}, origin=origin, table=table)
    if len({repr(value) for value in tried}) < len(tried):
        raise UsageError(f"{origin}: {key} = {given!r} holds a value twice. Leave one out.")
    return Axis(key, values)
