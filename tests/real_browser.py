"""A real browser for tests: Chromium, fetched where none is installed, told what to do over a pipe by its DevTools
protocol.

`tests/conftest.py` registers this file as a plugin, so its fixtures are there for all tests.
"""

import base64
import io
import json
import os
import select
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser.chromium import find_browser
from compress.artifact import user_cache
from compress.errors import UsageError
from export.web.library import FETCH_LIMIT_S, Package, load_archive, load_library

_CHROMIUM = Package(
    "@sparticuz/chromium",
    "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==",
    version="147.0.0",
)
"""For machines without a browser, such as CI's: a headless one for Linux on x86-64, 68 MB."""
_START_LIMIT_S = 60
# Python has no Brotli of its own.
_UNPACK = """
const [packed, program] = process.argv.slice(1);
const content = require("zlib").brotliDecompressSync(require("fs").readFileSync(packed));
require("fs").writeFileSync(program, content, {mode: 0o755});
"""
_LIMIT_S = 60
_FLAGS = ("--headless=new", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage", "--disable-gpu")
_READ, _WRITE = 3, 4
"""File numbers that Chromium expects its orders at and answers on.

Source: https://chromium.googlesource.com/chromium/src/+/main/content/public/common/content_switches.cc,
remote-debugging-pipe."""


class BrowserPage:
    """One page in a browser of its own, which ends with `close`."""

    def __init__(self, browser: Path, flags: Sequence[str] = ()) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="pocketgan-page-", ignore_cleanup_errors=True)
        self._last, self._buffer = 0, b""
        self.events: list[dict[str, Any]] = []
        """What the browser said of its own: errors on the page's console and uncaught ones."""
        self.requests: list[str] = []
        """Addresses that the page and its workers asked for."""
        read_orders, self._orders = os.pipe()
        self._answers, write_answers = os.pipe()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        own = ["--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "about:blank"]
        nowhere = os.open(os.devnull, os.O_RDWR)
        moved = [(os.POSIX_SPAWN_DUP2, nowhere, number) for number in range(3)]
        # Beyond the numbers that are taken, lest one be overwritten before it is moved; a process that has mapped many
        # files has taken hundreds.
        free = max(read_orders, write_answers, nowhere) + 1
        moved += [(os.POSIX_SPAWN_DUP2, read_orders, free), (os.POSIX_SPAWN_DUP2, write_answers, free + 1)]
        moved += [(os.POSIX_SPAWN_DUP2, free, _READ), (os.POSIX_SPAWN_DUP2, free + 1, _WRITE)]
        command = [str(browser), *_FLAGS, *root, *flags, *own]
        self._pid = os.posix_spawn(browser, command, os.environ, file_actions=moved, setsid=True)
        for number in (read_orders, write_answers, nowhere):
            os.close(number)
        try:
            target = self._order("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Log", "Runtime", "Page", "Network"):
                self.order(f"{domain}.enable")
            # A worker's requests are told to who is attached to it, so it waits until that is done.
            self.order("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)
        except (AssertionError, OSError):
            self.close()
            raise

    def order(self, method: str, **params: Any) -> dict[str, Any]:
        """Do something with the page; return the answer."""
        return self._order(method, self._session, **params)

    def open(self, address: str, *, width: int = 1000, height: int = 900) -> None:
        """Open a page in a window of so many pixels and wait until it is there."""
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.order("Page.navigate", url=address)
        end = time.monotonic() + _LIMIT_S
        while self.run("location.href + document.readyState") != address + "complete":
            assert time.monotonic() < end, f"{address} was not opened"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """Return what a line of JavaScript gives, or promises, as JSON holds it."""
        answer = self.order("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, *, limit_s: float = _LIMIT_S) -> Any:
        """Return what a line of JavaScript gives as soon as that is true."""
        end = time.monotonic() + limit_s
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"{script} gave {value!r} for {limit_s} s; the browser said: {self.events}"
            time.sleep(0.1)
        return value

    def click(self, selector: str) -> None:
        """Click at the middle of the first such element, scrolled into view, as a mouse would."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        left, top, width, height = self.run(f"(({{x, y, width, height}}) => [x, y, width, height])({box})")
        place = {"x": left + width / 2, "y": top + height / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.order("Input.dispatchMouseEvent", type=kind, **place)

    def take_picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.order("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser and all its children."""
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._orders)
        os.close(self._answers)
        self._profile.cleanup()

    def _order(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = self._send(method, session, params)
        while (answer := self._receive()).get("id") != number:
            self._hear(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _send(self, method: str, session: str | None, params: dict[str, Any]) -> int:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        return self._last

    def _hear(self, event: dict[str, Any]) -> None:
        """Note what the browser says of its own."""
        match event.get("method"):
            case "Log.entryAdded" | "Runtime.exceptionThrown":
                self.events.append(event)
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            case "Target.attachedToTarget":
                worker = event["params"]["sessionId"]
                for method in ("Network.enable", "Log.enable", "Runtime.enable", "Runtime.runIfWaitingForDebugger"):
                    self._send(method, worker, {})

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], _LIMIT_S)
            part = os.read(self._answers, 1 << 20) if ready else b""
            assert part, f"the browser ended, or was silent for {_LIMIT_S} s"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="session")
def browser() -> Path:
    """Chromium or Chrome: on PATH, in the cache, or within reach."""
    try:
        return _find_or_fetch_browser()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def real_browser(browser: Path) -> Path:
    """The same, where LiteRT.js is in the cache or within reach, too."""
    try:
        load_library()
    except UsageError as error:
        pytest.skip(str(error))
    return browser


@pytest.fixture(scope="session")
def open_browser() -> Callable[..., BrowserPage]:
    """Open an empty page in a browser of its own, with further flags for the browser."""

    def open(browser: Path, *flags: str) -> BrowserPage:
        try:
            return BrowserPage(browser, flags)
        except (AssertionError, OSError) as error:
            # Machines without a display, its libraries or enough memory have a browser that ends at once.
            pytest.skip(f"{browser.name} does not start here: {error}")

    return open


@pytest.fixture(scope="module")
def browser_page(browser: Path, open_browser: Callable[..., BrowserPage]) -> Iterator[BrowserPage]:
    """An empty page."""
    page = open_browser(browser)
    try:
        yield page
    finally:
        page.close()


def _find_or_fetch_browser() -> Path:
    """The browser on PATH, else one from npm, fetched once.

    Raises:
        UsageError: If there is none, npm and Node do not bring one, or what they bring does not start here.
    """
    try:
        return find_browser()
    except UsageError as error:
        folder = user_cache() / "chromium"
        program = folder / _CHROMIUM.version / "chromium"
        try:
            if not program.exists():
                _unpack(load_archive(_CHROMIUM, folder), program)
            # It tells its version where the libraries that it needs are all there.
            subprocess.run([program, "--version"], capture_output=True, timeout=_START_LIMIT_S, check=True)
        except (UsageError, OSError, subprocess.SubprocessError) as trouble:
            raise UsageError(f"{error}\n{_CHROMIUM.name} is no way out here: {trouble}") from trouble
        return program


def _unpack(archive: bytes, program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extract("package/bin/chromium.br", scratch, filter="data")
        unpacked = Path(scratch) / "chromium"
        node = ["node", "-e", _UNPACK, str(Path(scratch) / "package/bin/chromium.br"), str(unpacked)]
        subprocess.run(node, capture_output=True, timeout=FETCH_LIMIT_S, check=True)
        unpacked.replace(program)
