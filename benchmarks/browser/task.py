"""The task of a page: the models to time, the files that it fetches, and the record made of its measurements.

The page measures and shows; everything that can be computed once for all browsers is computed here: the input's bytes,
the host's output to compare with, medians and ratios. So a phone offers the record that the command prints.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.posted import MalformedReport, PostedEntry, PostedReport, parse_posted
from benchmarks.host.stage import TURN_MS, TimedModel, find_models, summarize_model
from benchmarks.timing.machine import read_machine
from benchmarks.timing.noise import withheld_reason
from compress import images
from export.interpreter.image_tensor import ImageTensor
from export.interpreter.litert import TfliteGenerator
from export.parity import synthetic_photos
from export.web import library
from export.web.runnable import require_runnable

PARITY_SHARE = 0.99
"""Share of values that should lie within 1/255 of the host's; a smaller one is pointed out."""
_PAGE = ("index.html", "bench.js")
_STEP = 1 + 1e-4
"""A step of 1/255 of the range from black to white, with the rounding of float32 on top."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PageModel:
    """A model of the page: its file, the input's bytes, and the output of LiteRT on the host."""

    timed: TimedModel
    content: bytes
    input: ImageTensor
    output: ImageTensor
    input_bytes: bytes
    picture: np.ndarray
    """The host's output, `(height, width, 3)` float32 in [-1, 1]."""
    to_picture: Callable[[np.ndarray], np.ndarray]
    """Makes such a picture of an output."""


