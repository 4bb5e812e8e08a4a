"""`compress launch`: one training over several processes, which starts again from its checkpoint where one is lost."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from compress.console.device import DEVICE
from compress.errors import PocketGANError, UsageError
from compress.fleet.cluster import connected, require_fleet
from compress.fleet.gang.member import State, actor_class, read_flag

COMMANDS = ("distill", "teach")
RESTARTS = 3
"""How often a gang starts again after it lost a process."""
_MOST_WRONG = 5
"""Highest exit code of `compress.errors`: an input or a flag is wrong, and will be the next time, too."""
_LOOK_EVERY_S = 0.5
_READY_S = 60.0
"""Time that a cluster may take to find room for the gang."""
_ANSWER_S = 60.0
"""Time after which a node that says nothing is lost."""
_LAST_LINES = 12
_log = logging.getLogger(__name__)


class GangFailed(PocketGANError):
    """Error of a gang's process whose exit code is kept."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _Lost(Exception):
    """Raised where a process or its node is gone; the message says which and how."""


def launch(arguments: Sequence[str], *, nodes: int, cluster: str | None) -> None:
    """Run a training as one process on each of several nodes, with a share of each batch in each.

    The first process writes what the command writes, and its progress and result are this process's. Where one is
    lost, all end and start again: the training goes on from its last checkpoint.

    Args:
        arguments: `distill` or `teach` and its flags. Inputs are read on every node, under the same paths.
        nodes: Number of processes; of a cluster's nodes each gets one as far as there are as many.
        cluster: `HOST:PORT` of a Ray cluster's head node; None for processes on this machine.

    Raises:
        UsageError: If the command is none that trains, or there is no room for the gang.
        GangFailed: If a process ended because something is wrong with its input, or one was lost four times.
    """
    devices = _require_launchable(arguments, nodes)
    require_fleet("compress launch")
    if device := os.environ.get(DEVICE):
        arguments = [*arguments, "--device", device]
    with connected(workers=nodes, address=cluster) as ray:
        gang = _Gang(ray, arguments, nodes, _gpus_each(ray, nodes, devices))
        printed = run_again(gang.run)
    # Once outside: inside, stdout is for what Ray says, which is no result.
    sys.stdout.write(printed)


def run_again(run: Callable[[], str]) -> str:
    """Run a gang, and again where it lost a process, up to `RESTARTS` times; return what it printed.

    Raises:
        GangFailed: If it lost one each time.
    """
    for restarts in range(1, RESTARTS + 1):
        try:
            return run()
        except _Lost as lost:
            _log.warning("%s; starting again from the last checkpoint, %d of %d", lost, restarts, RESTARTS)
    try:
        return run()
    except _Lost as lost:
        raise GangFailed(
            f"{lost}, and so was one {RESTARTS} times before. The checkpoint is kept: see to the node, and the same "
            "command goes on from there.",
            PocketGANError.exit_code,
        ) from lost


def _require_launchable(arguments: Sequence[str], nodes: int) -> int:
    """Check what can be checked before Ray starts; return the devices of each process."""
    if nodes < 1:
        raise UsageError(f"--nodes {nodes}, expected at least 1.")
    if not arguments or arguments[0] not in COMMANDS:
        given = repr(arguments[0]) if arguments else "nothing"
        raise UsageError(f"compress launch runs {' or '.join(COMMANDS)}, and was given {given}.")
    if read_flag(arguments, "--out") is None:
        raise UsageError(f"compress {arguments[0]} is given no --out, the place that it writes.")
    devices = read_flag(arguments, "--devices") or "1"
    if not devices.isdecimal() or int(devices) < 1:
        raise UsageError(f"--devices {devices}, expected at least 1.")
    return int(devices)


def _gpus_each(ray: Any, nodes: int, devices: int) -> int:
    """Return the GPUs of each process: as many as its devices where the cluster has GPUs, else none.

    Raises:
        UsageError: If the cluster has fewer processors or GPUs than the gang takes.
    """
    there = ray.cluster_resources()
    processors, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    if processors < nodes or (gpus and gpus < nodes * devices):
        raise UsageError(
            f"--nodes {nodes} with {devices} devices each, but the cluster has {processors} processors and {gpus} "
            "GPUs. Pass fewer, or add nodes to it."
        )
    return devices if gpus else 0


@dataclass(frozen=True)
class _Gang:
    """A training's processes, started together and ended together."""

    ray: Any
    arguments: Sequence[str]
    nodes: int
    gpus: int

    def run(self) -> str:
        """Run the training to its end; return what its first process printed.

        Raises:
            _Lost: If a process or a node is gone.
            GangFailed: If a process says that something is wrong.
        """
        with self._members() as members:
            try:
                workers = [self._ask(member.reserve.remote(host)) for member, host in members]
                for rank, (member, _) in enumerate(members):
                    self._ask(member.start.remote(self.arguments, os.getcwd(), workers, rank))
                return self._follow([member for member, _ in members])
            except (self.ray.exceptions.RayActorError, self.ray.exceptions.GetTimeoutError) as error:
                raise _Lost(f"a node is lost ({type(error).__name__})") from error

    def _ask(self, answer: Any) -> Any:
        return self.ray.get(answer, timeout=_ANSWER_S)

    @contextmanager
    def _members(self) -> Iterator[list[tuple[Any, str]]]:
        """Place the members, spread over the nodes; each with the address of its node."""
        from ray.util.placement_group import placement_group, remove_placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        share = {"CPU": 1.0} | ({"GPU": float(self.gpus)} if self.gpus else {})
        group = placement_group([share] * self.nodes, strategy="SPREAD")
        members: list[Any] = []
        try:
            if not group.wait(_READY_S):
                raise UsageError(
                    f"the cluster found no room for {self.nodes} processes within {_READY_S:.0f} s. Wait until others "
                    "are done, or pass fewer --nodes."
                )
            for place in range(self.nodes):
                strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=place)
                members.append(actor_class(self.ray, self.gpus).options(scheduling_strategy=strategy).remote())
            hosts = [self._ask(member.host.remote()) for member in members]
            yield list(zip(members, hosts, strict=True))
        finally:
            for member in members:
                with suppress(Exception):
                    self._ask(member.stop.remote())
                self.ray.kill(member)
            remove_placement_group(group)

    def _follow(self, members: list[Any]) -> str:
        """Show the first process's progress until it has ended; return what it printed."""
        said = [""] * len(members)
        while True:
            states: list[State] = self.ray.get([member.look.remote() for member in members], timeout=_ANSWER_S)
            sys.stderr.write(states[0].progress)
            sys.stderr.flush()
            for rank, state in enumerate(states):
                said[rank] = (said[rank] + state.progress)[-10_000:]
            if states[0].exit_code == 0:
                return states[0].result
            _raise_ended(states, said)
            time.sleep(_LOOK_EVERY_S)


def _raise_ended(states: Sequence[State], said: Sequence[str]) -> None:
    """Raise where a process ended badly: for what is wrong with the input first, since one that is left fails, too."""
    ended = {rank: state.exit_code for rank, state in enumerate(states) if state.exit_code}
    for rank, code in sorted(ended.items(), key=lambda item: not 0 < item[1] <= _MOST_WRONG):
        last = "\n".join(said[rank].strip().splitlines()[-_LAST_LINES:])
        name = f"process {rank + 1} of {len(states)}"
        if 0 < code <= _MOST_WRONG:
            raise GangFailed(f"{name} ended with {code}" + (f":\n{last}" if rank else ", see above."), code)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise _Lost(f"{name} is lost ({how})" + (f":\n{last}\n" if rank and code > 0 else ""))
