"""Tables of a sweep's page: the chosen, all trials, those that were not trained to their end, and the effort."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from compress.bench_record import BenchEntry
from compress.console.facts import format_bytes
from compress.console.headline import Tone
from compress.fleet.report.sources import Sources
from compress.fleet.report.wording import (
    STATUS_WORDS,
    describe_settings,
    find_kid,
    format_hours,
    format_seconds,
    format_setting,
)
from compress.fleet.scoring import Score
from compress.fleet.trial import Outcome, Status, Trial
from compress.page.html import Cell

Rows = list[tuple[str, Sequence[Cell | None]]]
_TONES: Mapping[Status, Tone] = {"failed": "alarm", "over_budget": "doubt"}


def name_trial(number: int) -> str:
    """Return what a trial is called."""
    return f"trial {number}"


def build_chosen(sources: Sources) -> tuple[list[str], Rows]:
    """Build the table of the chosen students: what they are, what they cost, what they got."""
    headings = [
        "Settings",
        "KID held back",
        "Size",
        "Latency",
        "KID on test images",
        "PSNR to the teacher",
        "Chosen from",
    ]
    rows: Rows = []
    for one in sources.chosen:
        score = sources.scores.get(one.trial.key)
        cells = [
            Cell(describe_settings(one.trial, sources.columns)),
            Cell(f"{one.kid:.4f}", f"± {one.spread:.4f}"),
            Cell(format_bytes(one.size_bytes)),
            _latency_cell(sources, one.trial, one.outcome),
            *_score_cells(score),
        ]
        rows.append((name_trial(one.trial.number), cells))
    return headings, rows


def _score_cells(score: Score | None) -> list[Cell | None]:
    """Return the KID on the test images with its interval, PSNR, and the number of trials that belongs to them."""
    if score is None:
        return [None, None, None]
    psnr = None if score.psnr_db is None else Cell(f"{score.psnr_db:.2f} dB")
    return [_score_cell(score), psnr, Cell(f"{score.tried} trials")]


def _score_cell(score: Score) -> Cell:
    """Return the KID on the test images with its interval, beside the control's and the teacher's."""
    details = [f"{score.interval[0]:.4f} to {score.interval[1]:.4f}"] if score.interval else []
    if score.control is not None:
        details.append(f"untouched photos {score.control:.4f}")
    if score.teacher is not None:
        details.append(f"teacher {score.teacher:.4f}")
    # As far from the real images as photos that nobody translated: small and fast, and no use.
    is_useless = score.control is not None and score.kid >= score.control
    return Cell(f"{score.kid:.4f}", "; ".join(details), "alarm" if is_useless else None)


def build_trials(sources: Sources) -> tuple[list[str], Rows]:
    """Build the table of all trials; a column that nobody has anything in is left out."""
    columns: dict[str, Callable[[Trial, Outcome | None], Cell | None]] = {
        name: lambda trial, _, key=key: _setting_cell(trial, key) for key, name in sources.columns.items()
    }
    chosen, front = ({one.trial.key for one in some} for some in (sources.chosen, sources.front))
    columns |= {
        "Status": lambda trial, outcome: _status_cell(trial, outcome, chosen, front),
        "KID held back": lambda _, outcome: outcome and _kid_cell(outcome),
        "Size": lambda _, outcome: outcome and _size_cell(outcome),
        "MACs": lambda _, outcome: Cell(f"{outcome.macs / 1e6:.1f} M") if outcome and outcome.macs else None,
        "Latency": lambda trial, outcome: outcome and _latency_cell(sources, trial, outcome),
        "Time": lambda _, outcome: outcome and _time_cell(outcome),
        "Node": lambda _, outcome: Cell(outcome.node) if outcome and outcome.node else None,
    }
    cells = {name: [make(*one) for one in sources.trials] for name, make in columns.items()}
    shown = {name: column for name, column in cells.items() if any(column)}
    names = [name_trial(trial.number) for trial, _ in sources.trials]
    return list(shown), list(zip(names, zip(*shown.values(), strict=True), strict=True))


def _setting_cell(trial: Trial, key: str) -> Cell | None:
    return Cell(format_setting(trial.settings[key])) if key in trial.settings else None


def _status_cell(trial: Trial, outcome: Outcome | None, chosen: set[str], front: set[str]) -> Cell:
    if outcome is None:
        return Cell("not ended")
    mark = "chosen" if trial.key in chosen else "on the front" if trial.key in front else ""
    again = f"{outcome.attempts} attempts" if outcome.attempts > 1 else ""
    tone = "good" if mark == "chosen" else _TONES.get(outcome.status)
    return Cell(STATUS_WORDS[outcome.status], ", ".join(filter(None, (mark, again))), tone)


def _kid_cell(outcome: Outcome) -> Cell | None:
    if (measured := find_kid(outcome)) is None:
        return None
    step, kid, spread = measured
    return Cell(f"{kid:.4f}", f"± {spread:.4f}, step {step}")


def _size_cell(outcome: Outcome) -> Cell | None:
    if outcome.size_bytes is None:
        return None
    return Cell(format_bytes(outcome.size_bytes), "" if outcome.status == "finished" else "predicted")


def _latency_cell(sources: Sources, trial: Trial, outcome: Outcome) -> Cell | None:
    """Return the latency of the finished file, else that of the untrained one over the reference's."""
    entry = sources.latencies.get(trial.key)
    ratio = outcome.latency_ratio
    beside = "" if ratio is None else f"{ratio:.2f} of the reference's, untrained"
    if entry is None or entry.latency_ms is None:
        return Cell(f"{ratio:.2f}x", "of the reference's, untrained") if ratio is not None else None
    return Cell("too noisy", beside) if entry.withheld else Cell(_format_latency(entry), beside)


