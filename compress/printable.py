"""Text of strangers made fit to print: names inside files may hold what moves a terminal's cursor or forges a line."""

import logging
from pathlib import Path


def printable(text: str) -> str:
    r"""Return text whose control characters are written out, `\x1b` for the escape that begins a terminal's command.

    Line feeds stay, since messages have several lines; a name that may hold one goes through `printable_name`. Written
    out, too, are invisible marks that reverse or hide text, and bytes of file names that are no UTF-8.
    """
    return "".join(each if each.isprintable() or each == "\n" else _written_out(each) for each in text)


def printable_name(name: str) -> str:
    """Return a name as `printable` does, on one line."""
    return printable(name).replace("\n", r"\n")


class PrintableFormatter(logging.Formatter):
    """Formats log messages as `printable` does, and every path in them on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, with its traceback if it has one."""
        if isinstance(record.args, tuple):
            record = logging.makeLogRecord(vars(record) | {"args": tuple(map(_without_line_feeds, record.args))})
        return printable(super().format(record))


def _without_line_feeds(argument: object) -> object:
    return printable_name(str(argument)) if isinstance(argument, Path) else argument


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
