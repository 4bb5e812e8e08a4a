"""End of a sweep: students are chosen, scored once, timed; the page is written; a few lines say what was found."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compress.console.facts import format_bytes
from compress.errors import PocketGANError
from compress.fleet.choice import Candidate, choose_in, list_candidates
from compress.fleet.report.page import PAGE, write_page
from compress.fleet.report.wording import count_statuses, describe_settings, format_hours, name_columns
from compress.fleet.scoring import Score, read_scores, score_once
from compress.fleet.timing import time_finished
from compress.fleet.trial import list_trials, run_folder
from compress.text_table import format_columns

_log = logging.getLogger(__name__)


def close_sweep(sweep_dir: Path) -> list[dict[str, Any]]:
    """Choose students, score the chosen on the test images where they are not yet, time all, and write the page.

    Returns:
        JSON-ready, of each chosen student: the trial's `number`, its `settings`, `held_back_kid` with its
        `held_back_spread`, `size_bytes`, the `score` with the number of trials `tried`, and the folder of its `run`.

    Raises:
        CommandFailed: If a chosen student cannot be scored.
        UnusableArtifact: If a record of the sweep is torn.
    """
    chosen = choose_in(sweep_dir)
    score_once(sweep_dir, chosen)
    try:
        time_finished(sweep_dir, list_candidates(list_trials(sweep_dir)))
    except PocketGANError as error:
        # The page does without; all else is there.
        _log.warning("latency is not known: %s", error)
    write_page(sweep_dir)
    scores = read_scores(sweep_dir)
    return [_describe(sweep_dir, one, scores[one.trial.key]) for one in chosen]


def _describe(sweep_dir: Path, chosen: Candidate, score: Score) -> dict[str, Any]:
    return {
        "number": chosen.trial.number,
        "settings": dict(chosen.trial.settings),
        "held_back_kid": chosen.kid,
        "held_back_spread": chosen.spread,
        "size_bytes": chosen.size_bytes,
        "score": asdict(score),
        "run": str(run_folder(sweep_dir, chosen.trial.key)),
    }


def closing_lines(sweep_dir: Path) -> str:
    """Return what a sweep ends with on the terminal: the chosen and their scores, what was tried, where the page is."""
    trials = list_trials(sweep_dir)
    outcomes = [outcome for _, outcome in trials if outcome is not None]
    columns, scores = name_columns(trial for trial, _ in trials), read_scores(sweep_dir)
    rows = [["chosen", "", "KID held back", "size", "KID on test images", "chosen from"]]
    for one in choose_in(sweep_dir):
        score = scores.get(one.trial.key)
        rows.append(
            [
                f"trial {one.trial.number}",
                describe_settings(one.trial, columns),
                f"{one.kid:.4f} ± {one.spread:.4f}",
                format_bytes(one.size_bytes),
                "–" if score is None else f"{score.kid:.4f} ± {score.spread:.4f}",
                "–" if score is None else f"{score.tried} trials",
            ]
        )
    table = format_columns(rows) if len(rows) > 1 else ["nothing is chosen: no KID of held-back photos was measured"]
    hours = format_hours(sum(outcome.seconds for outcome in outcomes))
    told = f"{len(trials)} trials: {count_statuses(outcomes)}; {hours} hours of work"
    return "\n".join([*table, "", told, f"page: {sweep_dir / PAGE}"])
