"""Classes of failures: which attempts are worth another, and how."""

import re
from typing import Literal

from compress.errors import ParityError, UnsupportedLayer, UnusableInput, UsageError
from compress.fleet.sweep.attempt import Report

Failure = Literal["input", "memory", "lost", "other"]
"""Input that will never do; too little memory; killed, or its worker or node gone; anything else, such as a bug."""
_INPUT = {error.exit_code for error in (UsageError, UnusableInput, UnsupportedLayer, ParityError)}
_MEMORY = re.compile(r"out of memory|MemoryError|RESOURCE_EXHAUSTED|ResourceExhausted|OOM when allocating|bad_alloc")
_SIGNALS = range(129, 193)
_SPEAKER = "compress: "
_FOLLOWS = "stopped at "
_LONGEST = 500


def classify(report: Report) -> Failure | None:
    """Return the class of how an attempt ended; None of one that did not fail."""
    if report.exit_code in (0, None):
        return None
    if report.exit_code in _INPUT:
        return "input"
    if report.was_out_of_memory or _MEMORY.search(report.said):
        return "memory"
    return "lost" if report.exit_code in _SIGNALS else "other"


def explain(report: Report) -> str:
    """Return why an attempt failed, in the words of the stage that did; else its exit code."""
    reasons: list[str] = []
    for line in report.said.splitlines():
        if line.startswith(_SPEAKER):
            reasons.append(line.removeprefix(_SPEAKER))
        elif reasons and line.startswith(" " * len(_SPEAKER)):
            reasons[-1] += f" {line.strip()}"
    own = [reason for reason in reasons if not reason.startswith(_FOLLOWS)]
    said = own[-1] if own else f"compress run ended with {report.exit_code}"
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
