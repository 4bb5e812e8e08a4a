"""Translation of one operation of a TensorFlow graph into a description."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.saved_model.values import Image, Inverse, Moment, Scaled, Unknown, Value


def unknown_value_error(value: Value) -> UnusableModel:
    """Return the error for an image that is computed by an unknown operation."""
    operation = value.operation if isinstance(value, Unknown) else "something that is no image"
    return UnusableModel(
        f"the SavedModel's graph computes its image with {operation}, which is not known here; "
        "save the generator as .h5 or .keras instead."
    )


@dataclass
class SavedOperation:
    """Node of the graph, with the values of its inputs and the writer of its layer."""

    node: Any
    inputs: list[Value]
    writer: GraphWriter
    shared: bool
    """True where another node reads one of the inputs, too."""

    def image(self, index: int = 0) -> str:
        """Return the layer whose output an input is; a mean or a product that stayed alone becomes a layer."""
        value = self.inputs[index]
        if isinstance(value, Moment) and value.kind == "mean":
            return self.writer.add("GlobalAveragePooling2D", {"keepdims": True}, inputs=(value.image,))
        if isinstance(value, Scaled):
            return self.add_affine(value.image, value.gain, np.zeros(value.gain.size, np.float32)).layer
        if not isinstance(value, Image):
            raise unknown_value_error(value)
        return value.layer

    def array(self, index: int) -> np.ndarray:
        value = self.inputs[index]
        if not isinstance(value, np.ndarray):
            raise UnusableModel(f"{self.node.name} ({self.node.op}) takes a computed value; expected a stored one.")
        return value

    def weight(self, index: int) -> np.ndarray:
        return self.array(index).astype(np.float32)

    def attribute(self, name: str) -> Any:
        """Return an attribute of the node; SavedModels leave out those that equal the operation's default."""
        from tensorflow.python.framework import op_def_registry

        if name in self.node.attr:
            return self.node.attr[name]
        defaults = {setting.name: setting.default_value for setting in op_def_registry.get(self.node.op).attr}
        return defaults[name]

    def text(self, name: str) -> str:
        return self.attribute(name).s.decode()

    def sides(self, name: str) -> list[int]:
        """Return height and width of an attribute with four entries."""
        listed = self.attribute(name).list.i
        if self.text("data_format") != "NHWC":
            raise UnusableModel(f"{self.node.name} ({self.node.op}) is {self.text('data_format')}; expected NHWC.")
        return [int(listed[1]), int(listed[2])]

    def add(self, kind: LayerKind, config: Mapping[str, Any], *images: int, **weights: np.ndarray) -> Image:
        """Write a layer fed by the inputs at these indices, by the first when none is given."""
        inputs = tuple(self.image(index) for index in images or (0,))
        return self._write(kind, config, inputs, **weights)

    def add_affine(self, image: str, gain: np.ndarray, offset: np.ndarray) -> Image:
        """Write a gain and an offset per channel, as a BatchNorm whose statistics change nothing."""
        channels = gain.size
        weights = {"gamma": _flat(gain), "beta": np.broadcast_to(_flat(offset), (channels,))}
        statistics = {"moving_mean": np.zeros(channels, np.float32), "moving_variance": np.ones(channels, np.float32)}
        return self._write("BatchNormalization", {"epsilon": 0.0}, (image,), **weights, **statistics)

    def add_instance_norm(self, inverse: Inverse, beta: np.ndarray | None) -> Image:
        config = {"epsilon": inverse.epsilon, "scale": inverse.gain is not None, "center": beta is not None}
        affine = {"gamma": inverse.gain, "beta": beta}
        present = {role: _flat(value) for role, value in affine.items() if value is not None}
        return self._write("InstanceNormalization", config, (inverse.image,), **present)

    def add_bias(self, layer: str, bias: np.ndarray) -> Image:
        """Add a bias to the convolution before, where it has none and nothing else reads it; else write a layer."""
        position = next((number for number, known in enumerate(self.writer.layers) if known.name == layer), None)
        if self.shared or position is None or self.writer.layers[position].config.get("use_bias") is not False:
            return self.add_affine(layer, np.ones(bias.size, np.float32), bias)
        known = self.writer.layers[position]
        self.writer.layers[position] = replace(known, config={**known.config, "use_bias": True})
        self.writer.weights[f"{layer}/bias"] = _flat(bias)
        return Image(layer)

    def _write(
        self, kind: LayerKind, config: Mapping[str, Any], inputs: tuple[str, ...], **weights: np.ndarray
    ) -> Image:
        return Image(self.writer.add(kind, config, inputs=inputs, name=_short(self.node.name), weights=weights))


def _short(name: str) -> str:
    """Return the layer's name of a node: `generator/conv2d_3` for `generator/conv2d_3/Conv2D`."""
    return name.rpartition("/")[0] or name


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1).astype(np.float32)
