"""Progress of what takes long: a bar on a terminal, and elsewhere, as in the log of a CI job, a line now and then."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 30.0
"""Seconds between the lines where stderr is no terminal; what is done before has none."""
_LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {rate_fmt}, {remaining} left{postfix}"


def progress(
    items: Iterable[Any] | None = None,
    *,
    name: str,
    unit: str,
    total: int | None = None,
    done: int = 0,
    stays: bool = True,
    scaled: bool = False,
) -> tqdm:
    """Return a bar, or what writes a line every `LINE_EVERY_S` seconds, on stderr; close it or leave its `with`.

    Args:
        items: What to go through, counting; None for a caller that counts with `update`.
        name: What is done.
        unit: What is counted, in the singular.
        total: How many there are; the length of `items` when None.
        done: How many were done before, which the speed and the time left do not count.
        stays: Whether a bar that is full stays on the screen.
        scaled: Whether counts are written as 1.5M.
    """
    shown = {"desc": name, "unit": unit, "total": total, "initial": done, "leave": stays, "unit_scale": scaled}
    if sys.stderr.isatty() and _has_columns():
        return tqdm(items, file=sys.stderr, **shown)
    line = _LINE if total is not None or hasattr(items, "__len__") else None
    return _Lines(
        items, file=sys.stderr, mininterval=LINE_EVERY_S, miniters=1, delay=LINE_EVERY_S, bar_format=line, **shown
    )


def _has_columns() -> bool:
    """Check that the terminal says how wide it is; a bar on one of no columns is invisible."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return True


class _Lines(tqdm):
    """A bar whose every state is a line of its own, so that a log keeps them."""

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Return the function that shows a state; an empty one, by which a bar is wiped out, is no line."""

        def write(state: str) -> None:
            if state.strip():
                file.write(f"{state.strip()}\n")
                file.flush()

        return write

    def close(self) -> None:
        """Write the last state where it was not written yet, but nothing for what was over before any was."""
        was_shown = not self.disable and self.last_print_t >= self.start_t + self.delay
        if was_shown and self.leave and self.n != self.last_print_n:
            self.display()
        # Else tqdm ends the line that its bar is on.
        self.delay = float("inf")
        super().close()
