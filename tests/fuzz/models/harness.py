"""Mutants of model files through the readers, and what became of each."""

import importlib.util
import json
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mutate
from mutate import Mutation
from originals import Format, make_originals

LONGEST_S, LARGEST_BYTES = 20, 1_000_000_000
"""A mutant's time and memory, framework included. Seconds in which other processes ran do not count."""
_SLACK_S = 2
_PATIENCE_S = 300
_MUTATIONS: Mapping[Format, Sequence[Mutation]] = {
    "h5": (mutate.mutate_bytes, mutate.mutate_h5_config, mutate.mutate_h5_array),
    "keras": (mutate.mutate_bytes, mutate.mutate_keras_config, mutate.mutate_keras_weights, mutate.mutate_zip_member),
    "pth": (mutate.mutate_bytes, mutate.mutate_zip_member, mutate.mutate_pickle, mutate.mutate_pickle),
    "pth_legacy": (mutate.mutate_bytes, mutate.mutate_pickle, mutate.mutate_pickle),
    "onnx": (mutate.mutate_bytes,),
    "saved_model": (mutate.mutate_bytes,),
    "tflite": (mutate.mutate_bytes,),
    "student": (mutate.mutate_bytes, mutate.mutate_keras_config, mutate.mutate_keras_weights),
    "manifest": (mutate.mutate_manifest, mutate.mutate_manifest, mutate.mutate_bytes),
}
_STEPS: Mapping[Format, Sequence[tuple[str, str]]] = {
    "h5": (("plain", "describe"), ("keras", "build")),
    "keras": (("plain", "describe"), ("keras", "build")),
    "pth": (("plain", "describe"), ("keras", "build")),
    "pth_legacy": (("plain", "describe"), ("keras", "build")),
    "onnx": (("plain", "describe"), ("keras", "build")),
    "saved_model": (("tensorflow", "describe"), ("keras", "build")),
    "tflite": (("litert", "run_tflite"),),
    "student": (("plain", "check_student"), ("keras", "load_student")),
    "manifest": (("plain", "manifest"),),
}
"""What happens to a file, and in which server; see `server`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one mutant."""

    kind: str
    """`picture`, `exit 3`, `exit 4`, or `ended` where the child was killed, which is exit 3 to the user."""
    wall_s: float
    peak_bytes: int
    broken: str | None = None
    """Why this may not be, or None."""


