"""Trials of a sweep, and how they ended, as its folder holds them; whoever reads a sweep reads these.

DIR/sweep.toml                what was asked for, as it was written
DIR/asked.json                its inputs as absolute paths, and the keys of its trials in the order of their numbers
DIR/trials/KEY/trial.json     a trial
DIR/trials/KEY/recipe.toml    its recipe as a file; with half the batch where memory did not suffice
DIR/trials/KEY/run/           the folder of its `compress run`
DIR/trials/KEY/outcome.json   how it ended; missing until then
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from compress.errors import UnusableArtifact
from compress.files.atomic import replace_text
from compress.strict_json import load_json, parse_record

SWEEP, ASKED, TRIALS, TABLE = "sweep.toml", "asked.json", "trials", "table.json"
RECIPE = "recipe.toml"
_TRIAL, _RUN, _OUTCOME = "trial.json", "run", "outcome.json"
Status = Literal["finished", "stopped", "over_budget", "failed"]
"""How a trial ended: trained; stopped by halving; never trained, being over a budget; failed."""


@dataclass(frozen=True)
class Trial:
    """One run of the sweep's recipe."""

    number: int
    """Place in the order in which the trials were proposed, from 0."""
    key: str
    """12 hexadecimal digits of the SHA-256 of its recipe and of the contents of its data and teacher."""
    settings: Mapping[str, Any]
    """What this trial varies: `distill.width` -> 24."""
    recipe: str
    """Its recipe as TOML, as `compress run` takes it."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended; written by the driver of the sweep alone."""

    status: Status
    reason: str | None
    """For people: the line of the error, the budget and the figure, the rank; None where there is nothing to say."""
    attempts: int
    seconds: float
    """Of work, all attempts together."""
    node: str | None
    """Address of the node that did the last of it; None where nothing was done."""
    macs: int | None = None
    size_bytes: int | None = None
    latency_ratio: float | None = None
    held_back: tuple[tuple[int, float, float], ...] = ()
    """Step, KID and its spread, of every measurement on held-back training photos."""
    kept_step: int | None = None
    """Step whose weights the student has; None where none was finished."""


@dataclass(frozen=True)
class Inputs:
    """What all trials of a sweep read, as absolute paths."""

    data: str
    teacher: str | None
    """None where every trial trains its own, as its recipe's [teach] says."""


def trial_folder(sweep_dir: Path, key: str) -> Path:
    """Return the folder of a trial."""
    return sweep_dir / TRIALS / key


def run_folder(sweep_dir: Path, key: str) -> Path:
    """Return the folder of a trial's `compress run`."""
    return trial_folder(sweep_dir, key) / _RUN


def run_arguments(sweep_dir: Path, key: str, inputs: Inputs) -> list[str]:
    """Return the arguments of `compress` that run a trial to its end: scores, latency and report.

    With `--until` a stage's output, it ends there, as a sweep's trials do before some of them are chosen.
    """
    folder = trial_folder(sweep_dir, key).absolute()
    teacher = () if inputs.teacher is None else ("--teacher", inputs.teacher)
    # Said as a flag, or a teacher of another size would change it.
    size = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))["distill"]["image_size_px"]
    places = ("--data", inputs.data, "--out", str(folder / _RUN))
    return ["run", str(folder / RECIPE), *teacher, *places, "--set", f"distill.image_size_px={size}"]


def write_asked(sweep_dir: Path, inputs: Inputs, trials: Sequence[Trial]) -> None:
    """Write down what is asked for: the inputs, and every trial with its recipe; others that are there stay."""
    for trial in trials:
        folder = trial_folder(sweep_dir, trial.key)
        if not (folder / RECIPE).exists():
            replace_text(folder / RECIPE, trial.recipe)
        replace_text(folder / _TRIAL, json.dumps(asdict(trial), indent=2) + "\n")
    record = {"inputs": asdict(inputs), "trials": [trial.key for trial in trials]}
    replace_text(sweep_dir / ASKED, json.dumps(record, indent=2) + "\n")


def write_outcome(sweep_dir: Path, key: str, outcome: Outcome) -> None:
    """Write down how a trial ended."""
    replace_text(trial_folder(sweep_dir, key) / _OUTCOME, json.dumps(asdict(outcome), indent=2) + "\n")


def read_outcome(sweep_dir: Path, key: str) -> Outcome | None:
    """Read how a trial ended; None of one that has not.

    Raises:
        UnusableArtifact: If the record is torn.
    """
    path = trial_folder(sweep_dir, key) / _OUTCOME
    return _read(path, Outcome) if path.exists() else None


def remove_outcome(sweep_dir: Path, key: str) -> None:
    """Let a trial go on that had ended."""
    (trial_folder(sweep_dir, key) / _OUTCOME).unlink(missing_ok=True)


def read_inputs(sweep_dir: Path) -> Inputs:
    """Read what all trials of a sweep read.

    Raises:
        UnusableArtifact: If the folder is no sweep's, or its record is torn.
    """
    return _read(sweep_dir / ASKED, _Asked).inputs


def list_trials(sweep_dir: Path) -> list[tuple[Trial, Outcome | None]]:
    """Read the trials that are asked for, in the order of their numbers, and how they ended; None of those that go on.

    Raises:
        UnusableArtifact: If the folder is no sweep's, or a record in it is torn.
    """
    keys = _read(sweep_dir / ASKED, _Asked).trials
    return [(_read(trial_folder(sweep_dir, key) / _TRIAL, Trial), read_outcome(sweep_dir, key)) for key in keys]


def write_table(sweep_dir: Path) -> Path:
    """Write all trials with their outcomes into one file, for programs, and return its path."""
    rows = [
        {"number": trial.number, "key": trial.key, "settings": trial.settings, **(asdict(outcome) if outcome else {})}
        for trial, outcome in list_trials(sweep_dir)
    ]
    replace_text(sweep_dir / TABLE, json.dumps(rows, indent=2) + "\n")
    return sweep_dir / TABLE


@dataclass(frozen=True)
class _Asked:
    inputs: Inputs
    trials: tuple[str, ...]


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return parse_record(load_json(path), kind)
    except (OSError, ValueError) as error:
        raise UnusableArtifact(
            f"{path} cannot be read as a sweep's record: {error}. Delete it, and `compress sweep` makes it anew."
        ) from error
