"""A headless Chromium that is told what to do over a pipe, by its DevTools protocol."""

import base64
import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser.chromium import find_browser
from compress.artifact import user_cache
from compress.errors import UsageError

_LIMIT_S = 60
_FLAGS = ("--headless=new", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage", "--disable-gpu")
_READ, _WRITE = 3, 4
"""File numbers that Chromium expects its orders at and answers on.

Source: https://chromium.googlesource.com/chromium/src/+/main/content/public/common/content_switches.cc,
remote-debugging-pipe."""


class BrowserPage:
    """One page in a browser of its own, which ends with `close`."""

    def __init__(self, browser: Path) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="pocketgan-page-", ignore_cleanup_errors=True)
        self._last, self._buffer = 0, b""
        self.events: list[dict[str, Any]] = []
        """What the browser said of its own: errors on the page's console and uncaught ones."""
        read_orders, self._orders = os.pipe()
        self._answers, write_answers = os.pipe()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        flags = [*_FLAGS, *root, "--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "about:blank"]
        nowhere = os.open(os.devnull, os.O_RDWR)
        moved = [(os.POSIX_SPAWN_DUP2, nowhere, number) for number in range(3)]
        # Beyond the numbers that are taken, lest one be overwritten before it is moved; a process that has mapped many
        # files has taken hundreds.
        free = max(read_orders, write_answers, nowhere) + 1
        moved += [(os.POSIX_SPAWN_DUP2, read_orders, free), (os.POSIX_SPAWN_DUP2, write_answers, free + 1)]
        moved += [(os.POSIX_SPAWN_DUP2, free, _READ), (os.POSIX_SPAWN_DUP2, free + 1, _WRITE)]
        self._pid = os.posix_spawn(browser, [str(browser), *flags], os.environ, file_actions=moved, setsid=True)
        for number in (read_orders, write_answers, nowhere):
            os.close(number)
        try:
            target = self._order("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Log", "Runtime", "Page"):
                self.order(f"{domain}.enable")
        except (AssertionError, OSError):
            self.close()
            raise

    def order(self, method: str, **params: Any) -> dict[str, Any]:
        """Do something with the page; return the answer."""
        return self._order(method, self._session, **params)

    def open(self, address: str, *, width: int, height: int) -> None:
        """Open a page in a window of so many pixels and wait until it is there."""
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.order("Page.navigate", url=address)
        end = time.monotonic() + _LIMIT_S
        while self.run("location.href + document.readyState") != address + "complete":
            assert time.monotonic() < end, f"{address} was not opened"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """Return what a line of JavaScript gives, as JSON holds it."""
        answer = self.order("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click at the middle of the first such element, as a mouse would."""
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
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._last:
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

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
    """Chromium or Chrome: on PATH, or in the cache where the tests of `bench browser` keep one."""
    try:
        return find_browser()
    except UsageError as error:
        kept = sorted((user_cache() / "chromium").glob("*/chromium"))
        if not kept:
            pytest.skip(f"{error} None is in the cache either.")
        return kept[-1]


@pytest.fixture(scope="module")
def browser_page(browser: Path) -> Iterator[BrowserPage]:
    """An empty page."""
    try:
        page = BrowserPage(browser)
    except (AssertionError, OSError) as error:
        # Machines without a display, its libraries or enough memory have a browser that ends at once.
        pytest.skip(f"{browser.name} does not start here: {error}")
    try:
        yield page
    finally:
        page.close()
