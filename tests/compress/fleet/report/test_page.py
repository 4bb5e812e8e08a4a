"""The page of a sweep, from folders made by hand."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableArtifact
from compress.files.atomic import replace_text
from compress.fleet import timing
from compress.fleet.choice import list_candidates
from compress.fleet.report.page import PAGE, write_page
from compress.fleet.report.pictures import MOST_PHOTOS, read_pictures
from compress.fleet.scoring import SCORED, Score
from compress.fleet.timing import BENCH, read_latencies, time_finished
from compress.fleet.trial import list_trials, run_folder
from compress.images import contact_sheet, write_png

SCORE = Score(
    tried=8,
    metric="kid_efficientnet_lite0",
    kid=0.0412,
    spread=0.003,
    interval=(0.031, 0.051),
    control=0.09,
    teacher=0.02,
    psnr_db=24.5,
    effect="does almost nothing",
    latency_ms=1.25,
)


@pytest.fixture
def sweep(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> Path:
    """A sweep of every kind of trial; 0, 1 and 2 are on the front, 1 and 2 chosen."""
    return write_sweep(
        [
            ended(0, kid=0.050, size_bytes=200_000),
            ended(1, kid=0.052, size_bytes=100_000),
            ended(2, kid=0.080, size_bytes=40_000),
            ended(3, kid=0.090, size_bytes=150_000),
            ended(4, "stopped", kid=0.2, reason="KID 0.2000 at step 100 is number 4 of 4; 1 go on"),
            ended(5, "over_budget", reason="max_bytes = 9: its file would take 99 bytes"),
            ended(6, "failed", reason="width = 15: expected an even number", attempts=3),
            ended(7, None),
        ],
        budget="[resources]\ncpus = 3\n",
    )


class _Text(HTMLParser):
    """Text of a page by the row or heading that it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("tr", "h1", "h2", "h3", "p", "li", "figcaption"):
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] += f"{data.strip()} "


def _read(sweep: Path) -> _Text:
    parser = _Text()
    parser.feed(write_page(sweep).read_text(encoding="utf-8"))
    return parser


def _row(page: _Text, beginning: str, *, nth: int = 0) -> str:
    return [row for row in page.rows if row.startswith(beginning)][nth]


def test_every_trial_has_a_row(sweep: Path) -> None:
    page = _read(sweep)
    assert "8 trials: 4 finished, 1 stopped, 1 over budget, 1 failed, 1 not ended" in " ".join(page.rows)
    assert "50.0 kB predicted" in _row(page, "trial 4 40")
    assert "3 attempts" in _row(page, "trial 6 56")
    assert "not ended" in _row(page, "trial 7 64")
    assert re.search(r"finished on the front.* 0\.0500 ± 0\.0040, step 200 200\.0 kB", _row(page, "trial 0 8"))


def test_the_chosen_come_first(sweep: Path) -> None:
    page = _read(sweep)
    assert page.rows.index("Chosen ") < page.rows.index("All trials ")
    assert [row.split()[1] for row in page.rows if "chosen" in row and row.startswith("trial")] == ["1", "2"]


def test_reasons_are_told(sweep: Path) -> None:
    page = _read(sweep)
    assert "number 4 of 4; 1 go on" in _row(page, "trial 4 width 40")
    assert "max_bytes = 9: its file would take 99 bytes" in _row(page, "trial 5 width 48")
    assert "expected an even number" in _row(page, "trial 6 width 56")


def test_cost_counts_every_core(sweep: Path) -> None:
    """Five trials of 60 s on three cores each are a quarter of an hour."""
    page = _read(sweep)
    assert _row(page, "in all").split()[-1] == "0.25"
    assert _row(page, "finished").split() == ["finished", "4", "4", "0.20"]


def test_number_of_trials_stands_beside_the_score(sweep: Path) -> None:
    replace_text(sweep / SCORED, json.dumps({f"{1:012x}": asdict(SCORE)}))
    row = _row(_read(sweep), "trial 1 width 16")
    assert "0.0412 0.0310 to 0.0510; untouched photos 0.0900; teacher 0.0200" in row
    assert row.rstrip().endswith("8 trials")


