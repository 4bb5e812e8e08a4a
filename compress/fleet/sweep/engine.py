"""Engine of a sweep: attempts at trials as Ray's tasks, tried again where that may help, all else read from disk."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.errors import PocketGANError, UsageError
from compress.files.atomic import remove, replace_text
from compress.fleet.budget.check import Verdict
from compress.fleet.sweep.attempt import Order, Report, attempt
from compress.fleet.sweep.build import Proposal, halve_batch
from compress.fleet.sweep.effort import MOST_LOST, read_effort, write_effort
from compress.fleet.sweep.failures import classify, explain
from compress.fleet.sweep.outcomes import failed, finished
from compress.fleet.sweep.spec import ResourcesConfig
from compress.fleet.trial import RECIPE, Inputs, run_arguments, run_folder, trial_folder, write_outcome
from compress.run.pipeline import exported_models
from compress.run.recipe_text import to_tables, to_toml

_LOOK_EVERY_S = 2.0
_log = logging.getLogger(__name__)


class ClusterLost(PocketGANError):
    """Raised where Ray itself is gone, and with it every attempt in progress."""

    exit_code = 74


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a sweep's trials lie, and what they read."""

    sweep_dir: Path
    sweep_id: str
    inputs: Inputs


class Engine:
    """Runs trials on the nodes of a cluster.

    Args:
        ray: The module `ray`, connected.
        place: Where the trials lie.
        resources: What each takes.
        verdicts: What is known of each before it is trained, by key.
        look: Called every now and then while trials run, and whenever one has ended.
    """

    def __init__(
        self,
        ray: Any,
        place: Place,
        resources: ResourcesConfig,
        verdicts: Mapping[str, Verdict],
        look: Callable[[], None],
    ) -> None:
        self._ray, self._place, self._resources = ray, place, resources
        self._verdicts, self._look = verdicts, look
        # Who is worth another attempt is decided here, not by Ray.
        options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "max_retries": 0}
        self._task = ray.remote(**options)(_attempt_here)

    def run(self, proposals: Iterable[Proposal], *, pause_at: int | None) -> None:
        """Run trials until each has ended, with an outcome, or has paused.

        Args:
            proposals: None of them with an outcome.
            pause_at: Step after whose KID a training pauses; None to go on to the end.

        Raises:
            UsageError: If a node does not see the sweep's folder.
            ClusterLost: If Ray is gone.
        """
        running = {self._start(one, pause_at): one for one in proposals}
        try:
            while running:
                ended, _ = self._ray.wait(list(running), num_returns=1, timeout=_LOOK_EVERY_S)
                for reference in ended:
                    proposal = running.pop(reference)
                    if again := self._settle(reference, proposal):
                        running[self._start(again, pause_at)] = again
                self._look()
        except self._ray.exceptions.RayError as error:
            raise _lost(error) from error

    def _start(self, proposal: Proposal, pause_at: int | None) -> Any:
        sweep_dir, key, recipe = self._place.sweep_dir, proposal.trial.key, proposal.need_recipe()
        arguments = run_arguments(sweep_dir, key, self._place.inputs)
        order = Order(
            sweep_dir=str(sweep_dir.resolve()),
            sweep_id=self._place.sweep_id,
            key=key,
            arguments=(*arguments, "--until", exported_models(recipe)[-1]),
            cpus=self._resources.cpus,
            gpus=self._resources.gpus,
            pause_at=pause_at,
            is_saved=pause_at is not None and pause_at % recipe.require_distill().checkpoint_every == 0,
        )
        # What an attempt took that was killed with an earlier driver.
        write_effort(sweep_dir, key, read_effort(sweep_dir, key))
        return self._task.remote(order)

    def _settle(self, reference: Any, proposal: Proposal) -> Proposal | None:
        """Write down how an attempt ended; return what to try again, or None."""
        sweep_dir, key = self._place.sweep_dir, proposal.trial.key
        report = self._report(reference)
        effort = read_effort(sweep_dir, key)
        failure = classify(report)
        write_effort(sweep_dir, key, effort)
        if failure == "lost" and effort.lost < MOST_LOST:
            _log.warning("trial %d lost its worker (%s): again", proposal.trial.number, explain(report))
            write_effort(sweep_dir, key, replace(effort, lost=effort.lost + 1))
            return proposal
        if failure == "memory" and not effort.has_halved and (halved := self._halve(proposal)):
            _log.warning("trial %d ran out of memory: again, with half the batch", proposal.trial.number)
            write_effort(sweep_dir, key, replace(effort, has_halved=True))
            return halved
        verdict = self._verdicts[key]
        if failure is not None:
            write_outcome(sweep_dir, key, failed(sweep_dir, proposal, effort, verdict, failure, explain(report)))
        elif report.exit_code == 0:
            write_outcome(sweep_dir, key, finished(sweep_dir, proposal, effort, verdict))
        return None

    def _report(self, reference: Any) -> Report:
        """Return how an attempt ended, also where its worker or node did."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.OutOfMemoryError as error:
            return Report(137, f"compress: {_first_line(error)}", was_out_of_memory=True)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError) as error:
            return Report(137, f"compress: {type(error).__name__}: {_first_line(error)}")
        except errors.LocalRayletDiedError as error:
            raise _lost(error) from error
        except errors.RayTaskError as error:
            if isinstance(error.cause, PocketGANError):
                raise error.cause from None
            return Report(70, f"compress: {_first_line(error.cause)}")

    def _halve(self, proposal: Proposal) -> Proposal | None:
        """Return a proposal of half the batch, from the start, since its steps are others; None of a batch of one."""
        recipe = proposal.need_recipe()
        if (halved := halve_batch(recipe)) == recipe:
            return None
        sweep_dir, key = self._place.sweep_dir, proposal.trial.key
        remove(run_folder(sweep_dir, key))
        replace_text(trial_folder(sweep_dir, key) / RECIPE, to_toml(to_tables(halved)))
        return replace(proposal, recipe=halved)


def require_room(ray: Any, resources: ResourcesConfig, *, may_grow: bool) -> None:
    """Check that some node has what a trial takes.

    Args:
        ray: The module `ray`, connected.
        resources: What a trial takes.
        may_grow: Whether nodes may join later, so that it is only told.

    Raises:
        UsageError: If none has.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if resources.gpus == 0 and (idle := sum(one.get("GPU", 0) for one in nodes)):
        _log.warning("%g accelerators stay idle: [resources] gpus = 0. Give each trial one, or a share of one.", idle)
    if any(one.get("CPU", 0) >= resources.cpus and one.get("GPU", 0) >= resources.gpus for one in nodes):
        return
    here = "; ".join(f"{one.get('CPU', 0):g} cores, {one.get('GPU', 0):g} accelerators" for one in nodes)
    asked = f"[resources] asks for cpus = {resources.cpus} and gpus = {resources.gpus} a trial"
    told = f"{asked}, and no node has them: {here}"
    if not may_grow:
        raise UsageError(f"{told}. Ask for less, or leave --workers out to use the whole machine.")
    _log.warning("%s. The sweep waits until one joins.", told)


def _attempt_here(order: Order) -> Report:
    import ray.util

    return attempt(order, ray.util.get_node_ip_address())


def _lost(error: Exception) -> ClusterLost:
    return ClusterLost(
        f"Ray is gone ({type(error).__name__}: {_first_line(error)}). What has ended is kept: start the cluster again, "
        "and run the same command to go on."
    )


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
