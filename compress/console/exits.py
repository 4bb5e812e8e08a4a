"""Ends of a command: every error becomes a line on stderr and an exit code; signals end it as Ctrl-C does."""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import PocketGANError, UsageError
from compress.printable import printable
from compress.renamed import explain_command, explain_flag

if TYPE_CHECKING:
    from cyclopts import CycloptsError

BUG, UNREADABLE_OR_UNWRITABLE, SIGNAL = 70, 74, 128
"""Exit codes beside those of `compress.errors`; to the last the signal's number is added."""
_FRAMES_SHOWN = 4
_STOPPED = (
    "stopped; no output is half written, and the same command goes on from what it keeps: a training from its "
    "checkpoint, a film from its segments."
)
_NOTHING_LOST = "Nothing half written is left; what was there before still is."
_ADVICE = {
    errno.ENOSPC: f"Free some space and run the same command again. {_NOTHING_LOST}",
    errno.EDQUOT: f"Free some of your quota and run the same command again. {_NOTHING_LOST}",
    errno.EACCES: f"Change its permissions, or name another place. {_NOTHING_LOST}",
    errno.EROFS: f"Name a place that can be written to. {_NOTHING_LOST}",
    errno.ENAMETOOLONG: "Give it a shorter name.",
}


class Ended(BaseException):
    """Raised where a signal asks this process to end: what is half written is removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: what is half written is removed first."""

    def end(number: int, _: object) -> None:
        raise Ended(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with handling(end):
        yield


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle SIGTERM and SIGHUP for a while, but for what is ignored, as SIGHUP is under nohup."""
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def report_error(error: BaseException) -> int:
    """Print what went wrong and return its exit code."""
    text, code = _explain(error)
    program = os.path.basename(sys.argv[0])
    name = program if not program.startswith("__main__") else "compress"
    indent = " " * (len(name) + 2)
    if text:
        # Where the disk of the log is full, the exit code is all that can be said.
        with suppress(OSError):
            print(f"{name}: {printable(text).replace(chr(10), chr(10) + indent)}", file=sys.stderr, flush=True)
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    """Return what to say about an error, and its exit code."""
    from cyclopts import CycloptsError

    match error:
        case CycloptsError():
            return _explain_renamed(error) or f"{error} Run with --help for what is possible.", UsageError.exit_code
        case PocketGANError():
            return str(error), error.exit_code
        case KeyboardInterrupt():
            return _STOPPED, SIGNAL + signal.SIGINT
        case Ended():
            return _STOPPED, SIGNAL + error.number
        case BrokenPipeError():
            # Who read the output has seen enough. Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return "", SIGNAL + signal.SIGPIPE
        case OSError():
            return _explain_os_error(error), UNREADABLE_OR_UNWRITABLE
        case MemoryError():
            return (
                "ran out of memory. Close other programs, or give smaller images or batches.",
                UNREADABLE_OR_UNWRITABLE,
            )
        case _:
            return _report_bug(error), BUG


def _explain_os_error(error: OSError) -> str:
    named = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    reason = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0, _NOTHING_LOST)
    return f"{named}: {reason}. {advice}" if named else f"{reason}. {advice}"


def _report_bug(error: BaseException) -> str:
    """Return where in this tool an unexpected error came from, short enough to be sent."""
    from importlib import metadata

    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    places = [f"  at {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}, {frame.name}" for frame in frames]
    said = str(error).strip().splitlines() or [""]
    return "\n".join(
        [
            f"internal error: {type(error).__name__}: {said[0][:300]}",
            *places,
            f"This is a bug in PocketGAN {metadata.version('pocketgan')}; please report these lines. {_NOTHING_LOST}",
        ]
    )


def _explain_renamed(error: "CycloptsError") -> str | None:
    """Return what became of a flag or a command that is no longer known."""
    from cyclopts import UnknownCommandError, UnknownOptionError

    command, unused = " ".join(error.command_chain or ()), error.unused_tokens or []
    if isinstance(error, UnknownCommandError):
        return explain_command(f"{command} {unused[0]}".strip())
    unknown = [error.token.keyword or ""] if isinstance(error, UnknownOptionError) else unused
    if error.app is None or not unknown:
        return None
    known = [name for argument in error.app.assemble_argument_collection() for name in argument.names]
    explanations = (explain_flag(token, command, known=known) for token in unknown if token.startswith("--"))
    return next(filter(None, explanations), None)