def test_a_chosen_student_is_followed_by_what_it_does(sweep: Path) -> None:
    replace_text(sweep / SCORED, json.dumps({f"{1:012x}": asdict(SCORE)}))
    page = _read(sweep)
    assert _row(page, "trial 1:").split() == [
        *("trial", "1:", "report", ",", "run", "in", f"trials/{1:012x}/run;", "it", "does", "almost", "nothing")
    ]
    assert f"trials/{1:012x}/run/report.html" in [values.get("href") for _, values in page.tags]


@pytest.mark.parametrize(("kid", "is_alarming"), [(0.0899, False), (0.0900, True)])
def test_a_student_no_better_than_untouched_photos_alarms(sweep: Path, kid: float, is_alarming: bool) -> None:
    replace_text(sweep / SCORED, json.dumps({f"{1:012x}": asdict(SCORE) | {"kid": kid}}))
    marked = [values for tag, values in _read(sweep).tags if values.get("data-measure") == "KID on test images"]
    assert [values.get("class") for values in marked] == (["alarm"] if is_alarming else [None])


def test_what_was_not_scored_shows_no_score(sweep: Path) -> None:
    page = write_page(sweep).read_text(encoding="utf-8")
    assert "once each" not in page
    assert "report.html" not in page


def test_charts_mark_the_front(sweep: Path) -> None:
    page = write_page(sweep).read_text(encoding="utf-8")
    [chart] = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    drawn = re.findall(r"<text[^>]*>\s*(\d)\s*</text>", chart)
    assert sorted(drawn) == ["0", "1", "2"]
    assert "3: width 32: file size 1.5e+05, KID 0.0900." in chart


def test_page_needs_nothing_else_and_runs_nothing(sweep: Path) -> None:
    text = write_page(sweep).read_text(encoding="utf-8")
    parser = _Text()
    parser.feed(text)
    assert not [tag for tag, _ in parser.tags if tag in ("script", "link", "iframe")]
    assert "script-src" not in text
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href)="(?!data:|trials/|#)', text)


def test_equal_folders_give_equal_pages(sweep: Path) -> None:
    assert write_page(sweep).read_bytes() == write_page(sweep).read_bytes()
    assert write_page(sweep).name == PAGE


