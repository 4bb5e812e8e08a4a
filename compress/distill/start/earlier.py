"""An earlier student of the same shape, from whose weights another one starts.

Its file is read as a stranger's is: in a child process, without running anything in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compress import starters, teachers
from compress.artifact import file_fingerprint, is_artifact, open_artifact
from compress.errors import UsageError

if TYPE_CHECKING:
    import keras

    from compress.teachers.description import GeneratorDescription


@dataclass(frozen=True)
class EarlierStudent:
    """An earlier student as plain data."""

    origin: str
    """Where it comes from, as `--init` names it."""
    fingerprint: str
    """Hash of its artifact's manifest, or of its file."""
    description: GeneratorDescription


def read_earlier(init: str) -> EarlierStudent:
    """Read an earlier student, without a framework.

    Args:
        init: An artifact with a `model.keras`, a `.keras` file, or `starter:NAME`.

    Raises:
        UsageError: If there is no such starter.
        UnusableModel: If there is no such file, or it cannot be read.
    """
    path = starters.find_starter(init) if init.startswith(starters.PREFIX) else Path(init)
    description = teachers.describe(path)
    fingerprint = open_artifact(path).fingerprint if is_artifact(path) else file_fingerprint(path)
    return EarlierStudent(init, fingerprint, description)


def copy_weights(earlier: EarlierStudent, student: keras.Model) -> None:
    """Give a student the weights of an earlier one, layer by layer; the size of the image may differ.

    Raises:
        UsageError: If a layer differs, naming the first.
    """
    from compress.teachers.build import build_generator

    pairs = _weighted_layers(build_generator(earlier.description)), _weighted_layers(student)
    kinds = [[_describe_layer(layer) for layer in layers] for layers in pairs]
    for number, wanted in enumerate(kinds[1]):
        found = kinds[0][number] if number < len(kinds[0]) else "missing"
        if found != wanted:
            raise _differs(earlier, number, len(kinds[1]), found, wanted, pairs[1][number].name)
    if len(kinds[0]) > len(kinds[1]):
        raise _differs(earlier, len(kinds[1]), len(kinds[1]), kinds[0][len(kinds[1])], "missing", "no layer")
    for source, layer in zip(*pairs, strict=True):
        layer.set_weights(source.get_weights())


def _weighted_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]


def _describe_layer(layer: keras.layers.Layer) -> str:
    """Describe a layer by its kind and the shapes of its weights: `Conv2D, kernel 3x3x48x48`."""
    shapes = [f"{weight.name} {'x'.join(map(str, weight.shape))}" for weight in layer.weights]
    return ", ".join([type(layer).__name__, *shapes])


def _differs(earlier: EarlierStudent, number: int, count: int, found: str, wanted: str, name: str) -> UsageError:
    return UsageError(
        f"init = {earlier.origin}: layer {number + 1} of {count} ({name}) is {found} there, expected {wanted}. Pass "
        "the shape that it was distilled with (family, width, blocks, kernel_size and so on), or another student."
    )