class Task:
    """Models to time in a browser.

    Args:
        models: `.tflite` files or artifacts of one; ratios are over the first.
        config: The rounds, and the photo.

    Raises:
        UnusableModel: If a file is missing, no generator, or LiteRT.js cannot feed it.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
        UnusableData: If the photo is broken.
    """

    def __init__(self, models: Sequence[Path], config: BrowserConfig) -> None:
        self._config = config
        self._host = read_machine()
        self._models = [_prepare_model(timed, config) for timed in find_models(models)]

    def files(self) -> dict[str, bytes]:
        """Return the files of the page and those that it fetches, by path; without LiteRT.js."""
        page = resources.files("benchmarks.browser") / "page"
        found = {name: (page / name).read_bytes() for name in _PAGE}
        found["task.json"] = dumps(self._page_config()).encode()
        for index, model in enumerate(self._models):
            found |= {f"models/{index}.tflite": model.content, f"inputs/{index}.bin": model.input_bytes}
        return found

    def compare(self, index: int, output: bytes) -> dict[str, float]:
        """Compare a browser's output with the host's.

        Args:
            index: Index of the model.
            output: The values as they lie in memory, little-endian.

        Returns:
            `share_within_1_255` of the values that differ by no more than 1/255 of the range from black to white;
            `largest_difference`, as a multiple of 1/255. A value that is not finite differs by all of 255.

        Raises:
            MalformedReport: If there is no such model or it returns another number of bytes.
        """
        model = self._model(index)
        dtype = np.dtype(model.output.dtype).newbyteorder("<")
        if len(output) != model.picture.size * dtype.itemsize:
            raise MalformedReport(f"{len(output)} bytes are no output of {model.timed.name}")
        values = np.frombuffer(output, dtype).reshape(model.picture.shape)
        steps = (
            np.abs(np.nan_to_num(model.to_picture(values), nan=np.inf, posinf=np.inf, neginf=np.inf) - model.picture)
            * 127.5
        )
        return {
            "share_within_1_255": float((steps <= _STEP).mean()),
            "largest_difference": float(np.minimum(steps, 255).max()),
        }

    def output_bytes(self, index: int) -> int:
        """Return the number of bytes of a model's output.

        Raises:
            MalformedReport: If there is no such model.
        """
        output = self._model(index)
        return output.picture.size * np.dtype(output.output.dtype).itemsize

    def build_record(self, content: bytes) -> dict[str, Any]:
        """Turn the report that a page posted into the record of the run.

        Returns:
            JSON-ready: `host` (the machine that serves and compares), `browser`, `litert_js`, `threads` (that
            WebAssembly ran on), `runs`, `interleaved`, `library_load_ms`, `entries` and `failures`. An entry is a model
            on an accelerator: `name`, `path`, `size_bytes`, `io_types` (of input and output), `accelerator`,
            `fully_accelerated`, `load_ms`, `first_ms`, the latency of `summarize_model`, `withheld` (why its speed-up
            is not to be quoted, or None), and `parity` of `compare`.

        Raises:
            MalformedReport: If a part is missing, of another kind, or not of this task.
        """
        report, posted = parse_posted(content, PostedReport)
        if any(len(turn) != len(report.entries) for turn in report.rounds) or len(report.rounds) != self._config.runs:
            raise MalformedReport(
                f"no report of this page: {len(report.rounds)} rounds of {len(report.entries)} models"
            )
        entries = [self._entry(one, report.rounds, position) for position, one in enumerate(report.entries)]
        record = {
            "host": self._host,
            "browser": posted["browser"],
            "litert_js": library.VERSION,
            "threads": report.threads,
            "runs": len(report.rounds),
            "interleaved": True,
            "library_load_ms": report.library_load_ms,
            "entries": entries,
            "failures": [
                {"name": self._model(one.model).timed.name, "accelerator": one.accelerator, "why": one.why}
                for one in report.failures
            ],
        }
        _warn_of_differences(entries)
        return record

    def name_of(self, index: int | None) -> str | None:
        """Return a model's name; None where `index` is no model's."""
        return self._models[index].timed.name if index is not None and 0 <= index < len(self._models) else None

    def _model(self, index: int) -> PageModel:
        if not 0 <= index < len(self._models):
            raise MalformedReport(f"there is no model {index}, but {len(self._models)}")
        return self._models[index]

    def _page_config(self) -> dict[str, Any]:
        return {
            "litert_js": library.VERSION,
            "threads": self._config.threads,
            "runs": self._config.runs,
            "warmup": self._config.warmup,
            "turn_ms": TURN_MS,
            "models": [
                {
                    "name": model.timed.name,
                    "size_bytes": len(model.content),
                    # LiteRT.js tells neither scale nor zero point of input and output.
                    "input": asdict(model.input),
                    "output": asdict(model.output),
                }
                for model in self._models
            ],
        }

    def _entry(self, one: PostedEntry, rounds: Sequence[Sequence[float]], position: int) -> dict[str, Any]:
        model = self._model(one.model)
        summary = summarize_model(rounds, position)
        return {
            "name": model.timed.name,
            "path": str(model.timed.path),
            "size_bytes": len(model.content),
            "io_types": [model.input.dtype, model.output.dtype],
            "accelerator": one.accelerator,
            "fully_accelerated": one.fully_accelerated,
            "load_ms": one.load_ms,
            "first_ms": one.first_ms,
            **summary,
            # A page does not know how long it waited for a processor.
            "withheld": withheld_reason(summary["noise"]) if position else None,
            "parity": asdict(one.parity),
        }


def _prepare_model(timed: TimedModel, config: BrowserConfig) -> PageModel:
    generator = TfliteGenerator.open(timed.file)
    generator.require_single_images()
    require_runnable(generator, timed.path)
    if config.image is None:
        (photo,) = synthetic_photos(generator.size, count=1, seed=0)
    else:
        photo = images.read_image(config.image, generator.size)
    return PageModel(
        timed=timed,
        content=timed.file.read_bytes(),
        input=generator.input,
        output=generator.output,
        input_bytes=generator.to_input(photo).tobytes(),
        picture=generator.translate(photo),
        to_picture=generator.to_picture,
    )


def _warn_of_differences(entries: Sequence[Mapping[str, Any]]) -> None:
    for entry in entries:
        share = entry["parity"]["share_within_1_255"]
        if share < PARITY_SHARE:
            where = f"{entry['name']} on {entry['accelerator']}"
            _log.warning("%s: only %.1f %% of its values are within 1/255 of the host's.", where, 100 * share)
