"""Errors that PocketGAN raises on purpose, and the exit codes they end a command with.

PocketGANError
├── GateFailed          1  the gate failed; the tool itself worked
├── UsageError          2  a wrong flag or recipe
├── UnusableInput       3
│   ├── UnusableModel      a model file that cannot be a generator
│   ├── UnusableData       an image folder that cannot be used
│   ├── UnusableArtifact   an artifact that is missing, torn or of the wrong kind
│   └── UnusableDevice     a phone that is missing, locked, full or gone
├── UnsupportedLayer    4  a layer that a phone's format cannot express
└── ParityError         5  an export that does not do what its source does

What is not in this tree has codes of its own, which `compress.console` gives:

70  a bug in this tool, with a short report of where it is
74  what could not be read or written: a full disk, no permission, a folder that vanished
128 and the signal's number, where one ended the command: 130 after Ctrl-C

A message says what came, what was expected and what to do.
"""


class PocketGANError(Exception):
    """Base class of errors in the input, not in the program."""

    exit_code = 3


class GateFailed(PocketGANError):
    """Raised where a candidate is worse than its baseline allows."""

    exit_code = 1


class UsageError(PocketGANError):
    """Raised for a flag, a recipe key or an output path that is wrong."""

    exit_code = 2


class UnusableInput(PocketGANError):
    """Base class of errors for an input that cannot be used."""

    exit_code = 3


class UnusableModel(UnusableInput):
    """Raised for a model file that is torn, empty, full of NaN, or no image-to-image generator."""


class UnusableData(UnusableInput):
    """Raised for an image folder that is missing, empty, or has too many broken files."""


class UnusableArtifact(UnusableInput):
    """Raised for an artifact that is missing, torn, or holds another kind of model than the stage needs."""


class UnusableDevice(UnusableInput):
    """Raised for a phone that is not connected, not ready, full, or stopped answering."""


class UnsupportedLayer(PocketGANError):
    """Raised for a layer that the deploy graph cannot express; the message names it and what to use instead."""

    exit_code = 4


class ParityError(PocketGANError):
    """Raised for an exported model whose output is too far from its source's."""

    exit_code = 5
