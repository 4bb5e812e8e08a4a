"""The guard that no input is ever an output: what a command would write is kept apart from what it reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from compress.errors import UsageError
from compress.files.remote import is_remote

LAYOUT = ("trainA", "trainB", "testA", "testB")
"""Folders of a data set in CycleGAN's layout: other things may lie beside them."""
OUTPUTS = frozenset({"out", "app", "swift", "chart"})
"""Names of the flags that name what a command writes."""
CACHES = frozenset({"cache"})
"""Names of the flags of folders that commands share, and write to."""
_MAYBE_PATHS = frozenset({"recipe", "init", "perceptual_network"})
"""Names of the flags that take a path or a name."""
_NAMED_PATHS = frozenset({"column", "scores", "manifest", "gate", "training"})
"""Names of the flags that take NAME=PATH."""


def split_paths(arguments: Mapping[str, Any]) -> tuple[list[Path], list[Path], list[Path]]:
    """Sort the paths of a command line by what the command does with them.

    Args:
        arguments: Its arguments by name; dataclasses, lists and mappings among them are looked through.

    Returns:
        The outputs, the caches, and the inputs; of this machine alone.
    """
    outputs: list[Path] = []
    caches: list[Path] = []
    inputs: list[Path] = []
    for name, path in _find_paths(arguments):
        (outputs if name in OUTPUTS else caches if name in CACHES else inputs).append(path)
    return outputs, caches, inputs


def _find_paths(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for name, value in arguments.items():
        yield from _paths_in(name, value)


def _paths_in(name: str, value: Any) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path) and is_remote(value):
        return
    if isinstance(value, Path) or (name in _MAYBE_PATHS and isinstance(value, str)):
        yield name, Path(value)
    elif name in _NAMED_PATHS and isinstance(value, str):
        yield name, Path(value.partition("=")[2])
    elif is_dataclass(value):
        yield from _find_paths({item.name: getattr(value, item.name) for item in fields(value)})
    elif isinstance(value, Mapping):
        yield from (found for one in value.values() for found in _paths_in(name, one))
    elif isinstance(value, (list, tuple)):
        yield from (found for one in value for found in _paths_in(name, one))


def require_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Check that no output is an input, holds one, or lies inside one, whatever links lead there.

    A folder in CycleGAN's layout may hold outputs beside `trainA` and its sisters, not inside them.

    Args:
        outputs: What will be written; it may not exist yet.
        inputs: What will be read.

    Raises:
        UsageError: Naming both.
    """
    for output in outputs:
        for read in (path for path in inputs if path.exists()):
            if relation := _relate(output, read):
                raise UsageError(
                    f"{output} {relation} {read}, which this command reads. Pass another place to write to."
                )


def _relate(output: Path, read: Path) -> str | None:
    place, source = output.resolve(), read.resolve()
    if place == source or (output.exists() and output.samefile(read)):
        return "is the same as"
    if source.is_relative_to(place):
        return "holds"
    if not source.is_dir():
        return None
    parts = [source / name for name in LAYOUT if (source / name).exists()] or [source]
    return "lies inside" if any(place.is_relative_to(part.resolve()) for part in parts) else None
