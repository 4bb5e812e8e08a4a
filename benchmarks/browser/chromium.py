"""A headless Chromium or Chrome, started in a profile of its own and ended with all its children."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compress.errors import UsageError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--disable-extensions",
    # Containers often have 64 MB of /dev/shm, less than a teacher's weights.
    "--disable-dev-shm-usage",
    # What the page says on its console goes to stderr.
    "--enable-logging=stderr",
)
_CONSOLE_MARK = "CONSOLE"
_LINES_SHOWN = 8
_END_LIMIT_S = 10


def find_browser(asked: Path | None = None) -> Path:
    """Find the browser to start.

    Args:
        asked: A program to take; the first known browser on PATH when None.

    Raises:
        UsageError: If `asked` is no program, or no known browser is found.
    """
    found = shutil.which(asked or "") if asked else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and asked is None and _MAC.exists():
        found = str(_MAC)
    if found is None:
        what = f"{asked} is no program that can be started" if asked else f"none of {', '.join(NAMES)} is on PATH"
        raise UsageError(
            f"{what}. Install Chromium or Chrome, name it with --browser PATH,\n"
            "or pass --serve and open the page in any browser."
        )
    return Path(found)


class Browser:
    """A running browser and its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def exit_code(self) -> int | None:
        """Exit code of the browser; None while it runs."""
        return self._process.poll()

    def read_log_end(self) -> str:
        """Return the last lines of its pages' consoles or, where those are empty, of its own log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines_of_pages = [line for line in lines if _CONSOLE_MARK in line] or lines
        return "\n".join(lines_of_pages[-_LINES_SHOWN:]) or "nothing"


@contextmanager
def open_browser(browser: Path, address: str, *, flags: Sequence[str] = ()) -> Iterator[Browser]:
    """Open a page in a browser, which is ended with all its children on leaving.

    Args:
        browser: The program.
        address: The page's.
        flags: Further flags of the browser.

    Raises:
        UsageError: If it cannot be started.
    """
    # A child that is just being killed may still write into the profile.
    with tempfile.TemporaryDirectory(prefix="pocketgan-browser-", ignore_cleanup_errors=True) as scratch:
        log = Path(scratch) / "stderr.txt"
        own = [*_FLAGS, f"--user-data-dir={Path(scratch) / 'profile'}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Chromium's sandbox refuses root, as which CI often runs; the only page it sees is ours.
            own.append("--no-sandbox")
        process = _start([str(browser), *own, *flags, address], log)
        try:
            yield Browser(process, log)
        finally:
            _end(process)


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    try:
        with log.open("wb") as stream:
            # In a session of its own, so that all its children can be ended by one signal.
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True)
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be started: {error}. Pass another --browser.") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group, which is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait(_END_LIMIT_S)
