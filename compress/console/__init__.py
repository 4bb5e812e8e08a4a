"""Behaviour that all commands share: results to stdout, all else to stderr, exit codes with a meaning, help by heading.

Each `cli.py` builds a cyclopts App and hands it to `run`, which holds the places where the command writes and keeps
them apart from what it reads; a command ends with `show`.
"""

import io
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.config import require_finite
from compress.console.device import device_chosen
from compress.console.exits import Ended, ending_on_signals, report_error
from compress.console.facts import format_facts
from compress.console.headline import Headline
from compress.console.library_lines import library_lines_kept, log_path
from compress.console.parent import follow_parent
from compress.errors import UsageError
from compress.files.apart import require_apart, split_paths
from compress.files.atomic import atomic_write_text, remove_leftovers
from compress.files.locks import absolute, locked, wait_for_others
from compress.files.training_folder import place_of_training
from compress.printable import PrintableFormatter, printable
from compress.strict_json import seal_record

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_WAIT, _VERBOSE, _DEVICE = "--wait", "--verbose", "--device"


def new_app(name: str, purpose: str, **options: Any) -> "App":
    """Make the App of a `cli.py`, so that all of them answer alike.

    Args:
        name: What the user types.
        purpose: One line, the head of its help.
        options: Further arguments of `cyclopts.App`.
    """
    from cyclopts import App

    return App(
        name=name,
        help=purpose,
        # Markdown would cost a third of the time of --help, and no help here uses it.
        help_format="plaintext",
        help_epilogue=(
            "Every command also takes --wait: wait for another that writes at the same place; --verbose: show what "
            f"libraries write, which else goes to {log_path()}, and what each stage of a run prints; and --device "
            "auto|cpu|gpu|gpu:N: where it trains."
        ),
        # Errors and Ctrl-C arrive at `run`, which knows their exit codes.
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        **options,
    )


def run(app: "App", arguments: Sequence[str] | None = None) -> int:
    """Run a cyclopts App and turn what happens into an exit code.

    Args:
        app: From `new_app`.
        arguments: The command line without the program's name; `sys.argv` when None.

    Returns:
        0, a code of `compress.errors`, 70 for a bug, 74 where something could not be read or written, or 128 and the
        number of the signal that ended it.
    """
    follow_parent()
    _open_closed_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    wait_for_others(_WAIT in given)
    is_verbose = _VERBOSE in given
    with library_lines_kept(is_verbose=is_verbose):
        _prepare_streams(is_verbose=is_verbose)
        try:
            device, others = _take_device([token for token in given if token not in (_WAIT, _VERBOSE)])
            with ending_on_signals(), device_chosen(device):
                _run_command(app, others)
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt, Ended) as error:
            return report_error(error)
    return 0


def _take_device(tokens: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of --device, None where it is not given, and the other tokens.

    Raises:
        UsageError: If it has no value.
    """
    device, others, rest = None, [], iter(tokens)
    for token in rest:
        flag, equals, value = token.partition("=")
        if flag != _DEVICE:
            others.append(token)
        elif (device := value if equals else next(rest, None)) is None:
            raise UsageError(f"{_DEVICE} has no value, expected auto, cpu, gpu or gpu:N.")
    return device, others


def _run_command(app: "App", arguments: list[str]) -> None:
    """Run a command alone at the places where it writes, none of which is among its inputs."""
    command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    require_finite(bound.arguments)
    outputs, caches, inputs = split_paths(bound.arguments)
    require_apart([*outputs, *map(place_of_training, outputs), *caches], inputs)
    with ExitStack() as held:
        for output in map(absolute, outputs):
            held.enter_context(locked(output))
            remove_leftovers(output)
        command(*bound.args, **bound.kwargs)


def show(
    result: Mapping[str, Any], *, as_json: bool, text: str | None = None, headline: Headline | None = None
) -> None:
    """Print a command's result on stdout.

    Args:
        result: JSON-ready.
        as_json: Whether to print JSON, for programs, or text, for people.
        text: What people read; `format_facts` of `result` when None.
        headline: What people read first, in its colour.
    """
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        if headline is not None:
            print(headline.paint(sys.stdout))
        print(printable(format_facts(result) if text is None else text))


def keep_and_show(
    record: Mapping[str, Any],
    *,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    text: str | None = None,
    headline: Headline | None = None,
) -> None:
    """Write a command's record to a JSON file, where one is named, and print it as `show` does: with a content hash.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    sealed = seal_record(record)
    if out is not None:
        atomic_write_text(out, json.dumps(sealed, indent=2) + "\n", overwrite=overwrite)
    show(sealed if as_json else record, as_json=as_json, text=text, headline=headline)


class Headings:
    """Help that shows a command's flags under headings: a `help_formatter` of cyclopts.

    Args:
        headings: Title to the fields under it. Those of the first heading come in its order, which is followed by
            whatever stands under none; those of others come in the order of the configuration.
    """

    def __init__(self, headings: Mapping[str, Sequence[str]]) -> None:
        self._headings = {title: [_flag(name) for name in names] for title, names in headings.items()}

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        from cyclopts.help import DefaultFormatter

        first, *others = self._headings
        grouped: dict[str, list[HelpEntry]] = {title: [] for title in self._headings}
        for entry in panel.entries:
            titles = (title for title in others if _is_named(entry, self._headings[title]))
            grouped[next(titles, first)].append(entry)
        grouped[first].sort(key=self._place)
        for title, entries in grouped.items():
            if entries:
                DefaultFormatter()(console, options, panel.copy(title=title, entries=entries))

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Print the usage line as cyclopts does where a command has no formatter of its own."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def _place(self, entry: "HelpEntry") -> int:
        order = next(iter(self._headings.values()))
        return next((place for place, flag in enumerate(order) if _is_named(entry, [flag])), len(order))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _is_named(entry: "HelpEntry", flags: Sequence[str]) -> bool:
    return any(name in flags for name in entry.positive_names)


def _open_closed_streams() -> None:
    """Open what the caller closed, to nowhere: else the next file that is opened would get what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.open(os.devnull, os.O_RDWR)
    # Python has no stream where there was no file when it started.
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def _prepare_streams(*, is_verbose: bool) -> None:
    """Send log messages to stderr; let no name that a terminal cannot show stop a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in () if is_verbose else ("absl", "tensorflow", "h5py", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
