"""Runs the files of a runtime in its own process and measures what came out."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runtimes.cases import Case
from export.tflite.delegation import read_listed_coverage

WORKER = Path(__file__).with_name("worker.py")


def run_cases(
    python: Path, kind: str, cases: Sequence[Case], scratch: Path, *, timeout_s: int
) -> Iterator[dict[str, Any]]:
    """Run files in one runtime.

    Args:
        python: The Python that has it.
        kind: The runtime as `worker.py` calls it.
        cases: The files.
        scratch: An empty folder.
        timeout_s: Seconds after which its process is ended, and what was left not run.

    Yields:
        For each case what `Case.measure` returns and `left`, the number of each kind of operator that was left to
        slower kernels or to float, None where the runtime does not tell; or `error`.
    """
    files = [_write(case, scratch / str(number)) for number, case in enumerate(cases)]
    answers = scratch / "answers.jsonl"
    answers.touch()
    for number, told in enumerate(_ask(python, kind, files, answers, timeout_s)):
        yield _measure(cases[number], told, Path(files[number]["output"]))


def measure(case: Case, made: np.ndarray) -> dict[str, Any]:
    """Return what `Case.measure` does, or the `error` that the output is of another kind."""
    try:
        return case.measure(made)
    except ValueError as error:
        return {"error": str(error)}


def _write(case: Case, path: Path) -> dict[str, Any]:
    file = path.with_suffix(f".{case.format}")
    file.write_bytes(case.content)
    np.save(path.with_suffix(".in.npy"), case.input)
    places = {"file": file, "input": path.with_suffix(".in.npy"), "output": path.with_suffix(".out.npy")}
    return {key: str(place) for key, place in places.items()} | {"signature": case.signature}


def _ask(
    python: Path, kind: str, files: Sequence[dict[str, Any]], answers: Path, timeout_s: int
) -> list[dict[str, Any]]:
    """Start the worker until it has answered for all files; one that ends it is answered for here."""
    job, told = answers.with_name("job.json"), []
    while len(told) < len(files):
        job.write_text(json.dumps({"files": files, "answers": str(answers), "first": len(told)}))
        # -P would hide nothing: the worker stands in a folder of its own, and imports by name what the runtime has.
        ended = _start([str(python), str(WORKER), kind, str(job)], answers.parent, timeout_s)
        told = [json.loads(line) for line in answers.read_text().splitlines()]
        if len(told) < len(files):
            with answers.open("a") as stream:
                stream.write(json.dumps({"error": f"its process {ended}"}) + "\n")
            told.append({"error": f"its process {ended}"})
    return told


def _start(command: list[str], folder: Path, timeout_s: int) -> str:
    """Run a command; return how it ended."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"was ended after {timeout_s} s"
    return f"ended with {done.returncode}"


def _measure(case: Case, told: dict[str, Any], output: Path) -> dict[str, Any]:
    if told["error"] is not None:
        return {"error": told["error"]}
    return {**measure(case, np.load(output)), "left": _count_left(told)}


def _count_left(told: dict[str, Any]) -> dict[str, int] | None:
    if "operators" not in told:
        return told.get("left")
    return read_listed_coverage(told["operators"], told["outputs"]).as_json()["undelegated"]
