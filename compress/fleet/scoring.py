"""Scoring of the chosen students: the only place of a sweep that looks at test images, once for each student.

DIR/scored.json    by the key of a trial: its score on the test images, and how many trials it was chosen from
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compress.errors import UnusableArtifact
from compress.files.atomic import replace_text
from compress.fleet.choice import Candidate
from compress.fleet.command import run_command
from compress.fleet.trial import list_trials, read_inputs, run_arguments, run_folder
from compress.strict_json import load_json, parse_record

SCORED = "scored.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a chosen student got on the test images."""

    tried: int
    """Trials that it was chosen from: the more, the more a good one owes to chance."""
    metric: str
    """Kernel distance and its network: `kid_efficientnet_lite0`."""
    kid: float
    spread: float
    """Standard deviation over subsets of the images."""
    interval: tuple[float, float] | None
    """95 % interval over the choice of test images."""
    control: float | None
    """The same distance of the untouched photos."""
    teacher: float | None
    """The same distance of the teacher's images; None where they are what is compared with."""
    psnr_db: float | None
    """Mean PSNR to the teacher's images."""
    effect: str | None
    """What it does beyond the untouched photos, in words."""
    latency_ms: float | None
    """Median on the machine that scored it, on the recipe's threads."""


def score_once(sweep_dir: Path, chosen: Sequence[Candidate]) -> dict[str, Score]:
    """Score chosen students on the test images, each once: what was scored is remembered, whatever is chosen later.

    A student's run is taken to its end by the very command that began it, `compress run`: translation, scores, latency,
    report and model card.

    Args:
        sweep_dir: The sweep's folder.
        chosen: From `choice.choose_in`.

    Returns:
        The scores of all that were ever scored, by the key of the trial.

    Raises:
        CommandFailed: If a run fails, with its exit code; what was scored before it is kept.
        UnusableArtifact: If a record is torn.
    """
    scored = read_scores(sweep_dir)
    inputs, tried = read_inputs(sweep_dir), len(list_trials(sweep_dir))
    for candidate in chosen:
        key = candidate.trial.key
        if key in scored:
            continue
        _log.info("trial %d is chosen of %d: its test images are scored now", candidate.trial.number, tried)
        run_command(run_arguments(sweep_dir, key, inputs))
        scored[key] = _read_score(run_folder(sweep_dir, key), tried)
        _write(sweep_dir, scored)
    return scored


def read_scores(sweep_dir: Path) -> dict[str, Score]:
    """Read what was scored, by the key of the trial; nothing where nothing was.

    Raises:
        UnusableArtifact: If the record is torn.
    """
    path = sweep_dir / SCORED
    if not path.exists():
        return {}
    try:
        return {key: parse_record(score, Score) for key, score in load_json(path).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UnusableArtifact(
            f"{path}, which remembers what was scored on the test images, cannot be read: {error}. Put a copy of it "
            "back; without it the same command would score them again."
        ) from error


def _write(sweep_dir: Path, scored: Mapping[str, Score]) -> None:
    record = {key: asdict(score) for key, score in scored.items()}
    replace_text(sweep_dir / SCORED, json.dumps(record, indent=2) + "\n")


def _read_score(run: Path, tried: int) -> Score:
    """Read the score of the student that a finished run ships."""
    shipped = _read(run / "bench.json")["entries"][-1]
    record = _read(run / "scores" / f"{shipped['name']}.json")
    metric = next(key for key in record if key.startswith("kid"))
    interval = record.get("intervals", {}).get(metric)
    return Score(
        tried=tried,
        metric=metric,
        kid=record[metric]["mean"],
        spread=record[metric]["spread"],
        interval=(interval["low"], interval["high"]) if interval else None,
        control=_read_distance(run / "scores" / "inputs.json", metric),
        teacher=_read_distance(run / "scores" / "teacher.json", metric),
        psnr_db=(record.get("similarity", {}).get("psnr_db") or {}).get("mean"),
        effect=(record.get("effect") or {}).get("text"),
        latency_ms=shipped["latency_ms"]["median"],
    )


def _read_distance(path: Path, metric: str) -> float | None:
    return _read(path)[metric]["mean"] if path.exists() else None


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
