"""A sweep of twelve trials on two nodes: whatever is killed on the way, it ends as if nothing had been."""

import contextlib
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compress.fleet.cluster import LOOPBACK

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
LONGEST_S = 300
SWEEP = """
recipe = "{folder}/recipe.toml"
data = "{photos}"
teacher = "{teacher}"

[space]
"distill.width" = [8, 16, 31, 48]
"distill.learning_rate" = [1e-3, 2e-3, 4e-3]

[budget]
max_macs = 12_000_000

[halving]
first_step = 40
reduction = 2
"""
RECIPE = """
[distill]
image_size_px = 64
blocks = 1
steps = 120
sample_every = 20
checkpoint_every = 20
precision = "float32"
[export]
precision = "fp32"
"""


@pytest.fixture
def sweep_file(tmp_path: Path, photo_folders: Path, teacher_file: Path) -> Path:
    """Twelve trials: those of an odd width are none, the widest are over the budget, halving stops others."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP.format(folder=tmp_path, photos=photo_folders, teacher=teacher_file))
    return path


class Nodes:
    """A Ray of two nodes on this machine, one core each."""

    def __init__(self, cluster: Any, environment: dict[str, str]) -> None:
        self._cluster, self._environment = cluster, environment
        self.second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.3")

    def start_sweep(self, sweep_file: Path, out: Path) -> "subprocess.Popen[str]":
        """Start the command of a sweep."""
        line = [sys.executable, str(HERE / "pretend_sweep.py"), "sweep", str(sweep_file), "--out", str(out)]
        line += ["--cluster", self._cluster.address, "--json"]
        return subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | self._environment
        )

    def kill_raylet(self, node: Any) -> None:
        """Kill a node's raylet as a machine that loses its power would."""
        process = node.all_processes["raylet"][0].process
        os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Two raylets; what they start finds `pretend_run`."""
    pytest.importorskip("ray")
    environment = {"PYTHONPATH": str(HERE), "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(cluster, environment)
    finally:
        cluster.shutdown()


def test_a_sweep_ends_the_same_whatever_is_killed(nodes: Nodes, sweep_file: Path, tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    _finish(nodes.start_sweep(sweep_file, undisturbed))

    driver = nodes.start_sweep(sweep_file, disturbed)
    _wait(lambda: _steps(disturbed) > 10, driver)
    os.kill(_find_worker(), signal.SIGKILL)
    _wait(lambda: _at_work_on(disturbed, "127.0.0.3") and _steps(disturbed) > 100, driver)
    nodes.kill_raylet(nodes.second)
    _wait(lambda: len(_ended(disturbed, "finished")) >= 1, driver)
    driver.kill()
    driver.communicate()
    kept = _ended(disturbed, "finished")
    assert kept
    _finish(nodes.start_sweep(sweep_file, disturbed))

    assert _table(disturbed) == _table(undisturbed)
    statuses = [row["status"] for row in _table(undisturbed)]
    assert {status: statuses.count(status) for status in statuses} == {
        "finished": 2, "stopped": 4, "over_budget": 3, "failed": 3,
    }  # fmt: skip
    assert sum(row["attempts"] for row in _rows(disturbed)) > sum(row["attempts"] for row in _rows(undisturbed))
    for sweep_dir in (undisturbed, disturbed):
        for run in sorted(sweep_dir.glob("trials/*/run")):
            _require_no_work_after_the_end(run)


def _table(sweep_dir: Path) -> list[dict[str, Any]]:
    """Return the table without what depends on who did the work, and how often."""
    return [{key: row[key] for key in row if key not in ("seconds", "node", "attempts")} for row in _rows(sweep_dir)]


def _rows(sweep_dir: Path) -> list[dict[str, Any]]:
    return json.loads((sweep_dir / "table.json").read_text())


def _require_no_work_after_the_end(run: Path) -> None:
    """Check that a run that ended did so once and did nothing after, and that no step was repeated but since a kill."""
    work = [json.loads(line) for line in (run / "work.jsonl").read_text().splitlines()]
    ends = [place for place, what in enumerate(work) if what.get("ended")]
    assert ends in ([], [len(work) - 1])
    # A training that was killed or paused goes on from its checkpoint, which is at most 20 steps old.
    steps = [what["step"] for what in work if "step" in what]
    for before, after in itertools.pairwise(steps):
        assert before - 20 <= after <= before + 1


def _steps(sweep_dir: Path) -> int:
    return sum(path.read_text().count("step") for path in sweep_dir.glob("trials/*/run/work.jsonl"))


def _ended(sweep_dir: Path, status: str) -> set[str]:
    return {path.parent.name for path in sweep_dir.glob("trials/*/outcome.json") if f'"{status}"' in path.read_text()}


def _at_work_on(sweep_dir: Path, node: str) -> bool:
    """Check whether a trial is in training on a node."""
    signs = [path for path in sweep_dir.glob("trials/*/attempt.json") if not (path.parent / "outcome.json").exists()]
    with contextlib.suppress(FileNotFoundError):
        return any(f'"{node}"' in path.read_text() for path in signs)
    return False


def _find_worker() -> int:
    """Return the process of a worker of this test's cluster that trains."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = b"pretend_run" in (place / "cmdline").read_bytes()
            if is_child and str(HERE).encode() in (place / "environ").read_bytes():
                return int((place / "stat").read_text().rpartition(")")[2].split()[1])
    pytest.fail("no worker trains")


def _wait(condition: Callable[[], bool], driver: "subprocess.Popen[str]") -> None:
    """Wait until something is so while a sweep goes on."""
    until = time.monotonic() + LONGEST_S
    while not condition():
        if driver.poll() is not None:
            pytest.fail(f"the sweep ended too early, with {driver.returncode}: {driver.communicate()}")
        if time.monotonic() > until:
            driver.kill()
            pytest.fail(f"waited in vain: {driver.communicate()}")
        time.sleep(0.1)


def _finish(driver: "subprocess.Popen[str]") -> None:
    out, said = driver.communicate(timeout=LONGEST_S)
    assert driver.returncode == 0, said
    assert json.loads(out)["trials"] == 12
