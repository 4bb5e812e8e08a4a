"""`python tests/crash`: crash every command, and print a line for each that is not as if nothing had happened."""

import argparse
import tempfile
import time
from pathlib import Path

from cases import QUICK, SLOW
from harness import Case, Crashes, Starter, spread


def main() -> None:
    """Try the crashes and end with 1 where a command did not stand one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000, help="changes of a command to crash at; all if not given")
    parser.add_argument("--slow", action="store_true", help="commands that train, score and export, too")
    parser.add_argument("--only", help="part of a command's name")
    chosen = parser.parse_args()
    cases = [case for case in (*QUICK, *(SLOW if chosen.slow else ())) if (chosen.only or "") in case.name]
    faults = [fault for case in cases for fault in _try(case, chosen.most)]
    raise SystemExit(1 if faults or not cases else 0)


def _try(case: Case, most: int) -> list[str]:
    started, starter, other = time.monotonic(), Starter(case.loads), Starter(case.loads)
    try:
        with tempfile.TemporaryDirectory(prefix="pocketgan-crash-") as scratch:
            crashes = Crashes(case, Path(scratch).resolve(), starter)
            calls = spread(crashes.undisturbed.changes, most)
            faults = {
                "kill": list(crashes.find_faults_of_kills(calls)),
                "full": list(crashes.find_faults_of_full_disks(calls)),
                "read-only": list(crashes.find_faults_of_read_only_disks()),
                "two": [] if case.shares else list(crashes.find_faults_of_two_at_once(other)),
                "damaged": list(crashes.find_faults_of_damage(most)),
                "stale": list(crashes.find_faults_of_stale_inputs()),
            }
    finally:
        starter.close()
        other.close()
    tried = f"{len(calls)} of {crashes.undisturbed.changes} changes, {time.monotonic() - started:.0f} s"
    found = "  ".join(f"{kind} {len(those)}" for kind, those in faults.items())
    print(f"{case.name:26} {tried:27} {found}", flush=True)
    said = [fault for those in faults.values() for fault in those]
    for fault in said:
        print(f"  {fault}", flush=True)
    return said


if __name__ == "__main__":
    main()
