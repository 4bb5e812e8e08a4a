"""Crash consistency: a command is killed at changes to files, run again, and compared with one that was not."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from faulty import Run

FAULTY = Path(__file__).with_name("faulty.py")
EXISTS, UNWRITABLE, KILLED = 2, 74, -9
_UNFINISHED = re.compile(r"cache/.*/\..*\.partial-.*")
"""What a killed process leaves in the cache, which others may be writing too: removed when it is a day old."""


@dataclass(frozen=True)
class Case:
    """One command, in a folder that `prepare` fills."""

    name: str
    prepare: Callable[[Path], None]
    """Puts the command's inputs, and what its output is to replace, into an empty folder."""
    arguments: tuple[str, ...]
    """The command line; paths are relative to that folder."""
    varies: tuple[str, ...] = ()
    """Endings of files that differ between two undisturbed runs, such as measured times and archives with dates."""
    keeps: tuple[str, ...] = ()
    """Folders that a command leaves which cannot write on, for itself to go on from: checkpoints, a cache."""
    loads: tuple[str, ...] = ()
    """Modules to load once for all runs."""
    forks: bool = False
    """See `Run`."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    said: str
    changes: int
    """Calls that changed files."""


Tree = dict[str, bytes | None]
"""Every path below a folder with its bytes; None for folders."""


class Starter:
    """A process that has loaded what commands need, and starts them."""

    def __init__(self, loads: tuple[str, ...]) -> None:
        line = [sys.executable, str(FAULTY), *loads]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, run: Run) -> Ended:
        """Run a command to its end."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ValueError("the starter has no pipes")
        stdin.write(json.dumps(asdict(run)) + "\n")
        stdin.flush()
        ended = json.loads(stdout.readline())
        return Ended(said=Path(run.said).read_text(encoding="utf-8", errors="replace"), **ended)

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


class Crashes:
    """Runs of one case, each in a folder of its own."""

    def __init__(self, case: Case, scratch: Path, starter: Starter) -> None:
        self._case, self._scratch, self._starter, self._runs = case, scratch, starter, 0
        self.undisturbed_folder = self.fresh()
        self.before = read_tree(self.undisturbed_folder, case.varies)
        self.undisturbed = self.run(self.undisturbed_folder)
        if self.undisturbed.exit_code != 0 or not self.undisturbed.changes:
            raise ValueError(f"{case.name} does not run by itself: {self.undisturbed}")
        self.after = read_tree(self.undisturbed_folder, case.varies)

    def fresh(self) -> Path:
        """Make a folder in which the command has not run."""
        self._runs += 1
        folder = self._scratch / str(self._runs) / "here"
        folder.mkdir(parents=True)
        self._case.prepare(folder)
        return folder

    def run(self, folder: Path, fault: str = "none", call: int = 0) -> Ended:
        """Run the command in a folder, with a fault at one of its changes."""
        said, arguments = folder.parent / "said", list(self._case.arguments)
        return self._starter.run(Run(fault, call, str(folder), str(said), arguments, self._case.forks))

    def find_faults_of_kills(self, calls: Iterable[int]) -> Iterator[str]:
        """Kill the command at each of some changes, run it again; yield what is not as if it had never been killed."""
        for call in calls:
            folder = self.fresh()
            killed = self.run(folder, "kill", call)
            again = self.run(folder)
            place = f"{self._case.name}, killed at change {call} of {self.undisturbed.changes}"
            if killed.exit_code != KILLED:
                yield f"{place}: it was not killed, but ended with {killed.exit_code}: {killed.said}"
            if again.exit_code != 0 and not (again.exit_code == EXISTS and "exists already" in again.said):
                yield f"{place}: the rerun ended with {again.exit_code}: {again.said}"
            yield from self._compare(place, folder, [self.after])
            shutil.rmtree(folder.parent)

    def find_faults_of_full_disks(self, calls: Iterable[int]) -> Iterator[str]:
        """Let the disk be full from each of some changes on; yield what is neither as before nor as after a run."""
        for call in calls:
            yield from self._fail("full", call, [self.before, self.after])

    def find_faults_of_read_only_disks(self) -> Iterator[str]:
        """Let nothing be written; yield what is not as before."""
        yield from self._fail("read-only", 1, [self.before])

    def _fail(self, fault: str, call: int, allowed: list[Tree]) -> Iterator[str]:
        folder = self.fresh()
        ended = self.run(folder, fault, call)
        place = f"{self._case.name}, {fault} at change {call} of {self.undisturbed.changes}"
        if "Traceback" in ended.said or "internal error" in ended.said:
            yield f"{place}: {ended.said}"
        if ended.exit_code not in (0, UNWRITABLE):
            yield f"{place}: it ended with {ended.exit_code}: {ended.said}"
        failed = ended.exit_code != 0
        yield from self._compare(place, folder, allowed if failed else [self.after], may_resume=failed)
        if failed and (again := self.run(folder)).exit_code not in (0, EXISTS):
            yield f"{place}: the rerun ended with {again.exit_code}: {again.said}"
        yield from self._compare(f"{place}, run again", folder, [self.after])
        shutil.rmtree(folder.parent)

    def _compare(self, place: str, folder: Path, allowed: list[Tree], *, may_resume: bool = False) -> Iterator[str]:
        found = read_tree(folder, self._case.varies)
        if may_resume:
            found = {path: held for path, held in found.items() if not path.startswith(self._case.keeps or "\0")}
        found = {path: held for path, held in found.items() if not _UNFINISHED.fullmatch(path)}
        if found in allowed:
            return
        wanted = allowed[-1]
        only = sorted(set(found) ^ set(wanted))
        other = sorted(path for path in set(found) & set(wanted) if found[path] != wanted[path])
        yield f"{place}: left or missing {only}, other content in {other}"


def read_tree(folder: Path, varies: tuple[str, ...] = ()) -> Tree:
    """Read everything below a folder; of files that vary by themselves, only that they are there."""
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        compared = path.is_file() and not path.name.endswith(varies or ("\0",))
        tree[path.relative_to(folder).as_posix()] = path.read_bytes() if compared else None
    return tree


def spread(changes: int, most: int) -> list[int]:
    """Return up to `most` of the changes 1 to `changes`, evenly, the first and the last among them."""
    if changes <= most:
        return list(range(1, changes + 1))
    return sorted({1 + round(index * (changes - 1) / (most - 1)) for index in range(most)})
