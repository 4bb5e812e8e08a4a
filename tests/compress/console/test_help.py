"""Help under headings: what a screen holds, in which order, and that every flag is in it once."""

import os
import re
import subprocess
from collections.abc import Callable

import pytest

from compress import cli

COMMANDS = ("teach", "distill", "prune", "quantize")


@pytest.fixture
def help_text(command: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[[str], list[str]]:
    """Show the help of a command, 100 columns wide; in a process of its own, since a console keeps its first width."""
    environment = {**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1"}

    def show(name: str) -> list[str]:
        finished = command(name, "--help", env=environment)
        assert finished.returncode == 0
        return finished.stdout.splitlines()

    return show


def _flags(lines: list[str]) -> list[str]:
    names = [found.group(1) for line in lines if (found := re.match(r"│ \*?\s*(--[a-z0-9-]+)", line))]
    # A long switch has its negative on a line of its own.
    return [name for name in names if not name.startswith("--no-")]


def _headings(lines: list[str]) -> list[str]:
    return [found.group(1) for line in lines if (found := re.match(r"╭─ (\w+) ─", line))]


def test_the_help_of_distill_fits_two_screens_under_headings(help_text) -> None:
    lines = help_text("distill")
    assert len(lines) <= 140
    assert _headings(lines) == ["Parameters", "Network", "Training", "Losses", "Teacher", "Discriminator"]
    assert lines[0].startswith("Usage: compress distill --out")


def test_the_common_flags_come_first(help_text) -> None:
    assert _flags(help_text("distill"))[:15] == [
        "--teacher", "--data", "--pairs", "--out", "--recipe", "--image-size-px", "--steps", "--batch-size", "--family",
        "--width", "--blocks", "--domain", "--seed", "--overwrite", "--json",
    ]  # fmt: skip


@pytest.mark.parametrize("stage", COMMANDS)
def test_every_flag_is_shown_once_and_under_a_heading_that_was_chosen_for_it(help_text, stage: str) -> None:
    flags = _flags(help_text(stage))
    arguments = cli.app[stage].assemble_argument_collection()
    assert sorted(flags) == sorted(argument.name for argument in arguments if argument.show)
    chosen = {f"--{name.replace('_', '-')}" for names in cli.HEADINGS.values() for name in names}
    assert set(flags) <= chosen


def test_no_heading_names_a_flag_that_is_gone() -> None:
    known = {argument.name for command in COMMANDS for argument in cli.app[command].assemble_argument_collection()}
    chosen = {f"--{name.replace('_', '-')}" for names in cli.HEADINGS.values() for name in names}
    assert chosen <= known


@pytest.mark.parametrize("stage", ["prune", "quantize"])
def test_a_stage_that_fine_tunes_shows_no_losses_and_no_discriminator(help_text, stage: str) -> None:
    lines = help_text(stage)
    assert _headings(lines) == ["Parameters", "Training", "Teacher"]
    assert len(lines) <= 77
