"""Convergence of a CycleGAN's training: the history of its KID, its noise, a verdict and a plot.

Plain numbers only; `training.kid` measures them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from compress.artifact import read_json_record
from compress.files.atomic import replace_text
from compress.training.kid import Kid, has_stalled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Direction = Literal["a2b", "b2a"]
DIRECTIONS: tuple[Direction, ...] = ("a2b", "b2a")
_ARROWS: Mapping[Direction, str] = {"a2b": "A→B", "b2a": "B→A"}
# Okabe and Ito's blue and vermilion, which colour-blind people tell apart as well.
_ADVICE = "Delete it: its checks are lost, the training is not."
_COLOURS: Mapping[Direction, str] = {"a2b": "#0072B2", "b2a": "#D55E00"}


@dataclass(frozen=True)
class KidCheck:
    """KID of both directions at one step; None where the measurement failed."""

    step: int
    a2b: Kid | None
    b2a: Kid | None

    def kid(self, direction: Direction) -> Kid | None:
        return self.a2b if direction == "a2b" else self.b2a


class KidPoint(NamedTuple):
    """KID of one direction at one step."""

    step: int
    kid: Kid


@dataclass(frozen=True)
class KidHistory:
    """Checks of a training in the order of their steps; immutable."""

    checks: tuple[KidCheck, ...] = ()
    control: KidCheck | None = None
    """KID of the untouched inputs: what doing nothing scores."""

    @classmethod
    def read(cls, path: Path) -> KidHistory:
        """Read a history that `write` wrote; an empty one where there is no file.

        Raises:
            UnusableArtifact: If the file holds something else.
        """
        return read_json_record(path, cls._parse, what="a history of KID", advice=_ADVICE) or cls()

    @classmethod
    def _parse(cls, raw: Mapping[str, Any]) -> KidHistory:
        control = _parse_check(raw["control"]) if raw["control"] else None
        return cls(tuple(map(_parse_check, raw["checks"])), control)

    def write(self, path: Path) -> None:
        """Write the history atomically, replacing the older one."""
        replace_text(path, json.dumps(asdict(self), indent=2, allow_nan=False) + "\n")

    def up_to(self, step: int) -> KidHistory:
        """Return the history as it was after `step` steps, for a run that resumes there."""
        return replace(self, checks=tuple(check for check in self.checks if check.step <= step))

    def with_check(self, check: KidCheck) -> KidHistory:
        """Return the history with a new check. Checks at its step and later, of a run that was killed, are dropped.

        Raises:
            ValueError: If the check is of another network than the history; pass `network` on to the measurement.
        """
        for direction in DIRECTIONS:
            if (kid := check.kid(direction)) and self.network not in ("auto", kid.network):
                raise ValueError(f"the check at step {check.step} is in {kid.network} features, not {self.network}'s.")
        return replace(self, checks=(*self.up_to(check.step - 1).checks, check))

    @property
    def network(self) -> str:
        """Network that every further check must use; `auto` before the first check, which chooses it."""
        kid = self._any_kid()
        return kid.network if kid else "auto"

    def points(self, direction: Direction) -> list[KidPoint]:
        """Return the KIDs of one direction, without the checks that failed."""
        return [KidPoint(check.step, kid) for check in self.checks if (kid := check.kid(direction))]

    def best(self, direction: Direction) -> KidPoint | None:
        """Return the point of the lowest mean, the earlier of equals; None before any check was measured."""
        return min(self.points(direction), key=lambda one: one.kid.mean, default=None)

    def has_improved(self, direction: Direction) -> bool:
        """Check whether the newest check is the best so far; never where its measurement failed."""
        best = self.best(direction)
        return best is not None and best.step == self.checks[-1].step

    def has_stalled(self, patience: int, direction: Direction | None = None) -> bool:
        """Check whether the last `patience` checks brought no improvement beyond the noise, see `kid.has_stalled`.

        Failed measurements count for nothing: they neither end a training nor keep it going.

        Args:
            patience: Number of measured checks, at least 1.
            direction: The one asked about; both must have stalled when None.
        """
        if direction is None:
            return all(self.has_stalled(patience, one) for one in DIRECTIONS)
        return has_stalled([kid for _, kid in self.points(direction)], patience)

    def verdict(self, patience: int) -> str:
        """Return one line for people: each direction's best KID and its step, and whether training has converged."""
        found = self._any_kid()
        if found is None:
            return "KID was not measured: nothing says whether training has converged"
        directions = "; ".join(self._summary(direction) for direction in DIRECTIONS)
        return f"{found.label}: {directions}. {self._conclusion(patience)}"

    def _conclusion(self, patience: int) -> str:
        fewest = min(len(self.points(direction)) for direction in DIRECTIONS)
        if fewest <= patience:
            return f"Too early to tell: {_format_count(fewest)} of at least {patience + 1}"
        moving = [_ARROWS[direction] for direction in DIRECTIONS if not self.has_stalled(patience, direction)]
        if moving:
            return (
                f"Not converged: {' and '.join(moving)} improved beyond the noise in the last {_format_count(patience)}"
            )
        notes = "".join(f", but {note}" for direction in DIRECTIONS for note in self._reservations(direction))
        return f"Converged: no improvement beyond the noise in the last {_format_count(patience)}{notes}"

    def _reservations(self, direction: Direction) -> Iterator[str]:
        """Yield what else looks converged: a training that diverged, and one that never improved on its inputs."""
        best, control = self.best(direction), self.control.kid(direction) if self.control else None
        if best is None:
            return
        if self.points(direction)[-1].kid.mean > best.kid.mean + best.kid.spread:
            yield f"{_ARROWS[direction]} is worse now than at its best"
        if control and best.kid.mean >= control.mean - control.spread:
            yield f"{_ARROWS[direction]} is no better than the untouched inputs"

    def _summary(self, direction: Direction) -> str:
        best = self.best(direction)
        if best is None:
            return f"{_ARROWS[direction]} not measured"
        control = self.control.kid(direction) if self.control else None
        untouched = f" (untouched {control.mean:.4f} ± {control.spread:.4f})" if control else ""
        return f"{_ARROWS[direction]} {best.kid.mean:.4f} ± {best.kid.spread:.4f} at step {best.step}{untouched}"

    def _any_kid(self) -> Kid | None:
        known = (self.control, *self.checks) if self.control else self.checks
        return next((kid for check in known for direction in DIRECTIONS if (kid := check.kid(direction))), None)


