"""Whether a CycleGAN's training has converged: the history of its KID, what is noise in it, and the curve to look at.

Plain numbers only; `watch` measures them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from compress.artifact import atomic_write_text
from compress.errors import UnusableArtifact

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Direction = Literal["a2b", "b2a"]
DIRECTIONS: tuple[Direction, ...] = ("a2b", "b2a")
_ARROWS: Mapping[Direction, str] = {"a2b": "A→B", "b2a": "B→A"}
# Okabe and Ito's blue and vermilion, which colour-blind people tell apart as well.
_COLOURS: Mapping[Direction, str] = {"a2b": "#0072B2", "b2a": "#D55E00"}


@dataclass(frozen=True, kw_only=True)
class Kid:
    """The kernel distance of generated images to real ones.

    Raises:
        ValueError: If a number is not finite: it could neither be compared nor written as JSON.
    """

    mean: float
    """Over subsets; unbiased, so it may fall below 0."""
    spread: float
    """Standard deviation over subsets of half of the images, see `eval.distribution.kid`."""
    metric: str
    """The name that `compress eval score` gives it: `kid` in Inception's features, else the network's name is in it."""
    network: str
    """What `--network` takes: whose features these are. KIDs of two networks do not compare."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.spread)):
            raise ValueError(f"a KID of {self.mean} ± {self.spread} says nothing; expected finite numbers.")


@dataclass(frozen=True)
class Check:
    """Both directions measured at one step; None where the measurement failed."""

    step: int
    a2b: Kid | None
    b2a: Kid | None

    def of(self, direction: Direction) -> Kid | None:
        return self.a2b if direction == "a2b" else self.b2a


class Measured(NamedTuple):
    """One direction at one step."""

    step: int
    kid: Kid


@dataclass(frozen=True)
class History:
    """The checks of a training in the order of their steps; never changed, a longer one takes its place."""

    checks: tuple[Check, ...] = ()
    control: Check | None = None
    """Of the untouched inputs: the KID of doing nothing."""

    @classmethod
    def read(cls, path: Path) -> History:
        """Read what `write` wrote; an empty history where there is no file.

        Raises:
            UnusableArtifact: If the file holds something else.
        """
        if not path.exists():
            return cls()
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(map(_check, raw["checks"])), _check(raw["control"]) if raw["control"] else None)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableArtifact(
                f"{path} cannot be read as a history of KID ({error!r}). Delete it: its checks are lost, the training "
                "is not."
            ) from error

    def write(self, path: Path) -> None:
        """Write the history in place of the older one."""
        atomic_write_text(path, json.dumps(asdict(self), indent=2, allow_nan=False) + "\n", overwrite=True)

    def up_to(self, step: int) -> History:
        """What was known when `step` steps were done: what a run that goes on from there shall know."""
        return replace(self, checks=tuple(check for check in self.checks if check.step <= step))

    def with_check(self, check: Check) -> History:
        """The history with its newest check. Checks at that step and later ones, of a run that was killed, are dropped.

        Raises:
            ValueError: If the check is of another network than the history; pass `network` on to the measurement.
        """
        for direction in DIRECTIONS:
            if (kid := check.of(direction)) and self.network not in ("auto", kid.network):
                raise ValueError(f"the check at step {check.step} is in {kid.network} features, not {self.network}'s.")
        return replace(self, checks=(*self.up_to(check.step - 1).checks, check))

    @property
    def network(self) -> str:
        """The network that every further check must use; `auto` before the first one, which chooses."""
        kid = self._any_kid()
        return kid.network if kid else "auto"

    def measured(self, direction: Direction) -> list[Measured]:
        """One direction's curve, without the checks that failed."""
        return [Measured(check.step, kid) for check in self.checks if (kid := check.of(direction))]

    def best(self, direction: Direction) -> Measured | None:
        """Where the mean was lowest, the earlier one of equals; None before any check was measured."""
        return min(self.measured(direction), key=lambda one: one.kid.mean, default=None)

    def improved(self, direction: Direction) -> bool:
        """Whether the newest check is the best so far; never where its measurement failed."""
        best = self.best(direction)
        return best is not None and best.step == self.checks[-1].step

    def has_stalled(self, patience: int, direction: Direction | None = None) -> bool:
        """Whether the last `patience` checks brought nothing that is more than noise.

        The lowest mean before the last `patience` checks is the reference. The direction has stalled when none of
        these checks lies below it by more than the reference's own spread: the one-standard-error rule. The reference
        stays put while the checks go on, so slow progress adds up and counts.

        The spread is a standard deviation over KID's 100 subsets, yet a tenth of it is not the noise: the subsets are
        halves of the same images, and more of them cannot make up for images that are not there. For halves drawn
        without replacement the spread itself is about the standard error; simulated with Gaussian features and 200
        images, it was 1.0 to 1.4 times the true one. Two checks share the real images, the inputs and the draw of the
        subsets, so their difference is less noisy than that of independent figures: about 0.7 spreads there, with half
        of the images' variance shared. Noise alone thus puts one check in thirteen a spread below another.

        What each check must bring depends on the patience: with that noise, a steady half spread a check is taken for
        standing still at one moment in five with a patience of 3, one in 170 with 5, none with 8 (simulated).

        Failed measurements count for nothing: they neither end a training nor keep it going.

        Args:
            patience: How many measured checks, at least 1.
            direction: The one asked about; both must have stalled when None.

        Source: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, for the rule.
        """
        if patience < 1:
            raise ValueError(f"patience = {patience}; expected at least 1 check.")
        if direction is None:
            return all(self.has_stalled(patience, one) for one in DIRECTIONS)
        kids = [kid for _, kid in self.measured(direction)]
        earlier, last = kids[:-patience], kids[-patience:]
        if not earlier:
            return False
        reference = min(earlier, key=lambda kid: kid.mean)
        return min(kid.mean for kid in last) >= reference.mean - reference.spread

    def verdict(self, patience: int) -> str:
        """One line for people: each direction's best KID and where it was, and whether training has converged."""
        found = self._any_kid()
        if found is None:
            return "KID was not measured: nothing says whether training has converged"
        directions = "; ".join(self._summary(direction) for direction in DIRECTIONS)
        return f"{_label(found)}: {directions}. {self._conclusion(patience)}"

    def _conclusion(self, patience: int) -> str:
        fewest = min(len(self.measured(direction)) for direction in DIRECTIONS)
        if fewest <= patience:
            return f"Too early to tell: {_checks(fewest)} of at least {patience + 1}"
        moving = [_ARROWS[direction] for direction in DIRECTIONS if not self.has_stalled(patience, direction)]
        if moving:
            return f"Not converged: {' and '.join(moving)} improved beyond the noise in the last {_checks(patience)}"
        notes = "".join(f", but {note}" for direction in DIRECTIONS for note in self._reservations(direction))
        return f"Converged: no improvement beyond the noise in the last {_checks(patience)}{notes}"

    def _reservations(self, direction: Direction) -> Iterator[str]:
        """What else looks like standing still: a training that fell apart, and one that never got anywhere."""
        best, control = self.best(direction), self.control.of(direction) if self.control else None
        if best is None:
            return
        if self.measured(direction)[-1].kid.mean > best.kid.mean + best.kid.spread:
            yield f"{_ARROWS[direction]} is worse now than at its best"
        if control and best.kid.mean >= control.mean - control.spread:
            yield f"{_ARROWS[direction]} is no better than the untouched inputs"

    def _summary(self, direction: Direction) -> str:
        best = self.best(direction)
        if best is None:
            return f"{_ARROWS[direction]} not measured"
        control = self.control.of(direction) if self.control else None
        untouched = f" (untouched {control.mean:.4f} ± {control.spread:.4f})" if control else ""
        return f"{_ARROWS[direction]} {best.kid.mean:.4f} ± {best.kid.spread:.4f} at step {best.step}{untouched}"

    def _any_kid(self) -> Kid | None:
        known = (self.control, *self.checks) if self.control else self.checks
        return next((kid for check in known for direction in DIRECTIONS if (kid := check.of(direction))), None)


