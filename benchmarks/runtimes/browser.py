"""LiteRT.js in a headless browser: every file run once, its output posted back."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from queue import Empty
from typing import Annotated, Any, Literal

import numpy as np

from benchmarks.browser.chromium import find_browser, open_browser
from benchmarks.browser.posted import MalformedReport, parse_posted
from benchmarks.browser.server import BenchServer
from benchmarks.runtimes.answers import measure
from benchmarks.runtimes.cases import Case, Group
from benchmarks.runtimes.environments import Unavailable
from compress.errors import UsageError
from compress.strict_json import Length
from export.web.library import VERSION, load_library

_WASM = "@litertjs/core/wasm/"
_POLL_S = 0.2
_Text = Annotated[str, Length(0, 4096)]


@dataclass(frozen=True, kw_only=True)
class BrowserRuntime:
    """LiteRT.js in one of its builds, on one accelerator."""

    name: str
    accelerator: Literal["wasm", "webgpu"] = "wasm"
    library: str = _WASM
    """What LiteRT.js is loaded from: a folder, of which it takes the build that suits the browser, or one build."""
    flags: tuple[str, ...] = ()
    """Further flags of the browser."""
    left_out: tuple[Group, ...] = ()
    """Files that it is not asked to run."""
    version: str = VERSION

    def takes(self, case: Case) -> bool:
        """Check whether it is asked to run a file."""
        return case.format == "tflite" and case.group not in self.left_out


BROWSER_RUNTIMES: Sequence[BrowserRuntime] = (
    BrowserRuntime(name="LiteRT.js, WebAssembly"),
    BrowserRuntime(name="LiteRT.js, without relaxed SIMD", library=f"{_WASM}litert_wasm_compat_internal.js"),
    BrowserRuntime(
        name="LiteRT.js, WebGPU in software",
        accelerator="webgpu",
        # Chromium's own renderer stands for a GPU, which servers have none of.
        flags=("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"),
        # It takes minutes an image there.
        left_out=("teacher",),
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Told:
    error: _Text | None


@dataclass(frozen=True, kw_only=True)
class _Report:
    told: Annotated[list[_Told], Length(0, 10_000)]
    gpu: _Text | None
    relaxed_simd: bool
    user_agent: _Text


class OutputTask:
    """The files of one page, and the outputs that it posted: what a `BenchServer` asks for."""

    def __init__(self, runtime: BrowserRuntime, cases: Sequence[Case]) -> None:
        self._runtime, self._cases = runtime, cases
        self._made: dict[int, np.ndarray] = {}

    def files(self) -> dict[str, bytes]:
        """Return the files of the page and those that it fetches, by path; without LiteRT.js."""
        page = resources.files("benchmarks.runtimes") / "page"
        found = {name: (page / name).read_bytes() for name in ("index.html", "outputs.js")}
        asked = [
            {"dtype": case.input.dtype.name, "shape": list(case.input.shape), "signature": case.signature}
            for case in self._cases
        ]
        task = {"library": self._runtime.library, "accelerator": self._runtime.accelerator, "cases": asked}
        found["cases.json"] = json.dumps(task).encode()
        for number, case in enumerate(self._cases):
            found |= {f"models/{number}.tflite": case.content, f"inputs/{number}.bin": case.input.tobytes()}
        return found

    def output_bytes(self, index: int) -> int:
        """Return the number of bytes of a file's output.

        Raises:
            MalformedReport: If there is no such file.
        """
        if not 0 <= index < len(self._cases):
            raise MalformedReport(f"there is no file {index}, but {len(self._cases)}")
        return self._cases[index].expected.nbytes

    def compare(self, index: int, output: bytes) -> dict[str, float]:
        """Keep an output.

        Raises:
            MalformedReport: If it has another number of bytes.
        """
        expected = self._cases[index].expected
        if len(output) != expected.nbytes:
            raise MalformedReport(f"{len(output)} bytes are no output of file {index}")
        self._made[index] = np.frombuffer(output, expected.dtype.newbyteorder("<")).reshape(expected.shape)
        return {}

    def build_record(self, content: bytes) -> dict[str, Any]:
        """Return what the page told, and `measured`: of each case what `Case.measure` returns, or `error`.

        Raises:
            MalformedReport: If it is no report of this page.
        """
        report, _ = parse_posted(content, _Report)
        if len(report.told) != len(self._cases):
            raise MalformedReport(f"{len(report.told)} answers to {len(self._cases)} files")
        measured = [self._measure(number, told) for number, told in enumerate(report.told)]
        facts = {"gpu": report.gpu, "relaxed_simd": report.relaxed_simd, "user_agent": report.user_agent}
        return facts | {"measured": measured}

    def name_of(self, index: int | None) -> str | None:
        """Return the model of a file; None where `index` is no file's."""
        return self._cases[index].subject if index is not None and 0 <= index < len(self._cases) else None

    def _measure(self, number: int, told: _Told) -> dict[str, Any]:
        if told.error is not None or number not in self._made:
            return {"error": told.error or "it returned nothing"}
        return {**measure(self._cases[number], self._made[number]), "left": None}


def run_in_browser(
    runtime: BrowserRuntime, cases: Sequence[Case], asked: Path | None, *, timeout_s: int
) -> dict[str, Any]:
    """Run files in LiteRT.js.

    Args:
        runtime: Its build and accelerator.
        cases: The files, all of them `.tflite`.
        asked: The browser to start; the first on PATH when None.
        timeout_s: Seconds after which the page counts as hanging.

    Returns:
        The record of `OutputTask.build_record`.

    Raises:
        Unavailable: If there is no browser, or LiteRT.js cannot be had, or the page fails or hangs.
    """
    try:
        browser, library = find_browser(asked), load_library()
    except UsageError as error:
        raise Unavailable(str(error).splitlines()[0]) from error
    task = OutputTask(runtime, cases)
    server = BenchServer(task, library | task.files())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with open_browser(browser, server.page_address(), flags=runtime.flags):
            return _await_record(server, timeout_s)
    finally:
        server.shutdown()
        server.server_close()


def _await_record(server: BenchServer, timeout_s: int) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            kind, content = server.arrived.get(timeout=_POLL_S)
        except Empty:
            continue
        if kind == "record":
            return content
        raise Unavailable(f"the page failed: {content.message}")
    raise Unavailable(f"the page was not done within {timeout_s} s")