def _format_latency(entry: BenchEntry) -> str:
    return f"{entry.latency_ms['median']:.2f} ms" if entry.latency_ms else "–"


def _time_cell(outcome: Outcome) -> Cell | None:
    return Cell(format_seconds(outcome.seconds)) if outcome.seconds else None


def build_failures(sources: Sources, told: Iterable[tuple[Trial, Outcome]]) -> tuple[list[str], Rows]:
    """Build the table of trials that were not trained to their end, with the reason of each."""
    rows: Rows = [
        (
            name_trial(trial.number),
            [
                Cell(describe_settings(trial, sources.columns)),
                Cell(STATUS_WORDS[outcome.status]),
                Cell(outcome.reason or "no reason is known"),
            ],
        )
        for trial, outcome in told
    ]
    return ["Settings", "Status", "Why"], rows


def build_effort(sources: Sources) -> tuple[list[str], Rows]:
    """Build the table of what was tried and what it cost, by how it ended, and in all."""
    headings = ["Number", "Attempts", "Core-hours", *(["Accelerator-hours"] if sources.gpus else [])]
    outcomes = [outcome for _, outcome in sources.ended]
    by_status = {STATUS_WORDS[status]: [one for one in outcomes if one.status == status] for status in STATUS_WORDS}
    rows: Rows = [(name, _effort_cells(sources, some)) for name, some in by_status.items() if some]
    nodes = sorted({one.node for one in outcomes if one.node})
    if len(nodes) > 1:
        rows += [
            (f"on {node}", _effort_cells(sources, [one for one in outcomes if one.node == node])) for node in nodes
        ]
    return headings, [*rows, ("in all", _effort_cells(sources, outcomes))]


def _effort_cells(sources: Sources, outcomes: Sequence[Outcome]) -> list[Cell]:
    seconds = sum(one.seconds for one in outcomes)
    cells = [Cell(str(len(outcomes))), Cell(str(sum(one.attempts for one in outcomes)))]
    cells.append(Cell(format_hours(seconds * sources.cores)))
    return [*cells, Cell(format_hours(seconds * sources.gpus))] if sources.gpus else cells
