"""The command line that repeats a benchmark."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any


def command_line(command: Sequence[str], *configs: Any) -> str:
    """Return the command that a user types for configurations: each field that is not left at its default as a flag."""
    words = list(command)
    for config in configs:
        for field in fields(config):
            value = getattr(config, field.name)
            if value != field.default:
                for each in value if isinstance(value, tuple) else (value,):
                    words += [f"--{field.name.replace('_', '-')}", str(each)]
    return shlex.join(words)
