"""What a page is asked to measure, what it may fetch for that, and what its numbers become.

The page measures and shows; everything that can be reckoned once for all browsers is reckoned here: the input's bytes,
the host's output to compare with, medians and ratios. So a phone offers the record that the command prints.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser import library
from benchmarks.browser.config import BrowserConfig
from benchmarks.host.stage import TURN_MS, Contender, find_contenders, summarize
from benchmarks.timing.machine import describe_machine
from benchmarks.timing.noise import why_withheld
from compress import images
from compress.errors import UnusableModel
from export.interpreter.litert import End, TfliteGenerator
from export.parity import synthetic_photos

ACCELERATORS = ("wasm", "webgpu")
PARITY_SHARE = 0.99
"""Of the values that should lie within 1/255 of the host's; fewer are pointed out."""
_PAGE = ("index.html", "bench.js")
_RUNNABLE = ("float32", "uint8")
"""What LiteRT.js can put into a tensor of those that a generator's end may be."""
_STEP = 1 + 1e-4
"""1/255 of the range from black to white, with the rounding of float32 on top."""

_log = logging.getLogger(__name__)


class MalformedReport(ValueError):
    """What was posted is not what the page posts."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that the page is given: its file, the input's bytes, and what LiteRT made of them on the host."""

    contender: Contender
    content: bytes
    ends: tuple[End, End]
    given: bytes
    picture: np.ndarray
    """`(height, width, 3)` float32 in [-1, 1]."""


