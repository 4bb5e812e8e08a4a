"""What a gang can be made of, and how it ends when one of its processes does; without a cluster."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.fleet.gang import launch
from compress.fleet.gang.member import State, read_flag, replace_out


@pytest.mark.parametrize(
    ("arguments", "nodes", "message"),
    [
        (["distill", "--out", "x"], 0, "--nodes 0, expected at least 1"),
        ([], 2, "runs distill or teach, and was given nothing"),
        (["export", "--out", "x"], 2, "was given 'export'"),
        (["teach", "--data", "x"], 2, "compress teach is given no --out"),
        (["teach", "--out", "x", "--devices", "none"], 2, "--devices none, expected"),
        (["teach", "--out=x", "--devices=0"], 2, "--devices 0, expected"),
    ],
    ids=["no node", "no command", "another command", "no out", "no number", "no device"],
)
def test_what_cannot_be_launched_is_said_before_ray_starts(
    arguments: Sequence[str], nodes: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "connected", None)
    with pytest.raises(UsageError, match=message):
        launch.launch(arguments, nodes=nodes, cluster=None)


@pytest.mark.parametrize("line", [["teach", "--out", "a", "--steps", "3"], ["teach", "--out=a", "--steps", "3"]])
def test_another_process_than_the_first_writes_elsewhere(line: list[str]) -> None:
    replaced = replace_out(line, Path("/scratch"))
    assert (read_flag(line, "--out"), read_flag(replaced, "--out")) == ("a", "/scratch")
    assert read_flag(replaced, "--steps") == "3"
    assert read_flag(line, "--seed") is None


def _state(exit_code: int | None) -> State:
    return State(exit_code, "", "")


def test_a_gang_whose_processes_run_goes_on() -> None:
    launch._raise_ended([_state(None), _state(0)], ["", ""])


def test_a_killed_process_is_lost_and_named() -> None:
    with pytest.raises(launch._Lost, match=r"process 2 of 2 is lost \(signal 9\)"):
        launch._raise_ended([_state(None), _state(-9)], ["", ""])


def test_a_wrong_input_ends_all_with_its_exit_code_and_words_though_others_fail_for_it() -> None:
    with pytest.raises(launch.GangFailed, match="process 2 of 2 ended with 3:\nfirst\ncompress: no photos") as failed:
        launch._raise_ended([_state(70), _state(3)], ["", "first\ncompress: no photos\n"])
    assert failed.value.exit_code == 3


@pytest.mark.parametrize("losses", [0, 3])
def test_a_gang_that_loses_processes_starts_again_up_to_three_times(losses: int) -> None:
    runs = iter([True] * losses + [False])

    def run() -> str:
        if next(runs):
            raise launch._Lost("process 2 of 2 is lost (signal 9)")
        return "printed"

    assert launch.run_again(run) == "printed"


def test_a_gang_that_is_lost_a_fourth_time_ends_and_says_what_is_left() -> None:
    def run() -> str:
        raise launch._Lost("process 2 of 2 is lost (signal 9)")

    with pytest.raises(launch.GangFailed, match=r"lost \(signal 9\), and so was one 3 times before.*goes on") as failed:
        launch.run_again(run)
    assert failed.value.exit_code == 3
