"""A sweep of twelve trials on two nodes: whatever is killed on the way, it ends as if nothing had been."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
REAL_RECIPE = """
[distill]
image_size_px = 32
family = "space_to_depth"
blocks = 1
steps = 20
batch_size = 2
warmup_steps = 2
sample_every = 10
checkpoint_every = 5
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

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.head, self.second = cluster.head_node, cluster.add_node(num_cpus=1, node_ip_address="127.0.0.3")

    @property
    def flags(self) -> list[str]:
        """The flags of a command that joins it."""
        return ["--cluster", self._cluster.address]

    def kill(self, node: Any) -> None:
        """Kill a node as a machine that loses its power would."""
        for name in ("raylet", "gcs_server"):
            for one in node.all_processes.get(name, ()):
                one.process.kill()
                one.process.wait()


@pytest.fixture
def ray_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray starts finds `pretend_run`."""
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # How long a driver looks for a head node that is gone; 60 s is usual.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "10")


@pytest.fixture
def nodes(ray_environment: None) -> Iterator[Nodes]:
    """A Ray that ends with the test."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()


def _start(
    sweep_file: Path, out: Path, flags: Sequence[str] = ("--workers", "2"), *, program: str = "pretend_run"
) -> "subprocess.Popen[str]":
    """Start the command of a sweep, whose trials are runs of a program."""
    line = [sys.executable, str(HERE / "pretend_sweep.py"), program, "sweep", str(sweep_file), "--out", str(out)]
    return subprocess.Popen([*line, *flags, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_sweep_ends_the_same_whatever_is_killed(nodes: Nodes, sweep_file: Path, tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    _finish(_start(sweep_file, undisturbed, nodes.flags))

    driver = _start(sweep_file, disturbed, nodes.flags)
    _wait(lambda: _steps(disturbed) > 10, driver)
    os.kill(_find_worker(), signal.SIGKILL)
    _wait(lambda: _at_work_on(disturbed, "127.0.0.3") and _steps(disturbed) > 100, driver)
    nodes.kill(nodes.second)
    _wait(lambda: len(_ended(disturbed, "finished")) >= 1, driver)
    driver.kill()
    driver.communicate()
    kept = _ended(disturbed, "finished")
    assert kept
    _finish(_start(sweep_file, disturbed, nodes.flags))

    assert _table(disturbed) == _table(undisturbed)
    assert sum(row["attempts"] for row in _rows(disturbed)) > sum(row["attempts"] for row in _rows(undisturbed))
    _require_twelve(undisturbed)
    _require_twelve(disturbed)


def test_a_sweep_goes_on_with_another_ray_where_its_head_node_is_gone(
    nodes: Nodes, sweep_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = _start(sweep_file, out, nodes.flags)
    _wait(lambda: _steps(out) > 30, driver)
    nodes.kill(nodes.head)
    driver.communicate(timeout=LONGEST_S)
    assert driver.returncode != 0
    _finish(_start(sweep_file, out))
    _require_twelve(out)


def test_real_trainings_end_the_same_whatever_is_killed(
    nodes: Nodes, tmp_path: Path, photo_folders: Path, teacher_file: Path
) -> None:
    sweep_file = _write_real_sweep(tmp_path, photo_folders, teacher_file)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    _finish(_start(sweep_file, undisturbed, nodes.flags, program="compress"), trials=4)

    driver = _start(sweep_file, disturbed, nodes.flags, program="compress")
    _wait(lambda: _has_checkpoint(disturbed), driver)
    os.kill(_find_worker("compress"), signal.SIGKILL)
    _wait(lambda: _at_work_on(disturbed, "127.0.0.3") and _has_checkpoint(disturbed), driver)
    nodes.kill(nodes.second)
    _wait(lambda: len(_ended(disturbed, "finished")) >= 1, driver)
    driver.kill()
    driver.communicate()
    made = _made(disturbed)
    _finish(_start(sweep_file, disturbed, nodes.flags, program="compress"), trials=4)

    assert _table(disturbed) == _table(undisturbed)
    assert [[step for step, *_ in row["held_back"]] for row in _table(disturbed)] == [[10, 20]] * 4
    assert made.items() <= _made(disturbed).items()


def _write_real_sweep(tmp_path: Path, photo_folders: Path, teacher_file: Path) -> Path:
    """Write a sweep of four short trainings on four times as many photos: of a tenth of twelve KID is not measured."""
    photos = tmp_path / "photos"
    for photo in sorted(photo_folders.glob("t*/*.png")):
        (photos / photo.parent.name).mkdir(parents=True, exist_ok=True)
        for copy in range(4):
            shutil.copy(photo, photos / photo.parent.name / f"{photo.stem}-{copy}.png")
    (tmp_path / "recipe.toml").write_text(REAL_RECIPE)
    head = f'recipe = "{tmp_path}/recipe.toml"\ndata = "{photos}"\nteacher = "{teacher_file}"\n'
    path = tmp_path / "sweep.toml"
    path.write_text(f'{head}[space]\n"distill.width" = [8, 16]\n"distill.learning_rate" = [1e-3, 2e-3]\n')
    return path


def _has_checkpoint(sweep_dir: Path) -> bool:
    return any(sweep_dir.glob("trials/*/run/student.training/checkpoint.npz"))


def _made(sweep_dir: Path) -> dict[Path, int]:
    """Return when each artifact of the trials that are finished was made, nanoseconds."""
    finished = _ended(sweep_dir, "finished")
    found = (path for key in finished for path in sweep_dir.glob(f"trials/{key}/run/*/manifest.json"))
    return {path: path.stat().st_mtime_ns for path in found}


def _table(sweep_dir: Path) -> list[dict[str, Any]]:
    """Return the table without what depends on who did the work, and how often."""
    return [{key: row[key] for key in row if key not in ("seconds", "node", "attempts")} for row in _rows(sweep_dir)]


def _rows(sweep_dir: Path) -> list[dict[str, Any]]:
    return json.loads((sweep_dir / "table.json").read_text())


def _require_twelve(sweep_dir: Path) -> None:
    """Check that the twelve trials have ended as they should, and that nothing was done twice."""
    statuses = [row["status"] for row in _rows(sweep_dir)]
    expected = {"finished": 2, "stopped": 4, "over_budget": 3, "failed": 3}
    assert {status: statuses.count(status) for status in statuses} == expected
    for run in sorted(sweep_dir.glob("trials/*/run")):
        _require_no_work_after_the_end(run)


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


def _find_worker(program: str = "pretend_run") -> int:
    """Return the process of a worker of this test's cluster that trains."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = f"-m\0{program}\0run".encode() in (place / "cmdline").read_bytes()
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


def _finish(driver: "subprocess.Popen[str]", *, trials: int = 12) -> None:
    out, said = driver.communicate(timeout=LONGEST_S)
    assert driver.returncode == 0, said
    assert json.loads(out)["trials"] == trials
