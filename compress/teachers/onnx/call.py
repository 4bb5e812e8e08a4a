"""One call of an ONNX operator, with the values of its inputs and the writer of its layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.onnx.model import Node


@dataclass(frozen=True)
class Image:
    """Output of a layer, by name."""

    layer: str
    channels_last: bool = False
    """True where the graph has it as (batch, height, width, channels)."""


@dataclass(frozen=True)
class Groups:
    """Image whose channels are in groups, `(batch, groups, pixels of all their channels)`."""

    image: str
    groups: int
    epsilon: float | None = None
    """Epsilon with which each was normalised; None before that."""


Value = Image | Groups | np.ndarray | None


@dataclass(frozen=True)
class OnnxCall:
    """A node, the values of its inputs, and the writer."""

    node: Node
    inputs: tuple[Value, ...]
    writer: GraphWriter
    version: int

    def error(self, reason: str) -> UnusableModel:
        return UnusableModel(f"{printable_name(self.node.name)} ({printable_name(self.node.operator)}) {reason}")

    def value(self, index: int) -> Value:
        return self.inputs[index] if index < len(self.inputs) else None

    def image(self, index: int = 0) -> str:
        """Return the layer of an input that is an image with channels first.

        Raises:
            UnusableModel: If it is none.
        """
        value = self.value(index)
        if not isinstance(value, Image):
            raise self.error("takes something that is no image; it is not known here what becomes of it.")
        if value.channels_last:
            raise self.error("takes an image with channels last; expected channels first.")
        return value.layer

    def stored(self, index: int) -> np.ndarray:
        """Return an input that the file holds.

        Raises:
            UnusableModel: If it is computed of the image.
        """
        value = self.value(index)
        if not isinstance(value, np.ndarray):
            raise self.error("takes a computed value where one of the file is expected.")
        return value

    def weight(self, index: int) -> np.ndarray:
        return self.stored(index).astype(np.float32)

    def numbers(self, index: int, attribute: str) -> list[Any] | None:
        """Return a setting that is an attribute in old versions and an input in new ones; None where it is left out."""
        if self.value(index) is not None:
            return self.stored(index).reshape(-1).tolist()
        given = self.attribute(attribute)
        return list(given) if isinstance(given, list) else None if given is None else [given]

    def attribute(self, name: str, default: Any = None) -> Any:
        return self.node.attributes.get(name, default)

    def pair(self, name: str, default: int) -> list[int]:
        """Return an attribute for height and width.

        Raises:
            UnusableModel: If it is no pair.
        """
        given = self.attribute(name, [default, default])
        if not isinstance(given, list) or len(given) != 2:
            raise self.error(f"has {name} = {str(given)[:40]}; expected a number for height and one for width.")
        return given

    def add(self, kind: LayerKind, config: Mapping[str, Any], *images: str, **weights: np.ndarray | None) -> Image:
        """Write a layer that is fed by the layers given, by the first input's when none is."""
        inputs = images or (self.image(),)
        name = self.node.name.strip("/").replace("/", "_")
        return Image(self.writer.add(kind, config, inputs=inputs, name=name, weights=weights))
