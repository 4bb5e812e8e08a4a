"""What TensorFlow, absl, LiteRT and their like write to stderr by themselves: kept in a file, shown with `--verbose`.

They write from C++, past Python, some of it before any setting of theirs is looked at. So the process's stderr is the
file while a command runs, and Python's own `sys.stderr`, where this tool's lines go, leads to where stderr led before.
Who starts a child that is to be read has to hand it `sys.stderr`.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compress.console.environment import variables_set

VERBOSE = "POCKETGAN_VERBOSE"
"""Environment variable that says to show what libraries write; `--verbose` sets it for the processes below, too."""
_USER = getattr(os, "getuid", int)()
LOG_NAME = f"pocketgan-libraries-{_USER}.log"
_LARGEST_LOG_BYTES = 1 << 20
_STDERR = 2


def log_path() -> Path:
    """Return where the lines of libraries are kept, the last megabyte or so of all commands."""
    return Path(tempfile.gettempdir()) / LOG_NAME


@contextmanager
def library_lines_kept(*, is_verbose: bool) -> Iterator[None]:
    """Keep what libraries write to stderr off it.

    Args:
        is_verbose: Whether to leave them there instead, in this process and those that it starts.
    """
    if is_verbose or os.environ.get(VERBOSE):
        with variables_set({VERBOSE: "1"}):
            yield
        return
    before = sys.stderr
    shown = os.dup(_STDERR)
    log = _open_log()
    os.dup2(log, _STDERR)
    os.close(log)
    if _leads_to_stderr(before):
        # Never closed: handlers of log messages hold it, and it is one a process.
        sys.stderr = os.fdopen(
            os.dup(shown), "w", buffering=1, encoding=before.encoding, errors="backslashreplace", closefd=False
        )
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        sys.stderr = before
        os.dup2(shown, _STDERR)
        os.close(shown)


def _open_log() -> int:
    """Open the log, or what swallows all where there can be none."""
    try:
        # Neither a link nor a pipe that somebody put there is followed or waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(log_path(), flags, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (_USER, 0):
        os.close(descriptor)
        return os.open(os.devnull, os.O_WRONLY)
    if status.st_size > _LARGEST_LOG_BYTES:
        os.ftruncate(descriptor, 0)
    return descriptor


def _leads_to_stderr(stream: object) -> bool:
    """Check that a stream writes to the process's stderr; in a notebook or a test it need not."""
    try:
        return stream.fileno() == _STDERR  # pyright: ignore[reportAttributeAccessIssue]
    except (AttributeError, OSError, ValueError):
        return False