class Task:
    """Models to time in a browser.

    Args:
        models: `.tflite` files or artifacts of one; ratios are over the first.
        config: How.

    Raises:
        UnusableModel: If a file is missing, no generator, or LiteRT.js cannot feed it.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
        UnusableData: If the photo is broken.
    """

    def __init__(self, models: Sequence[Path], config: BrowserConfig) -> None:
        self._config = config
        self._host = describe_machine()
        self._subjects = [_prepare(contender, config) for contender in find_contenders(models)]

    def files(self) -> dict[str, bytes]:
        """What the page and the page itself consist of, by path; without LiteRT.js."""
        page = resources.files("benchmarks.browser") / "page"
        found = {name: (page / name).read_bytes() for name in _PAGE}
        found["task.json"] = dumps(self._describe()).encode()
        for index, subject in enumerate(self._subjects):
            found |= {f"models/{index}.tflite": subject.content, f"inputs/{index}.bin": subject.given}
        return found

    def compare(self, index: int, output: bytes) -> dict[str, float]:
        """Hold a browser's output against the host's.

        Args:
            index: The model's.
            output: The values as they lie in memory, little-endian.

        Returns:
            `share_within_1_255` of the values that differ by no more than 1/255 of the range from black to white;
            `largest_difference`, as a multiple of 1/255. What is not finite differs by all of 255.

        Raises:
            MalformedReport: If there is no such model or it returns another number of bytes.
        """
        subject = self._subject(index)
        dtype = np.dtype(subject.ends[1].dtype).newbyteorder("<")
        if len(output) != subject.picture.size * dtype.itemsize:
            raise MalformedReport(f"{len(output)} bytes are no output of {subject.contender.name}")
        values = np.frombuffer(output, dtype).reshape(subject.picture.shape)
        picture = images.to_float(values) if dtype == np.uint8 else values
        steps = np.abs(np.nan_to_num(picture, nan=np.inf, posinf=np.inf, neginf=np.inf) - subject.picture) * 127.5
        return {
            "share_within_1_255": float((steps <= _STEP).mean()),
            "largest_difference": float(np.minimum(steps, 255).max()),
        }

    def finish(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Turn what a page posts at its end into the record of the run.

        Returns:
            JSON-ready: `host` (the machine that serves and compares), `browser`, `litert_js`, `threads` (that
            WebAssembly ran on), `runs`, `interleaved`, `library_load_ms`, `entries` and `failures`. An entry is a model
            on an accelerator: `name`, `path`, `size_bytes`, `ends`, `accelerator`, `fully_accelerated`, `load_ms`,
            `first_ms`, what `summarize` tells of its latency, `withheld` (why its speed-up is not to be quoted, or
            None), and `parity` as from `compare`.

        Raises:
            MalformedReport: If a part is missing or of another kind.
        """
        try:
            contestants = list(report["contestants"])
            rounds = [[float(latency) for latency in turn] for turn in report["rounds"]]
            if not rounds or not contestants or any(len(turn) != len(contestants) for turn in rounds):
                raise ValueError(f"{len(rounds)} rounds of {len(contestants)} models")
            if not all(0 < latency < math.inf for turn in rounds for latency in turn):
                raise ValueError("a latency that is none")
            entries = [self._entry(one, rounds, position) for position, one in enumerate(contestants)]
            record = {
                "host": self._host,
                "browser": dict(report["browser"]),
                "litert_js": library.VERSION,
                "threads": int(report["threads"]),
                "runs": len(rounds),
                "interleaved": True,
                "library_load_ms": float(report["library_load_ms"]),
                "entries": entries,
                "failures": [self._failure(one) for one in report["failures"]],
            }
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedReport(f"no report of this page: {error!r}") from error
        _warn_of_differences(entries)
        return record

    def name_of(self, index: object) -> str | None:
        """A model's name, or None where `index` is no model's."""
        if isinstance(index, int) and 0 <= index < len(self._subjects):
            return self._subjects[index].contender.name
        return None

    def _subject(self, index: int) -> Subject:
        if not 0 <= index < len(self._subjects):
            raise MalformedReport(f"there is no model {index}, but {len(self._subjects)}")
        return self._subjects[index]

    def _describe(self) -> dict[str, Any]:
        return {
            "litert_js": library.VERSION,
            "threads": self._config.threads,
            "runs": self._config.runs,
            "warmup": self._config.warmup,
            "turn_ms": TURN_MS,
            "models": [
                {
                    "name": subject.contender.name,
                    "size_bytes": len(subject.content),
                    # LiteRT.js tells neither scale nor zero point of an end.
                    "input": asdict(subject.ends[0]),
                    "output": asdict(subject.ends[1]),
                }
                for subject in self._subjects
            ],
        }

    def _entry(self, one: Mapping[str, Any], rounds: Sequence[Sequence[float]], position: int) -> dict[str, Any]:
        subject = self._subject(int(one["model"]))
        if one["accelerator"] not in ACCELERATORS:
            raise ValueError(f"accelerator {one['accelerator']!r}")
        summary = summarize(rounds, position)
        return {
            "name": subject.contender.name,
            "path": str(subject.contender.path),
            "size_bytes": len(subject.content),
            "ends": [end.dtype for end in subject.ends],
            "accelerator": one["accelerator"],
            "fully_accelerated": bool(one["fully_accelerated"]),
            "load_ms": float(one["load_ms"]),
            "first_ms": float(one["first_ms"]),
            **summary,
            # A page does not know how long it waited for a processor.
            "withheld": why_withheld(summary["noise"]) if position else None,
            "parity": {key: float(one["parity"][key]) for key in ("share_within_1_255", "largest_difference")},
        }

    def _failure(self, one: Mapping[str, Any]) -> dict[str, str]:
        name = self._subject(int(one["model"])).contender.name
        return {"name": name, "accelerator": str(one["accelerator"]), "why": str(one["why"])}


def _prepare(contender: Contender, config: BrowserConfig) -> Subject:
    generator = TfliteGenerator.open(contender.model)
    for end, verb in zip(generator.ends, ("takes", "returns"), strict=True):
        if end.dtype not in _RUNNABLE:
            raise UnusableModel(
                f"{contender.path} {verb} {end.dtype}, which LiteRT.js {library.VERSION} cannot pass. Export it with "
                "`compress export tflite --io-type uint8` or `--io-type float`."
            )
    if config.image is None:
        (photo,) = synthetic_photos(generator.size, count=1, seed=0)
    else:
        photo = images.read_image(config.image, generator.size)
    return Subject(
        contender=contender,
        content=contender.model.read_bytes(),
        ends=generator.ends,
        given=generator.to_input(photo).tobytes(),
        picture=generator.translate(photo),
    )


def _warn_of_differences(entries: Sequence[Mapping[str, Any]]) -> None:
    for entry in entries:
        share = entry["parity"]["share_within_1_255"]
        if share < PARITY_SHARE:
            where = f"{entry['name']} on {entry['accelerator']}"
            _log.warning("%s: only %.1f %% of its values are within 1/255 of the host's.", where, 100 * share)
