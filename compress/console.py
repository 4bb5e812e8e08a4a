"""Behaviour that all commands share: results to stdout, all else to stderr, exit codes with a meaning, help by heading.

Each `cli.py` builds a cyclopts App and hands it to `run`; a command ends with `show`.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.artifact import atomic_write_text
from compress.errors import PocketGANError, UsageError
from compress.renamed import explain_command, explain_flag

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

INTERRUPTED = 130


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
        # Errors and Ctrl-C arrive at `run`, which knows their exit codes.
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        **options,
    )


def run(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run a cyclopts App and turn what happens into an exit code of `compress.errors`.

    Args:
        app: From `new_app`.
        arguments: The command line without the program's name; `sys.argv` when None.

    Returns:
        0, a `PocketGANError`'s code, or 130 after Ctrl-C. A bug keeps its traceback.
    """
    from cyclopts import CycloptsError

    _log_to_stderr()
    try:
        app(arguments)
    except CycloptsError as error:
        explanation = _explain_renamed(error)
        return _fail(UsageError(explanation or f"{error} Run with --help for what is possible."))
    except PocketGANError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("stopped; nothing half written is left, and training resumes from its checkpoint.", file=sys.stderr)
        return INTERRUPTED
    return 0


def show(result: Mapping[str, Any], *, as_json: bool, text: str | None = None) -> None:
    """Print a command's result on stdout.

    Args:
        result: JSON-ready.
        as_json: Whether to print JSON, for programs, or text, for people.
        text: What people read; one `key: value` line per entry of `result` when None.
    """
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print(text if text is not None else "\n".join(f"{key}: {value}" for key, value in result.items()))


def keep_and_show(
    record: Mapping[str, Any], *, out: Path | None, overwrite: bool, as_json: bool, text: str | None = None
) -> None:
    """Write a command's record to a JSON file, where one is named, and print it as `show` does.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    if out is not None:
        atomic_write_text(out, json.dumps(record, indent=2) + "\n", overwrite=overwrite)
    show(record, as_json=as_json, text=text)


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


def _fail(error: PocketGANError) -> int:
    program = os.path.basename(sys.argv[0])
    name = program if not program.startswith("__main__") else "compress"
    indent = " " * (len(name) + 2)
    print(f"{name}: {str(error).replace(chr(10), chr(10) + indent)}", file=sys.stderr)
    return error.exit_code


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # TensorFlow's C++ side reports every missing GPU library as an error; a user can set the level back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for chatty in ("absl", "tensorflow", "h5py", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
