"""Time `.tflite` models in a browser: here, in a headless one, or on any phone that opens the page."""

import logging
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from benchmarks.browser.chromium import find_browser, open_browser
from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.posted import PostedError
from benchmarks.browser.server import LOCALHOST, BenchServer, PageTask
from benchmarks.browser.task import Task
from compress.errors import UnusableInput, UnusableModel, UsageError
from compress.printable import printable
from export.web.library import load_library

_POLL_S = 0.2
_EVERYWHERE = ("0.0.0.0", "::")
_log = logging.getLogger(__name__)


def bench_browser(models: Sequence[Path], config: BrowserConfig) -> dict[str, Any]:
    """Measure models in a headless browser of this machine, all in one interleaved run.

    Returns:
        The record of `Task.build_record`.

    Raises:
        UsageError: If there is no browser, or LiteRT.js is neither cached nor to be had from the npm registry.
        UnusableModel: If a file is missing or cannot be run, here or in the browser.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
        UnusableData: If the photo is broken.
        UnusableInput: If the page fails, the browser ends, or neither happens within the time limit.
    """
    browser = find_browser(config.browser)
    with _served(models, config, host=LOCALHOST) as server:
        return _await_record(server, browser, server.page_address(), config.timeout_s)


def serve(models: Sequence[Path], config: BrowserConfig) -> Generator[dict[str, Any], None, None]:
    """Keep the page up for other browsers, and yield the record of each that finishes, without end.

    Raises:
        UsageError, UnusableInput: As `bench_browser` before it starts a browser, or if nothing can be served at
            `config.host`; errors of a page are logged.
    """
    with _served(models, config, host=config.host or LOCALHOST) as server:
        port = server.server_port
        if config.host is None:
            _log.info("open %s in a browser of this machine; Ctrl-C ends this", server.page_address())
            _log.info("for phones of this network: --host 0.0.0.0")
        else:
            where = _own_address() if config.host in _EVERYWHERE else None
            _log.info("open %s in any browser of this network; Ctrl-C ends this", server.page_address(where))
        # By plain http, browsers grant shared memory and WebGPU to localhost alone.
        local = server.page_address("localhost")
        _log.info("for threads and WebGPU on Android: adb reverse tcp:%d tcp:%d, then %s", port, port, local)
        while True:
            kind, content = server.arrived.get()
            if kind == "record":
                yield content
            else:
                _log.warning("%s", printable(_format_failure(server.task, content)))


@contextmanager
def _served(models: Sequence[Path], config: BrowserConfig, *, host: str) -> Iterator[BenchServer]:
    task = Task(models, config)
    files = load_library() | task.files()
    with _open_server(task, files, host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def _open_server(task: Task, files: dict[str, bytes], host: str) -> BenchServer:
    try:
        return BenchServer(task, files, host=host)
    except OSError as error:
        raise UsageError(f"nothing can be served at {host}: {error.strerror}. Pass another --host.") from error


def _await_record(server: BenchServer, browser: Path, address: str, timeout_s: int) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    with open_browser(browser, address) as running:
        while time.monotonic() < deadline:
            try:
                kind, content = server.arrived.get(timeout=_POLL_S)
            except Empty:
                if running.exit_code is None:
                    continue
                raise UnusableInput(
                    f"{browser} ended with {running.exit_code} before the page was done; it said:\n"
                    f"{running.read_log_end()}\nTry another with --browser PATH."
                ) from None
            if kind == "record":
                return content
            is_of_a_model = server.task.name_of(content.model) is not None
            raise (UnusableModel if is_of_a_model else UnusableInput)(_format_failure(server.task, content))
        raise UnusableInput(
            f"the page was not done within {timeout_s} s. Pass a greater --timeout-s or fewer --runs; the browser's "
            f"console:\n{running.read_log_end()}"
        )


def _format_failure(task: PageTask, error: PostedError) -> str:
    name = task.name_of(error.model)
    what = f"{name} does not run in the browser" if name else "the page failed"
    return "\n".join([f"{what}: {error.message}", *(["its console:", *error.console] if error.console else [])])


def _own_address() -> str:
    """Return this machine's address in its network; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # TEST-NET-1 of RFC 5737, which nobody has.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return LOCALHOST
        return probe.getsockname()[0]
