"""The comparison: every file on every runtime that can be had here, one row for each."""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, get_args

from benchmarks.runtimes.answers import run_cases
from benchmarks.runtimes.browser import BROWSER_RUNTIMES, BrowserRuntime, run_in_browser
from benchmarks.runtimes.cases import Case, operator_cases, student_cases, teacher_cases
from benchmarks.runtimes.config import RuntimesConfig
from benchmarks.runtimes.environments import RUNTIMES, Runtime, Unavailable, find_python
from benchmarks.runtimes.models import TEACHER, random_student, random_teacher
from benchmarks.timing.machine import read_machine
from compress.artifact import user_cache
from compress.config import to_mapping
from compress.console.progress import progress
from compress.errors import UsageError
from compress.models.pocket.config import Family, PocketConfig

_log = logging.getLogger(__name__)
_TEACHER_PX = 64


def compare_runtimes(config: RuntimesConfig) -> dict[str, Any]:
    """Run every file on every runtime.

    Returns:
        JSON-ready: `machine`, `config`, `runtimes` (each with `name`, `version`, `took_s`, and `unavailable`, why it
        could not be had, or None; of a browser also what it tells of itself) and `rows`, one for each runtime and file:
        `runtime`, `group`, `subject`, `form`, `format`, `is_int8`, `size_bytes`, and what `answers.run_cases` yields.

    Raises:
        UsageError: If no runtime has an asked name.
    """
    chosen = choose_runtimes(config.runtime)
    cases = list(list_cases(config))
    runtimes, rows = [], []
    for runtime in progress(chosen, name="runtimes", unit="runtime"):
        asked = [case for case in cases if runtime.takes(case)]
        started = time.monotonic()
        facts: dict[str, Any] = {"name": runtime.name, "unavailable": None, "version": None}
        try:
            facts["version"] = runtime.version
            measured = _run(runtime, asked, config, facts)
        except Unavailable as error:
            _log.warning("%s is left out: %s", runtime.name, error)
            measured, facts["unavailable"] = [], str(error)
        runtimes.append(facts | {"took_s": round(time.monotonic() - started, 1)})
        rows += [_row(runtime.name, case, one) for case, one in zip(asked, measured, strict=False)]
    return {"machine": read_machine(), "config": to_mapping(config), "runtimes": runtimes, "rows": rows}


def choose_runtimes(parts: Sequence[str]) -> list[Runtime | BrowserRuntime]:
    """Return the runtimes whose name holds one of some parts; all where none is given.

    Raises:
        UsageError: If a part is in no name.
    """
    known = [*RUNTIMES, *BROWSER_RUNTIMES]
    for part in parts:
        if not any(part.lower() in each.name.lower() for each in known):
            names = "; ".join(each.name for each in known)
            raise UsageError(f"runtime = {part} is in no runtime's name, expected a part of one of: {names}.")
    return [each for each in known if not parts or any(part.lower() in each.name.lower() for part in parts)]


def list_cases(config: RuntimesConfig) -> Iterator[Case]:
    """Yield the files: students of every family at every size and, unless left out, a teacher and each operator."""
    for size_px in config.image_size_px:
        for family in get_args(Family):
            fitting = least_size(family, size_px)
            named = family if len(config.image_size_px) == 1 else f"{family}, {fitting} px"
            yield from student_cases(random_student(family, fitting), named, fitting)
    if not config.students_only:
        yield from teacher_cases(random_teacher(), TEACHER, _TEACHER_PX)
        yield from operator_cases()


def least_size(family: Family, at_least_px: int) -> int:
    """Return the least side, from `at_least_px` on, that a family's students can halve as often as they do."""
    for side in count(at_least_px):
        with suppress(UsageError):
            return PocketConfig(family=family, image_size_px=side).image_size_px
    raise AssertionError("count has no end")


def _run(
    runtime: Runtime | BrowserRuntime, cases: Sequence[Case], config: RuntimesConfig, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    if isinstance(runtime, BrowserRuntime):
        record = run_in_browser(runtime, cases, config.browser, timeout_s=config.timeout_s)
        measured = record.pop("measured")
        facts |= record
        return measured
    python = find_python(runtime, config.environments or user_cache() / "runtimes")
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        return list(run_cases(python, runtime.kind, cases, Path(scratch), timeout_s=config.timeout_s))


def _row(runtime: str, case: Case, measured: dict[str, Any]) -> dict[str, Any]:
    about = {key: getattr(case, key) for key in ("group", "subject", "form", "format", "is_int8")}
    return {"runtime": runtime, **about, "size_bytes": len(case.content), **measured}
