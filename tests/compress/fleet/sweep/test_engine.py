"""The engine: who is worth another attempt, with a Ray that answers what it is told to."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compress.cli import _classes_above
from compress.errors import UsageError
from compress.files.atomic import replace_text
from compress.fleet.budget.check import Verdict
from compress.fleet.sweep.attempt import Order, Report
from compress.fleet.sweep.build import Builder, Proposal
from compress.fleet.sweep.engine import ClusterLost, Engine, Place, require_room
from compress.fleet.sweep.spec import ResourcesConfig, read_spec
from compress.fleet.trial import Outcome, read_outcome, run_folder, trial_folder, write_asked

FINISHED, KILLED = Report(0, ""), Report(137, "")
NO_MEMORY = Report(74, "compress: ran out of memory. Close other programs.")


class Errors:
    """Names of Ray's errors that the engine knows."""

    class RayError(Exception):
        """Anything of Ray itself."""

    class OutOfMemoryError(Exception):
        """A worker that Ray has ended."""

    class WorkerCrashedError(Exception):
        """A worker that has ended."""

    class NodeDiedError(Exception):
        """A node that is gone."""

    class ObjectLostError(Exception):
        """A result that is gone."""

    class LocalRayletDiedError(Exception):
        """The driver's own node."""

    class RayTaskError(Exception):
        """An error of the task's own."""

        def __init__(self, cause: Exception) -> None:
            super().__init__(str(cause))
            self.cause = cause


class PretendedRay:
    """Ray whose tasks end at once as they are told; the orders that it got are kept."""

    exceptions = Errors

    def __init__(self, ends: list[Report | Exception]) -> None:
        self._ends = iter(ends)
        self.orders: list[Order] = []

    def remote(self, **options: Any) -> Callable[..., Any]:
        assert options["max_retries"] == 0

        def start(order: Order) -> int:
            self.orders.append(order)
            return len(self.orders)

        return lambda function: SimpleNamespace(remote=start)

    def wait(self, references: list[int], **options: Any) -> tuple[list[int], list[int]]:
        return references[:1], references[1:]

    def get(self, reference: int) -> Report:
        end = next(self._ends)
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
def run(write_sweep: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[PretendedRay, Outcome | None]]:
    """Run one trial whose attempts end as told; returns the Ray that got its orders, and its outcome."""
    out = tmp_path / "out"

    def call(
        *ends: Report | Exception, batch_size: int = 8, pause_at: int | None = None
    ) -> tuple[PretendedRay, Outcome | None]:
        spec = read_spec(write_sweep('[space]\n"distill.width" = [8]\n'), _classes_above())
        builder = Builder(spec, _classes_above())
        proposal = builder.build(0, {"distill.width": 8, "distill.batch_size": batch_size})
        write_asked(out, builder.inputs, [proposal.trial])
        _leave_export(out, proposal)
        ray, place = PretendedRay(list(ends)), Place(sweep_dir=out, sweep_id="here", inputs=builder.inputs)
        verdicts = {proposal.trial.key: Verdict(macs=5, size_bytes=6, latency_ratio=0.5)}
        engine = Engine(ray, place, ResourcesConfig(), verdicts, look=lambda: None)
        engine.run([proposal], pause_at=pause_at)
        return ray, read_outcome(out, proposal.trial.key)

    return call


def _leave_export(out: Path, proposal: Proposal) -> None:
    folder = run_folder(out, proposal.trial.key) / "student_int8"
    record = {
        "name": "student", "format": "tflite", "stage": "export", "parent": None, "input": {"shape": [64, 64, 3]},
        "cost": {"params": 1, "macs": 70, "size_bytes": 80},
    }  # fmt: skip
    replace_text(folder / "model.tflite", "model")
    replace_text(folder / "manifest.json", json.dumps(record))


def test_what_is_finished_tells_what_its_file_takes(run: Callable[..., Any]) -> None:
    ray, outcome = run(FINISHED)
    assert (outcome.status, outcome.attempts, outcome.macs, outcome.size_bytes) == ("finished", 1, 70, 80)
    assert outcome.latency_ratio == 0.5
    arguments = ray.orders[0].arguments
    assert arguments[-2:] == ("--until", "student_int8")
    assert arguments[-4:-2] == ("--set", "distill.image_size_px=64")


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_bad_input_is_never_tried_again(run: Callable[..., Any], code: int) -> None:
    ray, outcome = run(Report(code, "compress: bad photos\ncompress: stopped at student: …"))
    assert len(ray.orders) == 1
    assert (outcome.status, outcome.reason, outcome.attempts) == ("failed", "bad photos", 1)
    assert (outcome.macs, outcome.size_bytes) == (5, 6)