@dataclass
class Table:
    """Outcomes by format."""

    kinds: dict[Format, Counter[str]] = field(default_factory=dict)
    longest_s: dict[Format, float] = field(default_factory=dict)
    largest_bytes: dict[Format, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def mutants(self) -> int:
        """Number of all mutants."""
        return sum(counts.total() for counts in self.kinds.values())

    def add(self, name: Format, outcome: Outcome, mutant: str) -> None:
        """Count an outcome."""
        self.kinds.setdefault(name, Counter())[outcome.kind] += 1
        self.longest_s[name] = max(self.longest_s.get(name, 0.0), outcome.wall_s)
        self.largest_bytes[name] = max(self.largest_bytes.get(name, 0), outcome.peak_bytes)
        if outcome.broken:
            self.broken.append(f"{mutant}: {outcome.broken}")

    def __str__(self) -> str:
        """Format the table for people: a row for each format."""
        columns = ("picture", "exit 3", "exit 4", "ended", "broken")
        rows = [f"{'format':<12}{'mutants':>8}" + "".join(f"{name:>9}" for name in columns) + "  longest  largest"]
        for name, counts in self.kinds.items():
            cells = "".join(f"{counts[column]:>9}" for column in columns)
            most = f"{self.longest_s[name]:>7.1f} s{self.largest_bytes[name] / 1e6:>6.0f} MB"
            rows.append(f"{name:<12}{counts.total():>8}{cells}{most}")
        return "\n".join([*rows, *self.broken])


class Server:
    """A process of `server` that is started when it is first asked, and again where it ended."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: subprocess.Popen[str] | None = None

    def ask(self, step: str, path: Path, result: Path) -> dict[str, Any]:
        """Have a step done; the answer of a server that ended or never answers has its signal as its code."""
        process = self._started()
        assert process.stdin is not None
        print(json.dumps({"step": step, "path": str(path), "result": str(result)}), file=process.stdin, flush=True)
        started = time.monotonic()
        answer = self._answer(process)
        if answer is not None:
            return answer
        process.kill()
        self._process = None
        return {"code": process.wait(), "said": "", "wall_s": time.monotonic() - started, "peak_bytes": 0}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=_PATIENCE_S)
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("server.py")), self._kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_environment(),
            )
            if self._answer(self._process) is None:
                raise RuntimeError(f"the server {self._kind} did not start")
        return self._process

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], _PATIENCE_S)[0]:
            return None
        line = process.stdout.readline()
        return json.loads(line) if line else None


def _environment() -> dict[str, str]:
    from compress.teachers import sandbox

    return sandbox._environment()


def fuzz(formats: Sequence[Format], *, mutants: int, seconds: float, seed: int) -> Table:
    """Make mutants of each format in turn and read them.

    Args:
        formats: Those to try; those that PyTorch writes are left out where it is not installed.
        mutants: Most mutants of all formats together.
        seconds: Time after which no further mutant is made; the servers have started by then.
        seed: Of the mutations: the same seed makes the same mutants.
    """
    table = Table()
    servers = {kind: Server(kind) for kind in ("plain", "tensorflow", "litert", "keras")}
    with tempfile.TemporaryDirectory(prefix="pocketgan-fuzz-") as scratch:
        folder = Path(scratch)
        (folder / "originals").mkdir()
        originals = make_originals(folder / "originals", torch=importlib.util.find_spec("torch") is not None)
        chosen: list[Format] = [name for name in formats if name in originals]
        try:
            for name in chosen:
                _require_original(servers, name, originals[name], folder)
            started = time.monotonic()
            for number in range(mutants):
                if time.monotonic() - started > seconds:
                    break
                name = chosen[number % len(chosen)]
                mutant = _make_mutant(name, originals[name], folder / "mutant", random.Random(f"{seed} {number}"))
                table.add(name, _read(servers, name, mutant, folder), f"{name} mutant {number} of seed {seed}")
        finally:
            for server in servers.values():
                server.close()
    return table


def _require_original(servers: Mapping[str, Server], name: Format, original: Path, folder: Path) -> None:
    outcome = _read(servers, name, original, folder)
    if outcome.kind != "picture":
        raise RuntimeError(f"the whole {name} is not read: {outcome.broken or outcome.kind}")


def _make_mutant(name: Format, original: Path, folder: Path, draw: random.Random) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mutant = folder / original.name
    (shutil.copytree if original.is_dir() else shutil.copy)(original, mutant)
    for _ in range(draw.choice((1, 1, 1, 2))):
        try:
            draw.choice(_MUTATIONS[name])(mutant, draw)
        except Exception:
            # What one mutation broke, the next may not be able to open.
            break
    return mutant


def _read(servers: Mapping[str, Server], name: Format, path: Path, folder: Path) -> Outcome:
    """Take a file through the steps of its format, as the tool does."""
    result = folder / "result"
    result.unlink(missing_ok=True)
    wall_s, peak_bytes = 0.0, 0
    for kind, step in _STEPS[name]:
        answer = servers[kind].ask(step, path, result)
        wall_s, peak_bytes = wall_s + answer["wall_s"], max(peak_bytes, answer["peak_bytes"])
        if answer["code"] != 0 or answer["wall_s"] > LONGEST_S:
            return _judge(answer, kind=kind, step=step, wall_s=wall_s, peak_bytes=peak_bytes)
    broken = f"takes {peak_bytes / 1e6:.0f} MB" if peak_bytes > LARGEST_BYTES else None
    return Outcome(kind="broken" if broken else "picture", wall_s=wall_s, peak_bytes=peak_bytes, broken=broken)


def _judge(answer: Mapping[str, Any], *, kind: str, step: str, wall_s: float, peak_bytes: int) -> Outcome:
    code, broken = answer["code"], None
    if peak_bytes > LARGEST_BYTES:
        broken = f"{step} takes {peak_bytes / 1e6:.0f} MB"
    elif code < 0 and (kind == "keras" or step == "manifest"):
        broken = f"{step} ends the tool with {signal.Signals(-code).name}"
    elif code not in (0, 3, 4) and code > 0:
        broken = f"{step} ends with {code}: {answer['said'][:300]}"
    elif code == 0 or (wall_s > LONGEST_S + _SLACK_S and -code not in (signal.SIGALRM, signal.SIGXCPU)):
        broken = f"{step} takes {wall_s:.0f} s"
    named = "broken" if broken else "ended" if code < 0 else f"exit {code}"
    return Outcome(kind=named, wall_s=wall_s, peak_bytes=peak_bytes, broken=broken)
