"""Writer that builds a description layer by layer, for all readers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.check import too_many_layers_error
from compress.teachers.description import (
    INPUT,
    LAYERS_LIMIT,
    Convention,
    GeneratorDescription,
    LayerDescription,
    LayerKind,
)
from compress.teachers.settings import LARGEST


@dataclass
class GraphWriter:
    """Description under construction; each layer is fed by the one before unless told otherwise."""

    layers: list[LayerDescription] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    last: str = INPUT
    input_channels: int = 3
    conventions: list[Convention] = field(default_factory=list)

    def add(
        self,
        kind: LayerKind,
        config: Mapping[str, Any],
        *,
        inputs: tuple[str, ...] = (),
        name: str | None = None,
        weights: Mapping[str, np.ndarray | None] | None = None,
    ) -> str:
        """Append a layer and return its name; weights that are None are left out.

        Raises:
            UnusableModel: If it is one more than any generator has.
        """
        if len(self.layers) >= LAYERS_LIMIT:
            raise too_many_layers_error()
        name = self._unique(name or f"{kind.lower()}_{len(self.layers)}")
        self.layers.append(LayerDescription(name=name, kind=kind, config=config, inputs=inputs or (self.last,)))
        self.weights |= {f"{name}/{role}": value for role, value in (weights or {}).items() if value is not None}
        self.last = name
        return name

    def tell(self, convention: Convention) -> None:
        """Keep how something was read, once for all layers of which it is said."""
        if convention not in self.conventions:
            self.conventions.append(convention)

    def channels(self, name: str) -> int:
        """Return the number of channels of a layer's output, as far as settings that are yet unchecked tell it.

        Raises:
            UnusableModel: If they are no numbers.
        """
        known = {INPUT: self.input_channels}
        for layer in self.layers:
            inputs = [known[source] for source in layer.inputs]
            known[layer.name] = _channels_of(layer, inputs)
            if layer.name == name:
                break
        return known[name]

    def finish(
        self, source_format: str, input_shape: tuple[int | None, int | None, int], output: str | None = None
    ) -> GeneratorDescription:
        """Return the finished description; its output is the last layer unless told otherwise."""
        return GeneratorDescription(
            source_format=source_format,
            input_shape=input_shape,
            layers=tuple(self.layers),
            output=output or self.last,
            weights=self.weights,
            conventions=tuple(self.conventions),
        )

    def _unique(self, name: str) -> str:
        # Keras 3 forbids slashes in layer names, Keras 2 wrote them for nested models; control characters none needs.
        clean = re.sub(r"[/\s]", "_", printable_name(name))
        taken = {layer.name for layer in self.layers} | {INPUT}
        number = 1
        candidate = clean
        while candidate in taken:
            candidate, number = f"{clean}_{number}", number + 1
        return candidate


def _channels_of(layer: LayerDescription, inputs: Sequence[int]) -> int:
    config = layer.config
    square = _count(config.get("block_size", 1), layer) ** 2
    match layer.kind:
        case "Conv2D" | "Conv2DTranspose" | "SeparableConv2D":
            return _count(config.get("filters"), layer)
        case "DepthwiseConv2D":
            return inputs[0] * _count(config.get("depth_multiplier", 1), layer)
        case "Concatenate":
            return sum(inputs)
        case "SpaceToDepth":
            return inputs[0] * square
        case "DepthToSpace":
            return max(1, inputs[0] // square)
        case _:
            return max(inputs)


def _count(value: Any, layer: LayerDescription) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST:
        raise UnusableModel(f"layer {layer.name} ({layer.kind}) has {value!r} channels; expected a number of them.")
    return value
