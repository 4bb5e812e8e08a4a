"""`compress doctor`: what this machine lets the tool do, and what to do where something is missing."""

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from compress.distill import perceptual
from compress.doctor import extras, machine, network
from compress.doctor.findings import Finding
from compress.text_table import format_columns

_MARKS = {"ok": "ok", "missing": "--", "note": ""}


def examine(
    weights: Mapping[str, tuple[Path | None, str, str]], *, deep: bool = False, ask_network: bool = False
) -> list[Finding]:
    """Look at everything, without loading a framework here.

    Args:
        weights: Of the networks that score, see `machine.check_weights`; the one that trains is known here.
        deep: Whether to ask TensorFlow and PyTorch for their devices, which takes up to a minute.
        ask_network: Whether to ask the places that things are fetched from.
    """
    return [
        *machine.check_python(),
        *extras.check_extras(f"{sys.platform}/{platform.machine()}"),
        *machine.check_disk(),
        *machine.check_accelerators(deep=deep),
        *machine.check_caches(),
        *machine.check_weights(_training_weights() | dict(weights)),
        *(network.check_network(network.places()) if ask_network else ()),
    ]


def _training_weights() -> dict[str, tuple[Path | None, str, str]]:
    purpose = "the default losses of compress distill; needs the extra train"
    return {perceptual.DEFAULT_NETWORK: (perceptual.find_lite2(), perceptual.LITE2_SHA256, purpose)}


def to_record(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return findings as JSON-ready: a list of them by topic."""
    return {
        topic: [{key: value for key, value in asdict(one).items() if key != "topic"} for one in group]
        for topic, group in groupby(findings, key=lambda one: one.topic)
    }


def format_findings(findings: Iterable[Finding]) -> str:
    """Format findings for people, by topic; what they mean stands under each."""
    lines = []
    for topic, group in groupby(findings, key=lambda one: one.topic):
        members = list(group)
        rows = format_columns([(f"  {one.name}", _MARKS[one.status], one.found) for one in members])
        lines.append(topic)
        for one, row in zip(members, rows, strict=True):
            lines += [row, *([f"      {one.means}"] if one.means else [])]
    return "\n".join(lines)
