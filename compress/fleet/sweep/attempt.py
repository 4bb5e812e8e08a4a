"""An attempt at a trial on a worker: its `compress run` as a child that ends with the worker, or pauses at a rung."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

from compress.console.parent import child_variables
from compress.errors import UsageError
from compress.files.atomic import replace_text
from compress.fleet.sweep.held_back import may_pause
from compress.fleet.trial import run_folder, trial_folder
from compress.strict_json import load_json, parse_record

_SAID_BYTES = 1 << 16
MARKER = "sweep.id"
"""File in a sweep's folder by which a worker knows that it sees the same folder as the driver."""
LOG = "log.txt"
"""File in a trial's folder: what its `compress run` said, all attempts after each other."""
_SIGN = "attempt.json"
_POLL_S, _SIGN_EVERY_S = 0.5, 2.0
_PATIENCE_S = 120
"""Time that a child gets to clean up before it is killed."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a worker is to do."""

    sweep_dir: str
    sweep_id: str
    key: str
    arguments: tuple[str, ...]
    """Of `compress`."""
    cpus: int
    gpus: float
    pause_at: int | None = None
    """Step after whose KID the training pauses; None to go on to the end."""
    is_saved: bool = False
    """Whether a checkpoint follows on that step."""
    program: str = "compress"
    """Module that is run with the arguments."""
    version: str = field(default_factory=lambda: metadata.version("pocketgan"))
    """Of this program, on the driver's machine."""


@dataclass(frozen=True)
class Report:
    """How an attempt ended."""

    exit_code: int | None
    """Of `compress run`; a signal's is 128 and its number; None of one that has paused."""
    said: str
    """What it said at last."""
    was_out_of_memory: bool = False
    """Whether the system killed a process for want of memory meanwhile."""


@dataclass(frozen=True)
class Sign:
    """Sign of life of an attempt."""

    node: str
    seconds: float


def read_sign(sweep_dir: Path, key: str) -> Sign | None:
    """Read the last sign of life of the attempt at a trial; None where there is none."""
    try:
        return parse_record(load_json(trial_folder(sweep_dir, key) / _SIGN), Sign)
    except (OSError, ValueError):
        return None


def remove_sign(sweep_dir: Path, key: str) -> None:
    """Remove the sign of life of an attempt that has ended."""
    (trial_folder(sweep_dir, key) / _SIGN).unlink(missing_ok=True)


def require_shared(order: Order, node: str) -> None:
    """Check that this node has the driver's version of this program, and sees the sweep's folder.

    Raises:
        UsageError: If it does not.
    """
    if (found := metadata.version("pocketgan")) != order.version:
        raise UsageError(
            f"node {node} has PocketGAN {found}, and the sweep was started by {order.version}. Install one version on "
            "all nodes."
        )
    marker = Path(order.sweep_dir) / MARKER
    try:
        if marker.read_text(encoding="utf-8").strip() == order.sweep_id:
            return
        why = "another folder lies there"
    except OSError as error:
        why = str(error.strerror)
    raise UsageError(
        f"node {node} does not see the sweep's folder {order.sweep_dir} ({why}). On a cluster --out must be a folder "
        "that all nodes share under one path, as the data and the teacher are."
    )


def attempt(order: Order, node: str) -> Report:
    """Run a trial's `compress run` to its end, or until it may pause.

    Args:
        order: What to do.
        node: Address of this node.

    Raises:
        UsageError: If this node does not see the sweep's folder.
    """
    require_shared(order, node)
    log = trial_folder(Path(order.sweep_dir), order.key) / LOG
    killed_before = _count_killed_for_memory()
    with log.open("ab") as stream:
        begins = stream.tell()
        command = [sys.executable, "-P", "-m", order.program, *order.arguments, "--wait"]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=order.sweep_dir,
            env=child_variables(_shares(order)),
        ) as process:
            has_paused = _follow(process, order, node)
    exit_code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    with log.open("rb") as stream:
        stream.seek(max(begins, stream.seek(0, os.SEEK_END) - _SAID_BYTES))
        said = stream.read().decode("utf-8", "replace")
    if has_paused and exit_code == 128 + signal.SIGTERM:
        return Report(None, said)
    return Report(exit_code, said, _count_killed_for_memory() > killed_before)


def _follow(process: "subprocess.Popen[bytes]", order: Order, node: str) -> bool:
    """Wait for a child, with a sign of life now and then; return whether it was told to pause."""
    started, run = time.monotonic(), run_folder(Path(order.sweep_dir), order.key)
    sign_at, told_at = 0.0, None
    while process.poll() is None:
        spent = time.monotonic() - started
        if spent >= sign_at:
            _write_sign(order, Sign(node, round(spent, 1)))
            sign_at = spent + _SIGN_EVERY_S
        if told_at is None and order.pause_at is not None and may_pause(run, order.pause_at, is_saved=order.is_saved):
            process.terminate()
            told_at = spent
        if told_at is not None and spent - told_at > _PATIENCE_S:
            process.kill()
        time.sleep(_POLL_S)
    _write_sign(order, Sign(node, round(time.monotonic() - started, 1)))
    return told_at is not None


def _write_sign(order: Order, sign: Sign) -> None:
    replace_text(trial_folder(Path(order.sweep_dir), order.key) / _SIGN, json.dumps(asdict(sign)) + "\n")


def _shares(order: Order) -> dict[str, str]:
    """Return the variables that hold a child to its share of the node; Ray has chosen among its accelerators."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    shares = {**dict.fromkeys(names, str(order.cpus)), "TF_NUM_INTEROP_THREADS": "1"}
    if order.gpus == 0:
        return {**shares, "CUDA_VISIBLE_DEVICES": "-1"}
    # Else the first of several on one accelerator would take all of its memory.
    return shares | ({"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if order.gpus < 1 else {})


def _count_killed_for_memory() -> int:
    """Return how many processes the system has killed for want of memory, here on Linux; 0 where it does not say."""
    for place in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        try:
            lines = Path(place).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