def test_words_of_trials_are_no_markup(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> None:
    evil = "<b>x</b>\"'&"
    trials = [
        ended(0, settings={"distill.init": evil}),
        ended(1, "failed", reason=evil, settings={"distill.init": "y"}),
    ]
    text = write_page(write_sweep(trials, budget=f"note = '''{evil}'''\n")).read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_a_sweep_without_a_student_still_has_a_page(
    ended: Callable[..., Any], write_sweep: Callable[..., Path]
) -> None:
    page = _read(write_sweep([ended(0, "failed", reason="no")]))
    assert any(row.startswith("Nothing is chosen") for row in page.rows)
    assert not [tag for tag, _ in page.tags if tag == "svg"]


def test_another_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(UnusableArtifact, match="is no sweep's folder"):
        write_page(tmp_path)


def _write_sheet(sweep: Path, number: int, *, seed: int, folder: str = "student") -> None:
    """Write the sheet of a student's training: photos by the seed, its own images by its number."""
    photos = np.random.default_rng(seed).integers(0, 256, (5, 2, 16, 16, 3), dtype=np.uint8)
    rows = [[photo, teacher, np.full((16, 16, 3), number, np.uint8)] for photo, teacher in photos]
    path = run_folder(sweep, f"{number:012x}") / folder
    path.mkdir(parents=True)
    write_png(path / "samples.png", contact_sheet(rows, columns=("photo", "teacher", "student")))


def test_students_stand_beside_each_other_on_the_same_photos(sweep: Path) -> None:
    for number in (0, 1, 3):
        _write_sheet(sweep, number, seed=0)
    rows = [row.strip() for row in _read(sweep).rows]
    captions = [row for row in rows if re.fullmatch(r"photo|teacher|\d: .*", row)]
    assert captions == ["photo", "teacher", "1: width 16 (chosen)", "0: width 8", "3: width 32"] * MOST_PHOTOS


def test_students_of_other_photos_stand_apart(sweep: Path) -> None:
    for number, seed in ((0, 0), (1, 1), (2, 0)):
        _write_sheet(sweep, number, seed=seed)
    groups = read_pictures(sweep, list_candidates(list_trials(sweep)))
    assert [[student.trial.number for student, _ in group.students] for group in groups] == [[0, 2], [1]]
    assert "hold other photos back" in write_page(sweep).read_text(encoding="utf-8")


def test_pictures_are_of_the_last_student_that_was_trained(sweep: Path) -> None:
    _write_sheet(sweep, 0, seed=0)
    _write_sheet(sweep, 0, seed=3, folder="pruned")
    _write_sheet(sweep, 1, seed=3)
    [group] = read_pictures(sweep, list_candidates(list_trials(sweep)))
    assert [student.trial.number for student, _ in group.students] == [0, 1]


def test_a_torn_sheet_costs_the_page_nothing(sweep: Path) -> None:
    _write_sheet(sweep, 0, seed=0)
    _write_sheet(sweep, 1, seed=0)
    (run_folder(sweep, f"{1:012x}") / "student" / "samples.png").write_bytes(b"torn")
    [group] = read_pictures(sweep, list_candidates(list_trials(sweep)))
    assert [student.trial.number for student, _ in group.students] == [0]


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Benchmarks that were run, none for real: the candidates take 1, 2, 3 ms …; the third is too noisy."""
    ran: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> None:
        ran.append(arguments)
        files = [one.partition("=")[2] for one in arguments if one.startswith("--candidate=")]
        entries: list[dict[str, Any]] = [{"name": "teacher", "speedup": 1.0}]
        for place, file in enumerate(files):
            withheld = "other work" if place == 2 else None
            latency = {"median": float(place + 1)}
            entries.append({"name": file, "path": file, "speedup": 9.0, "latency_ms": latency, "withheld": withheld})
        out = Path(arguments[arguments.index("--out") + 1])
        replace_text(out, json.dumps({"entries": entries, "machine": {}, "runs": 20}))

    monkeypatch.setattr(timing, "run_command", run)
    return ran


def test_finished_students_are_timed_once_in_one_run(sweep: Path, benches: list[Sequence[str]]) -> None:
    finished = list_candidates(list_trials(sweep))
    time_finished(sweep, finished)
    time_finished(sweep, finished)
    [bench] = benches
    assert sum(one.startswith("--candidate=") for one in bench) == 4
    (sweep / BENCH).unlink()
    time_finished(sweep, finished)
    assert len(benches) == 2


def test_students_of_one_shape_are_timed_as_one(
    ended: Callable[..., Any], write_sweep: Callable[..., Path], benches: list[Sequence[str]]
) -> None:
    first, other = ended(0), ended(1)
    twin = (type(other[0])(**{**vars(other[0]), "recipe": first[0].recipe}), other[1])
    folder = write_sweep([first, twin, ended(2)])
    finished = list_candidates(list_trials(folder))
    time_finished(folder, finished)
    assert sum(one.startswith("--candidate=") for one in benches[0]) == 2
    median = {key: (entry.latency_ms or {})["median"] for key, entry in read_latencies(folder, finished).items()}
    assert list(median.values()) == [1.0, 1.0, 2.0]


def test_latency_stands_against_quality_where_it_is_known(sweep: Path, benches: list[Sequence[str]]) -> None:
    time_finished(sweep, list_candidates(list_trials(sweep)))
    page = _read(sweep)
    assert "1.00 ms" in _row(page, "trial 0 8")
    assert "too noisy" in _row(page, "trial 2 24")
    charts = re.findall(r"<svg.*?</svg>", (sweep / PAGE).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(charts) == 2
    assert "2: width 24" not in charts[1]
    assert "Some latencies are not shown: other work." in " ".join(page.rows)
