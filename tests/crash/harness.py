"""Crash consistency: a command is disturbed at changes to files, run again, and compared with one that was not."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from faulty import MAKES_NEW, Run
from PIL import Image, ImageOps
from states import read_events, restore
from trees import Tree, identify, read_tree

FAULTY = Path(__file__).with_name("faulty.py")
EXISTS, BUSY, UNWRITABLE, KILLED = 2, 2, 74, -9
_REAL_KILLS = 8
_REFUSALS = ("exists already", "with other settings or photos", "has changed under its path")
_STORES = ("cache", "out/features")
"""Folders in which results of earlier inputs stay."""
_DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "emptied": lambda held: b"",
    "torn": lambda held: held[: len(held) // 2],
    "garbled": lambda held: held[: len(held) // 2] + bytes(byte ^ 0x55 for byte in held[len(held) // 2 :]),
}
_UNFINISHED = re.compile(r"cache/(.*/)?\.[^/]*\.partial-.*")
"""What a killed process leaves in the cache, which others may be writing too: removed when it is a day old."""


def alter_pictures(folder: Path) -> None:
    """Mirror the first picture of every folder of inputs."""
    for path in folder.glob("**/0.png"):
        if path.relative_to(folder).parts[0] not in ("out", "cache"):
            with Image.open(path) as picture:
                mirrored = ImageOps.mirror(picture)
            mirrored.save(path)


@dataclass(frozen=True)
class Case:
    """One command, in a folder that `prepare` fills."""

    name: str
    prepare: Callable[[Path], None]
    """Puts the command's inputs, and what its output is to replace, into an empty folder."""
    arguments: tuple[str, ...]
    """The command line; paths are relative to that folder."""
    varies: tuple[str, ...] = ()
    """Endings of files that differ between two undisturbed runs."""
    timed: tuple[str, ...] = ()
    """Endings of JSON files that tell how long something took, and are compared without that."""
    keeps: tuple[str, ...] = ()
    """Folders that a command leaves which cannot write on, for itself to go on from: checkpoints, a cache."""
    loads: tuple[str, ...] = ()
    """Modules to load once for all runs."""
    forks: bool = False
    """See `Run`."""
    alter: Callable[[Path], None] = alter_pictures
    """Changes the command's inputs in their place."""
    shares: bool = False
    """Whether two of them may run at once."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    said: str
    changes: int
    """Calls that changed files."""


class Starter:
    """A process that has loaded what commands need, and starts them."""

    def __init__(self, loads: tuple[str, ...]) -> None:
        line = [sys.executable, str(FAULTY), *loads]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, run: Run) -> Ended:
        """Run a command to its end."""
        self.begin(run)
        return self.end(run)

    def begin(self, run: Run) -> None:
        """Start a command."""
        print(json.dumps(asdict(run)), file=self._process.stdin, flush=True)

    def end(self, run: Run) -> Ended:
        """Wait for the command that was started."""
        ended = json.loads(next(iter(self._process.stdout or ())))
        return Ended(said=Path(run.said).read_text(encoding="utf-8", errors="replace"), **ended)

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


class Crashes:
    """Runs of one case, each in a folder of its own."""

    def __init__(self, case: Case, scratch: Path, starter: Starter) -> None:
        self._case, self._scratch, self._starter, self._runs = case, scratch, starter, 0
        self._states, self._rerun = scratch / "states", dict[str, list[str]]()
        self.undisturbed_folder = self.fresh()
        self.before = self._read(self.undisturbed_folder)
        self.undisturbed = self.run(self.undisturbed_folder, states=str(self._states))
        if self.undisturbed.exit_code != 0 or not self.undisturbed.changes:
            raise ValueError(f"{case.name} does not run by itself: {self.undisturbed}")
        self.after = self._read(self.undisturbed_folder)

    def fresh(self) -> Path:
        """Make a folder in which the command has not run."""
        self._runs += 1
        folder = self._scratch / str(self._runs) / "here"
        folder.mkdir(parents=True)
        self._case.prepare(folder)
        return folder

    def run(self, folder: Path, fault: str = "none", call: int = 0, *, states: str = "") -> Ended:
        """Run the command in a folder, with a fault at one of its changes."""
        return self._starter.run(self._line(folder, fault, call, states=states))

    def _line(self, folder: Path, fault: str = "none", call: int = 0, *, said: str = "said", states: str = "") -> Run:
        case = self._case
        return Run(fault, call, str(folder), str(folder.parent / said), list(case.arguments), case.forks, states)

    def find_faults_of_kills(self, calls: Sequence[int]) -> Iterator[str]:
        """Kill the command at each of some changes, run it again; yield what is not as if it had never been killed.

        A sample is killed indeed; of the others, the state that was saved is put back, which is what a kill leaves.
        """
        really = {calls[index - 1] for index in spread(len(calls), _REAL_KILLS)}
        for call in sorted(calls, key=lambda call: call not in really):
            place = f"{self._case.name}, killed at change {call} of {self.undisturbed.changes}"
            folder = self.fresh() if call in really else self.undisturbed_folder
            if call in really:
                killed = self.run(folder, "kill", call)
                if killed.exit_code != KILLED:
                    yield f"{place}: it was not killed, but ended with {killed.exit_code}: {killed.said}"
            restore(self.undisturbed_folder, self._states, call)
            if self._identify(folder) != self._identify(self.undisturbed_folder):
                yield f"{place}: what it left is not the state that was saved"
            yield from self._run_again(place, folder)
            if call in really:
                shutil.rmtree(folder.parent)

    def find_faults_of_full_disks(self, calls: Iterable[int]) -> Iterator[str]:
        """Let the disk be full from each of some changes on; yield what is neither as before nor as after a run.

        A change that needs no room succeeds on a full disk, so the fault at it is the one at the next that does.
        """
        events = read_events(self._states)
        needing = [number for number, event in enumerate(events, 1) if event == MAKES_NEW]
        failing = {next((number for number in needing if number >= call), len(events)) for call in calls}
        for call in sorted(failing):
            yield from self._fail("full", call, [self.before, self.after])

    def find_faults_of_read_only_disks(self) -> Iterator[str]:
        """Let nothing be written; yield what is not as before."""
        yield from self._fail("read-only", 1, [self.before])

    def find_faults_of_two_at_once(self, other: Starter) -> Iterator[str]:
        """Run the command a second time while the first is half done; yield what is not as if there were only one."""
        folder, call = self.fresh(), 1 + self.undisturbed.changes // 2
        place = f"{self._case.name}, beside another at change {call} of {self.undisturbed.changes}"
        first, second = self._line(folder, "pause", call), self._line(folder, said="said.second")
        self._starter.begin(first)
        _wait_for(folder.parent / "paused")
        refused = other.run(second)
        (folder.parent / "go").touch()
        ended = self._starter.end(first)
        if refused.exit_code != BUSY or "is being written by process" not in refused.said:
            yield f"{place}: the second ended with {refused.exit_code}: {refused.said}"
        if ended.exit_code != 0:
            yield f"{place}: the first ended with {ended.exit_code}: {ended.said}"
        yield from self._compare(place, folder, [self.after])
        shutil.rmtree(folder.parent)

    def find_faults_of_damage(self, most: int) -> Iterator[str]:
        """Kill the command, damage one of the files that it left, run it again; yield what is not made anew or named.

        Args:
            most: Files to damage, each in every way.
        """
        call = 1 + self.undisturbed.changes // 2
        killed = self.fresh()
        self.run(killed, "kill", call)
        left = sorted(path for path in killed.rglob("*") if path.is_file() and self._is_left(path, killed))
        for index in spread(len(left), most):
            for how, damage in _DAMAGES.items():
                folder = self._copy(killed)
                path = folder / left[index - 1].relative_to(killed)
                damaged, name = damage(path.read_bytes()), path.relative_to(folder).as_posix()
                path.write_bytes(damaged)
                place = f"{self._case.name}, {name} {how}"
                again = self.run(folder)
                # What lies in the cache and is not needed any more is looked at when it is.
                unread = (name,) if name.startswith("cache/") and path.read_bytes() == damaged else ()
                if again.exit_code == 0 or _REFUSALS[0] in again.said:
                    yield from self._compare(place, folder, [self.after], apart=unread)
                elif again.exit_code not in (2, 3) or path.parent.name not in again.said:
                    yield f"{place}: it ended with {again.exit_code}: {again.said}"
                shutil.rmtree(folder.parent)

    def find_faults_of_stale_inputs(self) -> Iterator[str]:
        """Change the inputs after a kill and after the end; yield what is neither made of the new ones nor refused."""
        altered = self.fresh()
        self._case.alter(altered)
        self.run(altered)
        wanted = self._read(altered)
        for call in (1 + self.undisturbed.changes // 2, self.undisturbed.changes + 1):
            folder = self.fresh()
            self.run(folder, "kill", call)
            self._case.alter(folder)
            again = self.run(folder)
            place = f"{self._case.name}, inputs changed after change {call} of {self.undisturbed.changes}"
            if again.exit_code == 0:
                yield from self._compare(place, folder, [wanted], apart=_STORES)
            elif again.exit_code != EXISTS or not any(words in again.said for words in _REFUSALS):
                yield f"{place}: it ended with {again.exit_code}: {again.said}"
            shutil.rmtree(folder.parent)

    def _identify(self, folder: Path) -> str:
        return identify(folder, self._case.varies, self._case.timed)

    def _read(self, folder: Path) -> Tree:
        return read_tree(folder, self._case.varies, self._case.timed)

    def _is_left(self, path: Path, folder: Path) -> bool:
        return path.relative_to(folder).as_posix() not in self.before

    def _copy(self, folder: Path) -> Path:
        self._runs += 1
        return Path(shutil.copytree(folder, self._scratch / str(self._runs) / "here"))

    def _fail(self, fault: str, call: int, allowed: list[Tree]) -> Iterator[str]:
        folder = self.fresh()
        ended = self.run(folder, fault, call)
        place = f"{self._case.name}, {fault} at change {call} of {self.undisturbed.changes}"
        if "Traceback" in ended.said or "internal error" in ended.said:
            yield f"{place}: {ended.said}"
        if ended.exit_code not in (0, UNWRITABLE):
            yield f"{place}: it ended with {ended.exit_code}: {ended.said}"
        failed = ended.exit_code != 0
        keeps = self._case.keeps if failed else ()
        yield from self._compare(place, folder, allowed if failed else [self.after], apart=keeps)
        if failed:
            yield from self._run_again(f"{place}, run again", folder)
        shutil.rmtree(folder.parent)

    def _run_again(self, place: str, folder: Path) -> Iterator[str]:
        """Run the command where it was disturbed; yield what is not as if nothing had happened.

        Where the same state was run before, what came of it is known.
        """
        state = self._identify(folder)
        if state not in self._rerun:
            again = self.run(folder)
            refused = again.exit_code == EXISTS and _REFUSALS[0] in again.said
            wrong = [] if again.exit_code == 0 or refused else [f"ended with {again.exit_code}: {again.said}"]
            self._rerun[state] = [*wrong, *self._find_differences(folder, [self.after])]
        yield from (f"{place}: {fault}" for fault in self._rerun[state])

    def _compare(self, place: str, folder: Path, allowed: list[Tree], *, apart: tuple[str, ...] = ()) -> Iterator[str]:
        yield from (f"{place}: {fault}" for fault in self._find_differences(folder, allowed, apart=apart))

    def _find_differences(self, folder: Path, allowed: list[Tree], *, apart: tuple[str, ...] = ()) -> list[str]:
        """Tell how a folder differs from all that are allowed, but for what lies below some of its own."""
        found, *allowed = (_without(tree, apart) for tree in (self._read(folder), *allowed))
        if found in allowed:
            return []
        wanted = allowed[-1]
        only = sorted(set(found) ^ set(wanted))
        other = sorted(path for path in set(found) & set(wanted) if found[path] != wanted[path])
        return [f"left or missing {only}, other content in {other}"]


def _wait_for(path: Path) -> None:
    for _ in range(15_000):
        if path.exists():
            return
        time.sleep(0.02)
    raise TimeoutError(f"{path} did not appear")


def _without(tree: Tree, apart: tuple[str, ...]) -> Tree:
    kept = {path: held for path, held in tree.items() if not _UNFINISHED.fullmatch(path)}
    return {path: held for path, held in kept.items() if not path.startswith(apart)} if apart else kept


def spread(changes: int, most: int) -> list[int]:
    """Return up to `most` of the changes 1 to `changes`, evenly, the first and the last among them."""
    if changes <= most:
        return list(range(1, changes + 1))
    return sorted({1 + round(index * (changes - 1) / (most - 1)) for index in range(most)})
