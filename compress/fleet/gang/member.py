"""A member of a gang: the process on a node that trains with the others, held by a Ray actor that it ends with."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from compress.console.parent import child_variables
from compress.training.replicas import TF_CONFIG


@dataclass(frozen=True)
class State:
    """What became of a member since it was last asked."""

    exit_code: int | None
    """None while it runs; negative where a signal ended it."""
    progress: str
    """What it wrote to stderr since."""
    result: str
    """What it printed, once it has ended."""


class Member:
    """A training's process. Its methods are called on its node, by Ray."""

    def __init__(self) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="pocketgan-member-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._progress: IO[bytes] | None = None

    def host(self) -> str:
        """Return the address of its node, as Ray has it."""
        import ray

        return ray.util.get_node_ip_address()

    def reserve(self, host: str) -> str:
        """Return `HOST:PORT` of a port that is free on this node now."""
        with socket.socket() as free:
            free.bind((host, 0))
            return f"{host}:{free.getsockname()[1]}"

    def start(self, arguments: Sequence[str], folder: str, workers: Sequence[str], rank: int) -> None:
        """Start a command of this program as one of the processes that train together.

        Args:
            arguments: The command line. What its `--out` names is written by the process of rank 0 alone; the others
                have a place in a scratch folder instead, which stays empty but for what they read.
            folder: The folder that it is started in.
            workers: `HOST:PORT` of all processes, by rank.
            rank: Its own.
        """
        config = {"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": rank}}
        line = arguments if rank == 0 else replace_out(arguments, self._scratch / "out")
        progress, result = self._scratch / "progress", self._scratch / "result"
        with progress.open("wb") as stderr, result.open("wb") as stdout:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "compress", *line],
                cwd=folder,
                env=child_variables({TF_CONFIG: json.dumps(config)}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        self._progress = progress.open("rb")

    def look(self) -> State:
        """Return its state, and what is new since the last look."""
        if self._child is None or self._progress is None:
            return State(None, "", "")
        exit_code = self._child.poll()
        new = self._progress.read().decode(errors="replace")
        result = "" if exit_code is None else (self._scratch / "result").read_text(errors="replace")
        return State(exit_code, new, result)

    def stop(self) -> None:
        """End it, and remove what it had in its scratch folder."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                # A process that waits for another in TensorFlow hears no signal but this.
                self._child.kill()
        if self._progress is not None:
            self._progress.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def replace_out(arguments: Sequence[str], out: Path) -> list[str]:
    """Return a command line with another place after `--out`."""
    line = list(arguments)
    for place, token in enumerate(line):
        if token == "--out":
            line[place + 1 : place + 2] = [str(out)]
        elif token.startswith("--out="):
            line[place] = f"--out={out}"
    return line


def read_flag(arguments: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag of a command line; None where it is not given."""
    tokens: Mapping[int, str] = dict(enumerate(arguments))
    for place, token in tokens.items():
        if token == flag:
            return tokens.get(place + 1)
        if token.startswith(f"{flag}="):
            return token.partition("=")[2]
    return None


def actor_class(ray: Any, gpus: int) -> Any:
    """Return `Member` as an actor that takes a processor and so many GPUs."""
    return ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(Member)
