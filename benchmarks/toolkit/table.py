"""The table of the toolkit's own speed, for people."""

from collections.abc import Mapping
from typing import Any

from benchmarks.timing.noise import group_withheld
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_toolkit`: its table, withheld and skipped entries, and the conditions of the run."""
    rows: list[tuple[str, ...]] = [("what", "seconds (min - max)", "takes as long as (range)")]
    rows += [(entry["name"], _seconds(entry), _multiple(entry)) for entry in record["entries"]]
    rows += [(calibrator["name"], _seconds(calibrator), "") for calibrator in record["calibrators"]]
    machine = record["machine"]
    withheld = group_withheld(record["entries"])
    return "\n".join(
        [
            *format_columns(rows),
            *(f"no ratio of {'; '.join(names)}: {why}." for why, names in withheld.items()),
            *(f"{name} was skipped: no {', '.join(missing)}." for name, missing in record["skipped"].items()),
            f"{record['runs']} interleaved rounds, {machine['cpu']} ({machine['cores']} cores, load "
            f"{machine['load_average']}), Python {machine['python']}",
        ]
    )


def _seconds(timed: Mapping[str, Any]) -> str:
    seconds = timed["seconds"]
    return f"{seconds['median']:.3g} ({seconds['min']:.3g} - {seconds['max']:.3g})"


def _multiple(entry: Mapping[str, Any]) -> str:
    if entry["withheld"]:
        return "too noisy"
    least, most = entry["speedup_range"]
    return f"{1 / entry['speedup']:.3g} ({1 / most:.3g} - {1 / least:.3g}) x {entry['over']}"
