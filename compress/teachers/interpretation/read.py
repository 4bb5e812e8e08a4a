"""Reading of a teacher's file as the user says it is to be read, once a process."""

import logging
from functools import lru_cache
from pathlib import Path

from compress.artifact import file_fingerprint, is_artifact
from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.apply import apply_reading
from compress.teachers.interpretation.verify import require_pictures
from compress.teachers.packed import read_packed_config
from compress.teachers.read import require_regular
from compress.teachers.reading.config import ReadingConfig
from compress.teachers.sandbox import describe_in_child

_log = logging.getLogger(__name__)


def read_as(path: Path, reading: ReadingConfig) -> tuple[GeneratorDescription, str]:
    """Read a generator in a child process, apply what the user says, and prove it by the pictures that are given.

    Returns:
        Its description, and the hash of the file.

    Raises:
        UnusableModel: See `describe_in_child` and `apply_reading`.
        UsageError: See `apply_reading` and `require_pictures`.
        ParityError: See `require_pictures`.
    """

    def read(said: ReadingConfig) -> GeneratorDescription:
        return apply_reading(_describe_once(path, content, _for_reader(said)), said)

    try:
        # Its hash is that of all its bytes, and a pipe or a device may have no end.
        require_regular(path)
    except UnusableModel as error:
        raise UnusableModel(f"{path}: {error}") from error
    content = file_fingerprint(path)
    if reading.verify:
        return require_pictures(path.name, reading, read), content
    description = read(reading)
    _tell(path, description)
    return description, content


def _tell(path: Path, description: GeneratorDescription) -> None:
    """Say what was assumed, where the file of a stranger leaves something open; what this tool wrote leaves nothing."""
    if is_artifact(path.parent) or read_packed_config(path):
        return
    assumed = [f"{one.topic} {one.value}" for one in description.conventions if one.basis == "assumed"]
    if assumed:
        name = printable_name(path.name)
        _log_once(f"{name}: assumed {', '.join(assumed)}; compress inspect says why, --verify proves it")


@lru_cache(maxsize=64)
def _log_once(line: str) -> None:
    _log.info("%s", line)


def _for_reader(reading: ReadingConfig) -> ReadingConfig:
    """Return the part of what the user says that the file's reader must know; the rest is applied to what it found."""
    return ReadingConfig(
        padding=reading.padding,
        weights_key=reading.weights_key,
        lambda_layers=reading.lambda_layers,
        layer_as=reading.layer_as,
    )


@lru_cache(maxsize=2)
def _describe_once(path: Path, content: str, reading: ReadingConfig) -> GeneratorDescription:
    """Describe a file in a child process, once as long as it stays the same."""
    return describe_in_child(path, reading)
