"""Commands that follow each other: what makes one run again, and whose folder it is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.files.atomic import atomic_dir, atomic_write_text
from compress.run import stages
from compress.run.stages import Stage, run_stages

FIRST, SECOND = Stage("first", ("make", "first")), Stage("folder/second", ("make", "second"))
LAST = Stage("last", ("make", "last"))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages write their own name; the list holds what was written."""
    outputs: list[str] = []

    def pretend(command: list[str]) -> int:
        path = Path(command[command.index("--out") + 1])
        path.write_text("done")
        outputs.append(path.name)
        return 0

    monkeypatch.setattr(stages, "_run_to_end", pretend)
    return outputs


def test_an_input_that_changed_under_its_path_repeats_its_stage_and_all_after_it(
    executed: list[str], tmp_path: Path
) -> None:
    given = replace(FIRST, inputs=("sha256 of the old file",))
    run_stages([given, SECOND], tmp_path, record="done.json")
    assert run_stages([given, SECOND], tmp_path, record="done.json") == {}
    taken = run_stages([replace(given, inputs=("sha256 of the new file",)), SECOND], tmp_path, record="done.json")
    assert list(taken) == ["first", "folder/second"]
    assert executed == ["first", "second"] * 2


def test_an_output_is_made_again_where_what_came_before_it_changed_in_its_absence(
    executed: list[str], tmp_path: Path
) -> None:
    run_stages([FIRST, SECOND], tmp_path, record="done.json")
    changed = replace(FIRST, command=("make", "first", "otherwise"))
    run_stages([changed], tmp_path, record="done.json")
    assert list(run_stages([changed, SECOND], tmp_path, record="done.json")) == ["folder/second"]


def test_a_stage_that_is_added_last_runs_alone(executed: list[str], tmp_path: Path) -> None:
    run_stages([FIRST], tmp_path, record="done.json")
    assert list(run_stages([FIRST, SECOND], tmp_path, record="done.json")) == ["folder/second"]


def test_an_output_that_was_damaged_since_is_made_anew_with_all_after_it(
    executed: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run_stages([FIRST, SECOND], tmp_path, record="done.json")
    (tmp_path / "first").write_text("torn")
    assert list(run_stages([FIRST, SECOND], tmp_path, record="done.json")) == ["first", "folder/second"]
    assert (tmp_path / "first").read_text() == "done"
    assert "[1/2] first, anew: it was changed or damaged since" in caplog.text


def test_an_output_damaged_beyond_recognition_is_made_anew_and_one_that_no_stage_made_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write(command: list[str]) -> int:
        atomic_write_text(Path(command[command.index("--out") + 1]), "done", overwrite=True)
        return 0

    monkeypatch.setattr(stages, "_run_to_end", write)
    run_stages([FIRST, LAST], tmp_path / "run", record="done.json")
    for name in ("first", "last"):
        (tmp_path / "run" / name).write_text("torn")
    assert list(run_stages([FIRST, LAST], tmp_path / "run", record="done.json")) == ["first", "last"]
    assert [(tmp_path / "run" / name).read_text() for name in ("first", "last")] == ["done", "done"]
    (tmp_path / "run" / "folder").mkdir()
    (tmp_path / "run" / "folder" / "second").write_text("notes")
    with pytest.raises(UsageError, match="was not written by this tool"):
        run_stages([FIRST, SECOND], tmp_path / "run", record="done.json")
    assert (tmp_path / "run" / "folder" / "second").read_text() == "notes"


@pytest.mark.parametrize("name", [".DS_Store", "note.txt"])
def test_a_folder_into_which_something_was_put_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(stages, "_run_to_end", _write_folder)
    run_stages([FIRST, LAST], tmp_path / "run", record="done.json")
    (tmp_path / "run" / "first" / name).write_text("mine")
    assert run_stages([FIRST, LAST], tmp_path / "run", record="done.json") == {}
    (tmp_path / "run" / "first" / name).unlink()
    assert run_stages([FIRST, LAST], tmp_path / "run", record="done.json") == {}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("torn")])
def test_a_folder_of_which_something_is_gone_or_changed_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(stages, "_run_to_end", _write_folder)
    run_stages([FIRST, LAST], tmp_path / "run", record="done.json")
    damage(tmp_path / "run" / "first" / "model")
    assert list(run_stages([FIRST, LAST], tmp_path / "run", record="done.json")) == ["first", "last"]
    assert "[1/2] first, anew: it was changed or damaged since" in caplog.text
    assert (tmp_path / "run" / "first" / "model").read_text() == "done"


def test_a_folder_that_somebody_put_in_a_stages_place_is_named_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stages, "_run_to_end", _write_folder)
    run_stages([FIRST], tmp_path / "run", record="done.json")
    (tmp_path / "run" / "first").rename(tmp_path / "kept")
    (tmp_path / "run" / "first").mkdir()
    (tmp_path / "run" / "first" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="was not written by this tool"):
        run_stages([FIRST], tmp_path / "run", record="done.json")
    assert (tmp_path / "run" / "first" / "mine.txt").read_text() == "mine"