def test_too_little_memory_is_tried_once_with_half_the_batch(run: Callable[..., Any], tmp_path: Path) -> None:
    ray, outcome = run(NO_MEMORY, NO_MEMORY)
    assert len(ray.orders) == 2
    assert outcome.status == "failed"
    assert outcome.reason == "ran out of memory, with half the batch too: ran out of memory. Close other programs."
    recipe = (trial_folder(tmp_path / "out", ray.orders[0].key) / "recipe.toml").read_text()
    assert "batch_size = 4" in recipe
    assert not run_folder(tmp_path / "out", ray.orders[0].key).exists()


def test_ray_that_ends_a_worker_for_want_of_memory_is_too_little_memory(run: Callable[..., Any]) -> None:
    ray, outcome = run(Errors.OutOfMemoryError("the node has too little"), batch_size=1)
    assert len(ray.orders) == 1
    assert outcome.reason == "ran out of memory: the node has too little"


@pytest.mark.parametrize(
    "lost", [KILLED, Errors.WorkerCrashedError("gone"), Errors.NodeDiedError("gone"), Errors.ObjectLostError("gone")]
)
def test_a_lost_worker_is_tried_again_three_times(run: Callable[..., Any], lost: Report | Exception) -> None:
    ray, outcome = run(lost, lost, lost, FINISHED)
    assert (len(ray.orders), outcome.status, outcome.attempts) == (4, "finished", 4)


def test_a_worker_that_is_always_lost_fails(run: Callable[..., Any], tmp_path: Path) -> None:
    ray, outcome = run(KILLED, KILLED, KILLED, KILLED)
    assert (len(ray.orders), outcome.status, outcome.attempts) == (4, "failed", 4)
    assert outcome.reason == "lost its worker or node 4 times: compress run ended with 137"


def test_what_is_lost_counts_on_after_a_kill_of_the_driver(run: Callable[..., Any]) -> None:
    with pytest.raises(ClusterLost, match=r"run the same command to go on"):
        run(KILLED, KILLED, Errors.RayError("the head is gone"))
    ray, outcome = run(KILLED, KILLED)
    assert (len(ray.orders), outcome.status) == (2, "failed")


def test_a_node_without_the_folder_ends_the_sweep(run: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="does not see"):
        run(Errors.RayTaskError(UsageError("node 10.0.0.7 does not see the sweep's folder")))


def test_a_bug_fails_its_trial_alone(run: Callable[..., Any]) -> None:
    _, outcome = run(Errors.RayTaskError(ZeroDivisionError("division by zero")))
    assert (outcome.status, outcome.reason) == ("failed", "division by zero")


def test_a_pause_is_no_end(run: Callable[..., Any]) -> None:
    ray, outcome = run(Report(None, ""), pause_at=40)
    assert (ray.orders[0].pause_at, ray.orders[0].is_saved, outcome) == (40, True, None)
    ray, _ = run(Report(None, ""), pause_at=30)
    assert not ray.orders[0].is_saved


def _nodes(*resources: dict[str, float]) -> Any:
    return SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": one} for one in resources])


def test_a_trial_that_fits_no_node_is_told(caplog: pytest.LogCaptureFixture) -> None:
    require_room(_nodes({"CPU": 2}, {"CPU": 4, "GPU": 1}), ResourcesConfig(cpus=4, gpus=1), may_grow=False)
    with pytest.raises(UsageError, match=r"cpus = 4 and gpus = 1 a trial, and no node has them: 2 cores, 0 accel"):
        require_room(_nodes({"CPU": 2}), ResourcesConfig(cpus=4, gpus=1), may_grow=False)
    require_room(_nodes({"CPU": 2}), ResourcesConfig(cpus=4), may_grow=True)
    assert "waits until one joins" in caplog.text


def test_accelerators_that_no_trial_takes_are_told(caplog: pytest.LogCaptureFixture) -> None:
    require_room(_nodes({"CPU": 2, "GPU": 2}, {"CPU": 2}), ResourcesConfig(gpus=0.5), may_grow=False)
    require_room(_nodes({"CPU": 2}), ResourcesConfig(), may_grow=False)
    assert not caplog.text
    require_room(_nodes({"CPU": 2, "GPU": 2}, {"CPU": 2}), ResourcesConfig(), may_grow=False)
    assert "2 accelerators stay idle: [resources] gpus = 0" in caplog.text
