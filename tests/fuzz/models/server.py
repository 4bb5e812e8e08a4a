"""Processes that read mutants: each loads its framework once, then forks for every file, as `sandbox` starts a child.

What runs in the tool's own process, behind the child, is run without a fork, by a server that must never end of it.
A request is a line of JSON on stdin, `{"step", "path", "result"}`; the answer, on stdout, `{"code", "said", "wall_s",
"peak_bytes"}`, where a code below 0 is a signal.
"""

import contextlib
import importlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from compress.errors import PocketGANError

Step = Literal["describe", "check_student", "manifest", "run_tflite", "build", "load_student"]
CRASHED = 70
"""Code of a step that ended in an error that no command expects."""
_CLEAR_REFS = Path("/proc/self/clear_refs")


def _describe(path: Path, result: Path) -> None:
    from compress.teachers.read import describe

    describe(path).save(result)


def _check_student(path: Path, result: Path) -> None:
    from compress.teachers.read import describe_student

    describe_student(path)


def _open_manifest(path: Path, result: Path) -> None:
    from compress.artifact import open_artifact

    open_artifact(path)


def _run_tflite(path: Path, result: Path) -> None:
    from export.interpreter.checked_file import open_and_run

    open_and_run(path)


def _build(path: Path, result: Path) -> None:
    from compress.teachers.build import build_generator, require_finite_picture
    from compress.teachers.check import input_size
    from compress.teachers.description import GeneratorDescription

    description = GeneratorDescription.load(result)
    model = build_generator(description)
    require_finite_picture(lambda picture: model(picture, training=False), input_size(description))


def _load_student(path: Path, result: Path) -> None:
    from compress.teachers.student import load_checked_student

    load_checked_student(path)


_STEPS: dict[str, Callable[[Path, Path], None]] = {
    "describe": _describe,
    "check_student": _check_student,
    "manifest": _open_manifest,
    "run_tflite": _run_tflite,
    "build": _build,
    "load_student": _load_student,
}
_PRELOADED = {
    "plain": (
        "compress.teachers.keras.h5",
        "compress.teachers.keras.saved_student",
        "compress.teachers.pytorch.reader",
        "compress.artifact",
    ),
    "tensorflow": ("tensorflow", "compress.teachers.saved_model.reader"),
    "litert": ("export.interpreter.open_file", "export.interpreter.checked_file"),
    "keras": ("compress.teachers.build", "compress.teachers.student"),
}
_IN_THE_TOOL = ("manifest", "build", "load_student")
"""Steps that the tool does in its own process, where an unexpected error is a bug."""


def _answer(step: str, path: Path, result: Path) -> tuple[int, str]:
    """Run a step; return its exit code and what it says."""
    try:
        _STEPS[step](path, result)
    except PocketGANError as error:
        return error.exit_code, str(error)
    except (MemoryError, Exception) as error:
        # A child turns all of them into exit 3, see `read.main`.
        return (CRASHED if step in _IN_THE_TOOL else 3), f"{type(error).__name__}: {error}"
    return 0, ""


def _answer_forked(step: str, path: Path, result: Path) -> dict[str, Any]:
    from compress.teachers.limits import limit_reading
    from compress.teachers.read import require_regular

    receiving, sending = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        sink = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(sink, stream)
        try:
            limit_reading(require_regular(path))
            code, said = _answer(step, path, result)
        except PocketGANError as error:
            code, said = error.exit_code, str(error)
        os.write(sending, said.encode(errors="replace")[:2000])
        os._exit(code)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        said = stream.read().decode(errors="replace")
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "said": said, "wall_s": time.monotonic() - started, "peak_bytes": used.ru_maxrss * 1024}


def _answer_here(step: str, path: Path, result: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        # The peak is counted anew.
        _CLEAR_REFS.write_text("5", encoding="ascii")
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code, said = _answer(step, path, result)
    return {"code": code, "said": said[:2000], "wall_s": time.monotonic() - started, "peak_bytes": _peak_bytes()}


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def main() -> None:
    """Serve requests until stdin ends."""
    (kind,) = sys.argv[1:]
    # What libraries print goes to stderr; answers alone to stdout.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in _PRELOADED[kind]:
        importlib.import_module(module)
    print(json.dumps({"ready": kind}), file=answers, flush=True)
    answer = _answer_here if kind == "keras" else _answer_forked
    for line in sys.stdin:
        request = json.loads(line)
        reply = answer(request["step"], Path(request["path"]), Path(request["result"]))
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