def plot_history(history: KidHistory, path: Path) -> None:
    """Draw the KID of both directions over the steps as a PNG.

    Each is a line with a band of one spread, a dot at its best, and a dashed line at the KID of the untouched inputs.

    Args:
        history: The checks to draw; nothing is written where nothing was measured.
        path: The PNG to write; replaced if it exists.
    """
    found = history._any_kid()
    if found is None:
        return
    # Only who draws waits for matplotlib; its Figure writes a PNG without pyplot, which would look for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for direction in DIRECTIONS:
        _draw(axes, history, direction)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"{found.label} (lower is better)")
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.5, alpha=0.4)
    figure.legend(loc="outside upper center", frameon=False, fontsize="small", ncols=2)
    figure.savefig(path, dpi=150)


def _draw(axes: Axes, history: KidHistory, direction: Direction) -> None:
    colour, arrow = _COLOURS[direction], _ARROWS[direction]
    if best := history.best(direction):
        steps, kids = zip(*history.points(direction), strict=True)
        low, high = [kid.mean - kid.spread for kid in kids], [kid.mean + kid.spread for kid in kids]
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, [kid.mean for kid in kids], color=colour, linewidth=1.8, label=f"{arrow} ± spread")
        label = f"{arrow} best: {best.kid.mean:.4f} at step {best.step}"
        axes.plot(best.step, best.kid.mean, "o", color=colour, markeredgecolor="white", markersize=9, label=label)
    if control := history.control.kid(direction) if history.control else None:
        label = f"{arrow} untouched inputs: {control.mean:.4f}"
        axes.axhline(control.mean, color=colour, linestyle="--", linewidth=1.2, label=label)


def _format_count(count: int) -> str:
    return f"{count} check" if count == 1 else f"{count} checks"


def _parse_check(raw: Mapping[str, Any]) -> KidCheck:
    kids = (Kid(**raw[direction]) if raw[direction] else None for direction in DIRECTIONS)
    return KidCheck(int(raw["step"]), *kids)
