"""A generator's description becomes a deploy graph, without Keras: the same writers as for Keras's own layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import UnsupportedLayer, UsageError
from compress.teachers.description import INPUT as DESCRIBED_INPUT
from compress.teachers.description import GeneratorDescription, LayerDescription
from compress.teachers.shapes import as_pair, infer_shapes
from export.graph.operations import INPUT, Graph, Shape
from export.graph.passes import GENERAL, apply_passes
from export.graph.writers import WRITERS, Lowering, unsupported

_WINDOW = {
    "strides": (1, 1), "padding": "valid", "dilation_rate": (1, 1), "groups": 1, "activation": "linear", "bias": None,
}  # fmt: skip
_NORM = {"gamma": None, "beta": None, "per_channel": True, "axis": -1}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Conv2D": _WINDOW,
    "Conv2DTranspose": _WINDOW,
    "DepthwiseConv2D": _WINDOW,
    "SeparableConv2D": _WINDOW,
    "BatchNormalization": {**_NORM, "epsilon": 1e-3},
    "InstanceNormalization": {**_NORM, "epsilon": 1e-5},
    "ContribInstanceNormalization": {**_NORM, "epsilon": 1e-3},
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "LeakyReLU": {"negative_slope": 0.3},
    "UpSampling2D": {"interpolation": "nearest"},
    "AveragePooling2D": {"strides": None, "padding": "valid"},
    "MaxPooling2D": {"strides": None, "padding": "valid"},
    "Concatenate": {"axis": -1},
}
"""Settings of Keras's layers that a description may leave out."""
_PAIRS = frozenset({"strides", "dilation_rate", "pool_size"})
_MARGINS = frozenset({"padding", "cropping"})


def lower_description(description: GeneratorDescription, *, input_shape: Shape) -> Graph:
    """Turn a description into a deploy graph for one image size, operation for operation as `lower` does with Keras.

    Args:
        description: The generator.
        input_shape: `(height, width, channels)`, a size that the generator keeps.

    Raises:
        UnsupportedLayer: If a layer cannot be expressed; the message names it and what to use instead.
        UsageError: If the generator takes another image size.
    """
    if any(own not in (None, asked) for own, asked in zip(description.input_shape, input_shape, strict=True)):
        raise UsageError(f"the generator takes images of {description.input_shape}, but {input_shape} was asked for.")
    lowering = Lowering(input_shape)
    names = {DESCRIBED_INPUT: INPUT}
    for spec in in_keras_order(description):
        writer = WRITERS.get(spec.kind)
        layer = _DescribedLayer(spec, description.weights)
        if writer is None:
            raise UnsupportedLayer(unsupported(layer))
        names[spec.name] = writer(lowering, layer, [names[name] for name in spec.inputs])
    operations, output = tuple(lowering.operations), names[description.output]
    return apply_passes(Graph(input=INPUT, output=output, input_shape=input_shape, operations=operations), GENERAL)


def in_keras_order(description: GeneratorDescription) -> list[LayerDescription]:
    """Return the layers that the output needs in the order in which Keras walks a functional model.

    Files hold operations in this order: the farthest from the output first, equally far ones as they are met on the way
    from the output to the input. A description's own order is that of the file it was read from.
    """
    layers = {spec.name: spec for spec in description.layers}
    depths: dict[str, int] = {}
    for name in reversed(_inputs_first(layers, description.output)):
        depth = depths.setdefault(name, 0)
        for source in layers[name].inputs if name in layers else ():
            depths[source] = max(depth + 1, depths.get(source, 0))
    ordered = sorted(depths, key=lambda name: -depths[name])
    return [layers[name] for name in ordered if name in layers]


def _inputs_first(layers: Mapping[str, LayerDescription], output: str) -> list[str]:
    """Return the names of all that an output is computed from, each after its own inputs, depth first."""
    found: dict[str, None] = {}
    waiting = [(output, False)]
    while waiting:
        name, is_ready = waiting.pop()
        if name in found:
            continue
        if is_ready:
            found[name] = None
            continue
        waiting.append((name, True))
        waiting += [(source, False) for source in reversed(layers[name].inputs if name in layers else ())]
    return list(found)


@dataclass(frozen=True)
class _DescribedLayer:
    """A layer of a description with the attributes of the Keras layer of its kind."""

    spec: LayerDescription
    weights: Mapping[str, np.ndarray]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> str:
        return self.spec.kind

    def __getattr__(self, role: str) -> Any:
        found = self.weights.get(f"{self.spec.name}/{role}")
        if found is not None:
            return found
        defaults = _DEFAULTS.get(self.spec.kind, {})
        if role not in self.spec.config and role not in defaults:
            raise AttributeError(f"{self.spec.kind} {self.spec.name} has no {role}")
        value = self.spec.config.get(role, defaults.get(role))
        if role == "strides" and value is None:
            value = self.pool_size
        if role in _PAIRS:
            return as_pair(value)
        if role in _MARGINS and not isinstance(value, str):
            return ((value, value), (value, value)) if isinstance(value, int) else value
        return value

    def compute_output_shape(self, shapes: Any) -> tuple[int, int, int, int]:
        """Return `(1, height, width, channels)` for one input's shape, or a list of several inputs'."""
        inputs: Sequence[Any] = shapes if isinstance(shapes, list) else [shapes]
        shape, _ = infer_shapes(self.spec, [tuple(one[1:]) for one in inputs])
        return (1, *shape)
