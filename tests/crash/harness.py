"""Crash consistency: a command is killed at changes to files, run again, and compared with one that was not."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FAULTY = Path(__file__).with_name("faulty.py")
EXISTS, UNWRITABLE, KILLED = 2, 74, -9


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
    resumes_from: str = "\0"
    """Folder that a command leaves which cannot write on, for itself to go on from."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    said: str
    changes: int
    """Calls that changed files; 0 where it was killed."""


Tree = dict[str, bytes | None]
"""Every path below a folder with its bytes; None for folders."""


class Crashes:
    """Runs of one case, each in a folder of its own."""

    def __init__(self, case: Case, scratch: Path) -> None:
        self._case, self._scratch, self._runs = case, scratch, 0
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
        counted = folder.parent / "changes"
        counted.unlink(missing_ok=True)
        line = [sys.executable, str(FAULTY), fault, str(call), str(folder), str(counted), *self._case.arguments]
        ended = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        changes = int(counted.read_text(encoding="utf-8")) if counted.exists() else 0
        return Ended(ended.returncode, ended.stderr, changes)

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
            found = {path: held for path, held in found.items() if not path.startswith(self._case.resumes_from)}
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
