"""Gain and offset for each channel, such as a Keras `Rescaling`: a depthwise 1x1 convolution."""

from dataclasses import dataclass

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, GeneratorDescription, LayerDescription
from compress.teachers.graph_writer import GraphWriter


@dataclass(frozen=True, eq=False)
class Scaling:
    """What `gain * pixel + offset` does to each channel, `(channels,)` each."""

    gain: np.ndarray
    offset: np.ndarray

    def after(self, first: "Scaling") -> "Scaling":
        """Return both in one, this one second."""
        return Scaling(self.gain * first.gain, self.gain * first.offset + self.offset)

    def of(self, bounds: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Return what the lower and the upper bound of all channels become."""
        low, high = bounds
        return self.gain * low + self.offset, self.gain * high + self.offset


def write_scaling(graph: GraphWriter, image: str, gain: np.ndarray, offset: np.ndarray, *, name: str) -> str:
    """Write a gain and an offset, of one value or of one for each channel; return the layer.

    Raises:
        UnusableModel: If they have another number of values than the image has channels.
    """
    channels = graph.channels(image)
    if not {np.size(gain), np.size(offset)} <= {1, channels}:
        given = max(np.size(gain), np.size(offset))
        raise UnusableModel(f"{name} scales {given} channels, but its image has {channels}.")
    flat = np.broadcast_to(np.asarray(gain, np.float32).reshape(-1), (channels,))
    config = {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "depth_multiplier": 1, "use_bias": True}
    weights = {
        "kernel": flat.reshape(1, 1, channels, 1).copy(),
        "bias": np.broadcast_to(np.asarray(offset, np.float32).reshape(-1), (channels,)).copy(),
    }
    return graph.add("DepthwiseConv2D", config, inputs=(image,), name=name, weights=weights)


def scalings_at_start(description: GeneratorDescription) -> list[Scaling]:
    """Return the scalings that an image goes through before any other layer, in order."""
    found: list[Scaling] = []
    name = INPUT
    while True:
        readers = [layer for layer in description.layers if name in layer.inputs]
        scaling = _scaling_of(readers[0], description) if len(readers) == 1 else None
        if scaling is None:
            return found
        found.append(scaling)
        name = readers[0].name


def scalings_at_end(description: GeneratorDescription) -> tuple[list[Scaling], str]:
    """Return the scalings behind all other layers, in order, and the layer that they start from."""
    layers = {layer.name: layer for layer in description.layers}
    found: list[Scaling] = []
    name = description.output
    while name != INPUT and (scaling := _scaling_of(layers[name], description)) is not None:
        found.insert(0, scaling)
        name = layers[name].inputs[0]
    return found, name


def _scaling_of(layer: LayerDescription, description: GeneratorDescription) -> Scaling | None:
    config = layer.config
    sizes = [config.get(name) or [1, 1] for name in ("kernel_size", "strides", "dilation_rate")]
    if layer.kind != "DepthwiseConv2D" or any(list(size) != [1, 1] for size in sizes if not isinstance(size, int)):
        return None
    if config.get("depth_multiplier", 1) != 1 or not config.get("use_bias", True):
        return None
    gain, offset = (description.weights[f"{layer.name}/{role}"].reshape(-1) for role in ("kernel", "bias"))
    return Scaling(gain.astype(np.float64), offset.astype(np.float64))
