"""Attempts: a child that pauses where it may, is held to its share, and ends with its worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.fleet.sweep import attempt as module
from compress.fleet.sweep.attempt import MARKER, Order, attempt, read_sign
from compress.fleet.sweep.held_back import read_held_back
from compress.fleet.trial import run_folder

PRETEND = Path(__file__).parent.parent / "cluster"
KEY = "0123456789ab"
RECIPE = "[distill]\nimage_size_px = 32\nwidth = 8\nsteps = 12\nsample_every = 4\ncheckpoint_every = 4\n"


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Order]:
    """An order for a trial that pretends to train; named fields are replaced."""
    monkeypatch.setenv("PYTHONPATH", str(PRETEND))
    monkeypatch.setattr(module, "_POLL_S", 0.02)
    folder = tmp_path / "trials" / KEY
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE)
    (tmp_path / MARKER).write_text("here\n")

    def make(**changed: object) -> Order:
        arguments = ("run", str(folder / "recipe.toml"), "--out", str(folder / "run"), "--until", "student_fp32")
        usual = {"sweep_dir": str(tmp_path), "sweep_id": "here", "key": KEY, "arguments": arguments, "cpus": 1}
        return Order(**{**usual, "gpus": 0, "program": "pretend_run", **changed})  # pyright: ignore[reportArgumentType]

    return make


def _steps(tmp_path: Path) -> list[int]:
    lines = (run_folder(tmp_path, KEY) / "work.jsonl").read_text().splitlines()
    return [what["step"] for what in map(json.loads, lines) if "step" in what]


def test_an_attempt_pauses_after_a_checkpoint_and_another_goes_on_to_the_end(
    order: Callable[..., Order], tmp_path: Path
) -> None:
    paused = attempt(order(pause_at=4, is_saved=True), "node")
    assert paused.exit_code is None
    assert read_held_back(run_folder(tmp_path, KEY)).at(4) is not None
    before = _steps(tmp_path)
    assert before[-1] < 12
    sign = read_sign(tmp_path, KEY)
    assert sign is not None
    assert sign.node == "node"
    assert sign.seconds > 0
    assert attempt(order(), "node").exit_code == 0
    assert _steps(tmp_path)[len(before)] == before[-1] // 4 * 4 + 1
    assert [step for step, *_ in read_held_back(run_folder(tmp_path, KEY)).points] == [4, 8, 12]
    # Nothing is left to do, and nothing is done.
    assert attempt(order(pause_at=4), "node").exit_code == 0
    assert _steps(tmp_path)[-1] == 12


def test_a_node_that_sees_another_folder_is_named(order: Callable[..., Order], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"node 10\.0\.0\.7 does not see .*another folder lies there.*all nodes share"):
        attempt(order(sweep_id="elsewhere"), "10.0.0.7")
    (tmp_path / MARKER).unlink()
    with pytest.raises(UsageError, match=r"does not see .*No such file"):
        attempt(order(), "10.0.0.7")


def test_a_node_of_another_version_is_named(order: Callable[..., Order]) -> None:
    with pytest.raises(UsageError, match=r"node 10\.0\.0\.7 has PocketGAN .*, and the sweep was started by 0\.0\.7"):
        attempt(order(version="0.0.7"), "10.0.0.7")


def test_a_child_is_held_to_its_share(order: Callable[..., Order]) -> None:
    share = module._shares(order(cpus=3))
    assert (share["OMP_NUM_THREADS"], share["TF_NUM_INTRAOP_THREADS"]) == ("3", "3")
    assert share["CUDA_VISIBLE_DEVICES"] == "-1"
    assert module._shares(order(gpus=0.5))["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert not {"CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"} & set(module._shares(order(gpus=1)))


def test_what_a_child_said_is_kept_and_its_code_told(order: Callable[..., Order], tmp_path: Path) -> None:
    report = attempt(order(program="compress", arguments=("run", "nothing", "--data", "x", "--out", "y")), "node")
    assert report.exit_code == 2
    assert "nothing is no recipe" in report.said
    assert "nothing is no recipe" in (tmp_path / "trials" / KEY / "log.txt").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="children follow their parents on Linux alone")
def test_a_child_ends_with_its_worker(order: Callable[..., Order], tmp_path: Path) -> None:
    (tmp_path / "trials" / KEY / "recipe.toml").write_text(RECIPE.replace("steps = 12", "steps = 5000"))
    code = f"from compress.fleet.sweep.attempt import *\nattempt({order()!r}, 'node')"
    worker = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    work = run_folder(tmp_path, KEY) / "work.jsonl"
    _wait(lambda: work.exists() and work.read_text().count("\n") > 2)
    child = json.loads(work.read_text().splitlines()[0])["process"]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    _wait(lambda: not _is_alive(child))


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, os.getpid()
        time.sleep(0.05)
