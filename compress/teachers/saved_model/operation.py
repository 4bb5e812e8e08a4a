"""Translation of one operation of a TensorFlow graph into a description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.composed.group_norm import write_group_norm
from compress.teachers.composed.scaling import write_scaling
from compress.teachers.description import INPUT, LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.saved_model.values import Combined, Dimension, Image, Powers, Unknown, Value
from compress.teachers.shapes import Shape, infer_shapes

IMAGE: Powers = (1, 0, 0)
MEAN: Powers = (0, 1, 0)
ONE: Powers = (0, 0, 0)
_NORMALISED: Powers = (1, 0, 1)
_MOVED: Powers = (0, 1, 1)
_NORM_TERMS = frozenset({_NORMALISED, _MOVED, IMAGE, ONE})
_CONVOLUTIONS = frozenset({"Conv2D", "Conv2DTranspose", "DepthwiseConv2D"})
_TRIAL_SIDES = (256, 320)
"""Height and width for which sizes are compared where the input's are free; no net makes one of the other."""


@dataclass
class LayerSizes:
    """Sizes of the layers that are written already, for the input's own size or one to compare with."""

    writer: GraphWriter
    input_shape: tuple[int | None, int | None, int]
    _known: dict[str, Shape] = field(default_factory=dict)

    def forget(self) -> None:
        """Measure all layers anew, since one has changed."""
        self._known.clear()

    def side(self, image: str, axis: int) -> int | None:
        """Return an image's size in an axis, 1 to 3; None where its layers do not fit each other."""
        height, width = (side or trial for side, trial in zip(self.input_shape, _TRIAL_SIDES, strict=False))
        self._known.setdefault(INPUT, (height, width, self.input_shape[2]))
        try:
            for layer in self.writer.layers[len(self._known) - 1 :]:
                self._known[layer.name] = infer_shapes(layer, [self._known[name] for name in layer.inputs])[0]
        except UnusableModel:
            return None
        return self._known[image][axis - 1] if image in self._known and 1 <= axis <= 3 else None

    def measure(self, entry: Dimension | int, axis: int) -> int | None:
        """Return an entry of a shape in numbers; None of a number where the input's size is free."""
        if isinstance(entry, Dimension):
            side = self.side(entry.image, entry.axis)
            return None if side is None else side * entry.factor
        return entry if axis == 3 or self.input_shape[axis - 1] is not None else None


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
    sizes: LayerSizes
    shared: set[str]
    """Layers whose output several nodes read."""

    def image(self, index: int = 0) -> str:
        """Return the layer whose output an input is; what it is computed by becomes layers."""
        value = self.inputs[index]
        if isinstance(value, Combined):
            return self.write(value)
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

    def add_bias(self, image: str, bias: np.ndarray) -> Value:
        """Add a bias to the convolution before, where nothing else reads it; else write a layer of it."""
        alone = Combined(image, {IMAGE: np.ones(1)})
        if self.move_convolution(alone, _flat(bias)):
            return Image(image)
        return replace(alone, terms={**alone.terms, ONE: _flat(bias)})

    def add_upsampling(self, image: str, factors: Sequence[int], interpolation: str) -> Image:
        """Write a resizing, together with the one in the other axis that nothing else reads."""
        position = self._position(image)
        before = self.writer.layers[position] if position is not None else None
        nearest = interpolation == "nearest" and before is not None and before.config.get("interpolation") == "nearest"
        if position is not None and before is not None and nearest and image not in self.shared:
            sides = [one * other for one, other in zip(before.config["size"], factors, strict=True)]
            self.writer.layers[position] = replace(before, config={**before.config, "size": sides})
            self.sizes.forget()
            return Image(image)
        return self._write("UpSampling2D", {"size": list(factors), "interpolation": interpolation}, (image,))

    def scale_convolution(self, value: Combined, factor: np.ndarray) -> bool:
        """Multiply the filters of the convolution that a value is the output of; return whether that can be done."""
        position = self._own_convolution(value)
        if position is None:
            return False
        layer = self.writer.layers[position]
        gain = np.broadcast_to(factor, (self.writer.channels(layer.name),)).astype(np.float32)
        kernel = self.writer.weights[f"{layer.name}/kernel"]
        filters = {"Conv2D": (1, 1, 1, -1), "Conv2DTranspose": (1, 1, -1, 1)}.get(layer.kind, (1, 1, *kernel.shape[2:]))
        self.writer.weights[f"{layer.name}/kernel"] = kernel * gain.reshape(filters)
        if f"{layer.name}/bias" in self.writer.weights:
            self.writer.weights[f"{layer.name}/bias"] = self.writer.weights[f"{layer.name}/bias"] * gain
        return True

    def move_convolution(self, value: Combined, offset: np.ndarray) -> bool:
        """Add to the bias of the convolution that a value is the output of; return whether that can be done."""
        position = self._own_convolution(value)
        if position is None:
            return False
        layer = self.writer.layers[position]
        self.writer.layers[position] = replace(layer, config={**layer.config, "use_bias": True})
        moved = np.broadcast_to(offset, (self.writer.channels(layer.name),)).astype(np.float32)
        held = self.writer.weights.get(f"{layer.name}/bias")
        self.writer.weights[f"{layer.name}/bias"] = moved if held is None else held + moved
        return True

    def _own_convolution(self, value: Combined) -> int | None:
        """Return the number of the convolution that a value is the output of, if nothing else reads that."""
        position = self._position(value.image)
        alone = value.terms.keys() == {IMAGE} and (value.terms[IMAGE] == 1).all() and value.parted is None
        if position is None or not alone or value.image in self.shared:
            return None
        return position if self.writer.layers[position].kind in _CONVOLUTIONS else None

    def _position(self, name: str) -> int | None:
        return next((number for number, known in enumerate(self.writer.layers) if known.name == name), None)

    def write(self, value: Value) -> str:
        """Write the layers that compute a value; return the last.

        Raises:
            UnusableModel: If it is no image, or computed in a way that no layer does.
        """
        if isinstance(value, Image):
            return value.layer
        if not isinstance(value, Combined):
            raise unknown_value_error(value)
        if value.written is None:
            value.written = self._written(value)
        return value.written

    def _written(self, value: Combined) -> str:
        terms = value.terms
        offset = terms.get(ONE)
        if value.parted is not None:
            raise unknown_value_error(Unknown(f"{self.node.op} of channels in groups"))
        if terms.keys() <= {IMAGE, ONE} and IMAGE in terms:
            return self._scaled(value.image, terms[IMAGE], offset)
        if terms.keys() <= {MEAN, ONE} and value.statistics is not None and value.statistics.groups is None:
            pooled = self.write_layer("GlobalAveragePooling2D", {"keepdims": True}, (value.image,))
            return self._scaled(pooled, terms[MEAN], offset)
        if terms.keys() <= _NORM_TERMS and {_NORMALISED, _MOVED} <= terms.keys():
            return self._normalised(value)
        products = {(2, 0, 0): value.image, (1, 1, 0): None}
        if len(terms) == 1 and (powers := next(iter(terms))) in products and (terms[powers] == 1).all():
            other = products[powers] or self.write_layer("GlobalAveragePooling2D", {"keepdims": True}, (value.image,))
            return self.write_layer("Multiply", {}, (value.image, other))
        raise unknown_value_error(Unknown(f"{self.node.op} of {len(terms)} products"))

    def _scaled(self, image: str, gain: np.ndarray, offset: np.ndarray | None) -> str:
        if offset is None and (gain == 1).all():
            return image
        moved = np.zeros(1) if offset is None else offset
        return write_scaling(self.writer, image, gain, moved, name=_short(self.node.name))

    def _normalised(self, value: Combined) -> str:
        terms, statistics = value.terms, value.statistics
        gain, mean = np.broadcast_arrays(terms[_NORMALISED], terms[_MOVED])
        if statistics is None or not np.allclose(gain, -mean, rtol=1e-5, atol=0):
            raise unknown_value_error(Unknown(f"{self.node.op} of a mean that is not the image's own"))
        channels = self.writer.channels(value.image)
        gamma = None if (gain == 1).all() else np.broadcast_to(_flat(gain), (channels,))
        beta = np.broadcast_to(_flat(terms[ONE]), (channels,)) if ONE in terms else None
        name = _short(self.node.name)
        if not statistics.outside:
            groups = channels if statistics.groups is None else statistics.groups
            normalised = write_group_norm(self.writer, value.image, groups, statistics.epsilon, gamma, beta, name=name)
        elif statistics.groups in (None, channels) and not statistics.epsilon:
            config = {"epsilon": statistics.outside, "per_channel": True}
            used = {"scale": gamma is not None, "center": beta is not None}
            affine = {"gamma": gamma, "beta": beta}
            normalised = self.writer.add(
                "ContribInstanceNormalization", config | used, inputs=(value.image,), name=name, weights=affine
            )
        else:
            raise unknown_value_error(Unknown("a normalisation with an epsilon beside the deviation of a group"))
        if IMAGE not in terms:
            return normalised
        return self.write_layer("Add", {}, (self._scaled(value.image, terms[IMAGE], None), normalised))

    def write_convolution(self, kind: LayerKind, config: Mapping[str, Any], image: str, kernel: np.ndarray) -> Image:
        """Write a convolution without a bias; return its output."""
        return self._write(kind, config, (image,), kernel=kernel)

    def write_layer(self, kind: LayerKind, config: Mapping[str, Any], inputs: tuple[str, ...]) -> str:
        """Write a layer without weights; return it."""
        return self._write(kind, config, inputs).layer

    def _write(
        self, kind: LayerKind, config: Mapping[str, Any], inputs: tuple[str, ...], **weights: np.ndarray
    ) -> Image:
        return Image(self.writer.add(kind, config, inputs=inputs, name=_short(self.node.name), weights=weights))


def _short(name: str) -> str:
    """Return the layer's name of a node: `generator/conv2d_3` for `generator/conv2d_3/Conv2D`."""
    return name.rpartition("/")[0] or name


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1).astype(np.float32)
