"""`python tests/crash`: crash every command, and print a line for each that is not as if nothing had happened."""

import argparse
import sys
import tempfile
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
    """Crash a command; print how many faults each kind of crash found, and to standard error what they are."""
    starter, other, faults = Starter(case.loads), Starter(case.loads), []
    try:
        with tempfile.TemporaryDirectory(prefix="pocketgan-crash-") as scratch:
            crashes = Crashes(case, Path(scratch).resolve(), starter)
            calls = spread(crashes.undisturbed.changes, most)
            tried = f"{len(calls)} of {crashes.undisturbed.changes} changes"
            print(f"{case.name:26} {tried:20}", end="", flush=True)
            for kind, found in {
                "kill": crashes.find_faults_of_kills(calls),
                "full": crashes.find_faults_of_full_disks(calls),
                "read-only": crashes.find_faults_of_read_only_disks(),
                "two": () if case.shares else crashes.find_faults_of_two_at_once(other),
                "damaged": crashes.find_faults_of_damage(most),
                "stale": crashes.find_faults_of_stale_inputs(),
            }.items():
                before = len(faults)
                for fault in found:
                    faults.append(fault)
                    print(fault, file=sys.stderr, flush=True)
                print(f"  {kind} {len(faults) - before}", end="", flush=True)
            print(flush=True)
    finally:
        starter.close()
        other.close()
    return faults


if __name__ == "__main__":
    main()