def test_an_output_that_is_gone_is_made_anew(
    executed: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run_stages([FIRST, SECOND], tmp_path, record="done.json")
    (tmp_path / "folder" / "second").unlink()
    assert list(run_stages([FIRST, SECOND], tmp_path, record="done.json")) == ["folder/second"]
    assert "[2/2] folder/second, anew: it is gone" in caplog.text


def test_a_record_that_was_half_written_by_a_killed_run_blocks_nothing(executed: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".done.json.partial-x1y2").write_text("{")
    assert list(run_stages([FIRST], tmp_path / "run", record="done.json")) == ["first"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["done.json", "first"]


@pytest.mark.parametrize("record", ['{"first": ["make", "first"]}', "[]", "{", '{"first": {"asked": []}}'])
def test_a_record_that_this_version_did_not_write_is_refused(executed: list[str], tmp_path: Path, record: str) -> None:
    (tmp_path / "done.json").write_text(record)
    with pytest.raises(UsageError, match=r"done\.json, which remembers .* is damaged or of an earlier version"):
        run_stages([FIRST], tmp_path, record="done.json")
    assert executed == []


def test_the_folder_of_another_record_is_refused(executed: list[str], tmp_path: Path) -> None:
    run_stages([FIRST], tmp_path, record="run.json")
    with pytest.raises(UsageError, match=r"has no table\.json"):
        run_stages([FIRST], tmp_path, record="table.json")
    assert executed == ["first"]


def test_a_folder_that_somebody_has_only_looked_at_is_a_new_one(executed: list[str], tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    assert list(run_stages([FIRST], tmp_path, record="run.json")) == ["first"]


def test_a_file_in_the_place_of_the_folder_is_refused(executed: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    with pytest.raises(UsageError, match="file holds something else than a run"):
        run_stages([FIRST], tmp_path / "file", record="run.json")
    assert executed == []


def test_a_run_that_is_terminated_terminates_its_stage_and_ends_as_a_shell_tells_it(tmp_path: Path) -> None:
    started = tmp_path / "started"
    stage = f"import os, pathlib, time; pathlib.Path({str(started)!r}).write_text(str(os.getpid())); time.sleep(60)"
    run = (
        f"import sys; from compress.run import stages; sys.exit(stages._run_to_end([sys.executable, '-c', {stage!r}]))"
    )
    with subprocess.Popen([sys.executable, "-c", run]) as process:
        number = _wait_for_number(started)
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_run_that_is_killed_takes_its_stage_along(tmp_path: Path) -> None:
    started = tmp_path / "started"
    stage = (
        "import os, pathlib, time; from compress.console.parent import follow_parent; follow_parent(); "
        f"pathlib.Path({str(started)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    run = f"import sys; from compress.run import stages; stages._run_to_end([sys.executable, '-c', {stage!r}])"
    with subprocess.Popen([sys.executable, "-c", run]) as process:
        number = _wait_for_number(started)
        process.kill()
    for _ in range(200):
        if not Path(f"/proc/{number}").exists() or " Z " in Path(f"/proc/{number}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the stage outlived its run")


def test_signals_mean_again_what_they_meant_before(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert stages._run_to_end([sys.executable, "-c", "raise SystemExit(4)"]) == 4
    assert signal.getsignal(signal.SIGTERM) == before


def _write_folder(command: list[str]) -> int:
    with atomic_dir(Path(command[command.index("--out") + 1]), overwrite=True) as scratch:
        (scratch / "model").write_text("done")
    return 0


def _wait_for_number(path: Path) -> int:
    """Return the process number that a stage writes when it starts."""
    for _ in range(600):
        if path.exists() and (text := path.read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("the stage did not start")


_TALKS = "import sys; print('a result'); print('progress', file=sys.stderr)"
_RUNS = f"from compress.run import stages; stages._run_to_end([__import__('sys').executable, '-c', {_TALKS!r}])"


@pytest.mark.parametrize(
    ("verbose", "said"), [({}, "progress\n"), ({"POCKETGAN_VERBOSE": "1"}, "a result\nprogress\n")]
)
def test_a_stage_shows_its_progress_and_its_result_only_where_asked(verbose: dict[str, str], said: str) -> None:
    quiet = {name: value for name, value in os.environ.items() if name != "POCKETGAN_VERBOSE"}
    ended = subprocess.run(
        [sys.executable, "-c", _RUNS], capture_output=True, text=True, check=True, env=quiet | verbose
    )
    assert sorted(ended.stderr.splitlines()) == sorted(said.splitlines())
    assert ended.stdout == ""


def test_a_training_that_was_damaged_is_not_repeated_unasked(executed: list[str], tmp_path: Path) -> None:
    trained = replace(FIRST, trains=True)
    run_stages([trained, SECOND], tmp_path, record="done.json")
    (tmp_path / "first").write_text("torn")
    with pytest.raises(UsageError, match=r"first was changed or damaged since it was trained\. first and 1 after it"):
        run_stages([trained, SECOND], tmp_path, record="done.json")
    assert executed == ["first", "second"]
    run_stages([trained, SECOND], tmp_path, record="done.json", overwrite=True)
    assert executed == ["first", "second"] * 2
    (tmp_path / "first").unlink()
    run_stages([trained, SECOND], tmp_path, record="done.json")
    assert executed == ["first", "second"] * 3


def test_what_a_user_went_on_writing_is_kept(executed: list[str], tmp_path: Path) -> None:
    card = Stage("card.md", ("make", "card"), is_written_on=True)
    run_stages([FIRST, card], tmp_path, record="done.json")
    (tmp_path / "card.md").write_text("done, and my licence")
    run_stages([FIRST, card], tmp_path, record="done.json")
    assert (tmp_path / "card.md").read_text() == "done, and my licence"
    run_stages([replace(FIRST, inputs=("other",)), card], tmp_path, record="done.json")
    assert (tmp_path / "card.md").read_text() == "done"
    assert (tmp_path / "card.yours.md").read_text() == "done, and my licence"
