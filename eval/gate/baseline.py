"""Baseline files, which `compress eval accept` writes and the gate compares with, and what a new one changes."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import UnusableData
from compress.files.atomic import atomic_write_text
from compress.strict_json import load_json
from eval.gate.measurement import Measurement

_log = logging.getLogger(__name__)


def read_baseline(path: Path) -> Measurement:
    """Read a baseline file.

    Raises:
        UnusableData: If it is missing, no JSON, not what `compress eval accept` writes, or was changed since.
    """
    try:
        record = load_json(path)
    except (OSError, ValueError) as error:
        raise UnusableData(f"{path} cannot be read as a baseline file: {error}") from error
    return Measurement.from_mapping(record, origin=str(path))


def read_replaced_baseline(path: Path) -> Measurement | None:
    """Read the baseline file that is about to be replaced; None, and a warning, where it cannot be used."""
    try:
        return read_baseline(path) if path.exists() else None
    except UnusableData as error:
        _log.warning("%s What changes against it cannot be said.", error)
        return None


def write_baseline(measurement: Measurement, path: Path, *, overwrite: bool = False) -> None:
    """Write a baseline file, atomically; one line for each entry, so that a commit shows which ones changed.

    Raises:
        UsageError: If it exists and `overwrite` is false.
    """
    entries = [f'"{name}": {json.dumps(value)}' for name, value in measurement.to_mapping().items()]
    atomic_write_text(path, "{\n" + ",\n".join(entries) + "\n}\n", overwrite=overwrite)


def find_changes(old: Measurement, new: Measurement) -> dict[str, dict[str, Any]]:
    """Return what a new baseline changes: by name, `from` and `to`, of the means and of their key."""
    before, after = _collect_facts(old), _collect_facts(new)
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in [*before, *(name for name in after if name not in before)]
        if before.get(name) != after.get(name)
    }


def format_changes(changed: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the result of `find_changes` as text."""
    if not changed:
        return "nothing changed against the old baseline."
    lines = [
        f"{name}: {_format_value(change['from'])} -> {_format_value(change['to'])}" for name, change in changed.items()
    ]
    return "\n".join(["changed against the old baseline:", *lines])


def _collect_facts(measurement: Measurement) -> dict[str, Any]:
    facts: dict[str, Any] = {name: distance.value for name, distance in measurement.distances.items()}
    facts |= {name: float(f"{values.mean():.6g}") for name, values in measurement.paired.items()}
    return facts | {
        "size_bytes": measurement.size_bytes,
        "teacher_sha256": measurement.teacher_sha256,
        **{f"key.{name}": value for name, value in measurement.key.items()},
    }


def _format_value(value: Any) -> str:
    return "none" if value is None else str(value)