def plot(history: History, path: Path) -> None:
    """Draw the KID of both directions over the steps as a PNG: a line with a band of one spread, a dot where it was
    best, and dashed what the untouched inputs get.

    Args:
        history: What is drawn; nothing is written where nothing was measured.
        path: The PNG; replaced if it exists.
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
    axes.set_ylabel(f"{_label(found)} (lower is better)")
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.5, alpha=0.4)
    figure.legend(loc="outside upper center", frameon=False, fontsize="small", ncols=2)
    figure.savefig(path, dpi=150)


def _draw(axes: Axes, history: History, direction: Direction) -> None:
    colour, arrow = _COLOURS[direction], _ARROWS[direction]
    if best := history.best(direction):
        steps, kids = zip(*history.measured(direction), strict=True)
        low, high = [kid.mean - kid.spread for kid in kids], [kid.mean + kid.spread for kid in kids]
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, [kid.mean for kid in kids], color=colour, linewidth=1.8, label=f"{arrow} ± spread")
        label = f"{arrow} best: {best.kid.mean:.4f} at step {best.step}"
        axes.plot(best.step, best.kid.mean, "o", color=colour, markeredgecolor="white", markersize=9, label=label)
    if control := history.control.of(direction) if history.control else None:
        label = f"{arrow} untouched inputs: {control.mean:.4f}"
        axes.axhline(control.mean, color=colour, linestyle="--", linewidth=1.2, label=label)


def _label(kid: Kid) -> str:
    """KID is the name of the distance in Inception's features; in others, it is said whose they are."""
    return "KID" if kid.metric == "kid" else f"KID in {kid.network} features"


def _checks(count: int) -> str:
    return f"{count} check" if count == 1 else f"{count} checks"


def _check(raw: Mapping[str, Any]) -> Check:
    kids = (Kid(**raw[direction]) if raw[direction] else None for direction in DIRECTIONS)
    return Check(int(raw["step"]), *kids)
