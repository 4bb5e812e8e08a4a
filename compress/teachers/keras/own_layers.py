"""Layers of classes that are not Keras's: what a class is, by its name and weights or by what the user says.

The code of such a class is not in the file. Amounts, epsilons and slopes are those of its configuration.
"""

import re
from collections.abc import Mapping
from typing import Any

from compress.printable import printable_name
from compress.teachers.description import Convention, LayerKind
from compress.teachers.keras.inferred_padding import UNKNOWN_PADDING
from compress.teachers.keras.layer_writer import Handler, LayerWriter, UnknownLayer, spatial_pairs, write_activation
from compress.teachers.keras.norms import write_batch_norm, write_instance_norm
from compress.teachers.reading.layer_as import LAYERS

FLAG = "--layer-as"
_OURS = "pocketgan"
"""Package of the layers that this tool saves, whose code is known."""
_AMOUNTS = ("padding", "paddings", "pad", "pads", "p", "pad_size", "pad_width", "size", "amount")
_SLOPES = ("negative_slope", "alpha", "slope")
_PADDINGS: dict[str, LayerKind] = {
    "reflection_pad": "ReflectionPadding2D",
    "zero_pad": "ZeroPadding2D",
    "replication_pad": "ReplicationPadding2D",
}
_PADDING_OF = {"reflect": "reflection_pad", "zero": "zero_pad", "replicate": "replication_pad"}
"""What `--padding` makes of a class that pads."""


def write_own_layer(layer: LayerWriter, said: Mapping[str, str], padding: str | None) -> str:
    """Write a layer of a user's own class, and tell how it was read.

    Args:
        layer: The layer.
        said: What the user says that classes are, from `parse_layer_as`.
        padding: The user's `--padding`.

    Raises:
        UnknownLayer: If its name and weights leave open what it is, or do not go with it.
        UnusableModel: If its configuration holds nothing that such a layer can have.
    """
    name = layer.call.class_name
    if name in said:
        meaning, basis, because = said[name], "set", f"{FLAG} was given"
    else:
        meaning, basis, because = _guess(layer), "assumed", "its name and its weights are those of one"
        if meaning in _PADDINGS and padding is not None:
            meaning, basis, because = _PADDING_OF[padding], "set", "--padding was given"
    if meaning is None:
        raise UnknownLayer(str(_unknown_error(layer)))
    written = _WRITERS[meaning](layer)
    if layer.call.package != _OURS:
        value = meaning.replace("_", " ") + _told_settings(layer, written)
        layer.graph.tell(Convention(topic=f"layer {name}", value=value, basis=basis, because=because, flag=FLAG))
    return written


def _guess(layer: LayerWriter) -> str | None:
    """Return what a class is by its name, if its weights go with it; None where it is open."""
    plain = re.sub(r"[^a-z]", "", layer.call.class_name.lower())
    vectors = [value for _, value in layer.weights if max(value.shape, default=1) == value.size]
    if len(layer.inputs) != 1 or len(vectors) != len(layer.weights):
        return None
    if re.search(r"inst(ance)?norm", plain) and len(vectors) <= 2:
        return "instance_norm"
    if layer.weights:
        return None
    if "pad" in plain:
        found = [meaning for part, meaning in _PADDING_NAMES.items() if part in plain]
        return found[0] if len(found) == 1 else None
    return "identity" if "dropout" in plain or "gaussiannoise" in plain else None


_PADDING_NAMES = {
    "reflect": "reflection_pad",
    "mirror": "reflection_pad",
    "zero": "zero_pad",
    "replic": "replication_pad",
    "edge": "replication_pad",
}


def _unknown_error(layer: LayerWriter) -> Exception:
    name = printable_name(layer.call.class_name)
    plain = name.lower()
    example = "reflection_pad" if "pad" in plain else "instance_norm" if layer.weights else "identity"
    return layer.error(
        f"is a class whose code is not in the file, and what it does is not known here. Say what it is, such as "
        f"{FLAG} {name}={example}; it can be {', '.join(LAYERS)}."
    )


def _told_settings(layer: LayerWriter, written: str) -> str:
    config = next((one.config for one in layer.graph.layers if one.name == written), {})
    told = {key: config[key] for key in ("epsilon", "negative_slope") if config.get(key) is not None}
    return "".join(f", {key} {value}" for key, value in told.items())


def _pad(kind: LayerKind) -> Handler:
    def write(layer: LayerWriter) -> str:
        amounts = _first(layer.config, _AMOUNTS)
        if amounts is None and kind == "ReflectionPadding2D":
            return layer.add(kind, UNKNOWN_PADDING)
        if amounts is None:
            raise layer.error(f"has no amount of padding; expected one of the settings {', '.join(_AMOUNTS)}.")
        return layer.add(kind, {"padding": spatial_pairs(layer, amounts)})

    return write


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _write_instance_norm(layer: LayerWriter) -> str:
    if len(layer.weights) > 2:
        raise layer.error(f"has {len(layer.weights)} weights; an instance normalisation has at most 2.")
    return write_instance_norm(layer)


def _write_leaky_relu(layer: LayerWriter) -> str:
    slope = _first(layer.config, _SLOPES)
    if slope is None:
        raise layer.error(f"has no slope; expected one of the settings {', '.join(_SLOPES)}.")
    return layer.add("LeakyReLU", {"negative_slope": float(slope)})


def _activation(name: str) -> Handler:
    return lambda layer: write_activation(layer, name)


_WRITERS: dict[str, Handler] = {
    "instance_norm": _write_instance_norm,
    "batch_norm": write_batch_norm,
    **{name: _pad(kind) for name, kind in _PADDINGS.items()},
    "identity": lambda layer: layer.inputs[0],
    "leaky_relu": _write_leaky_relu,
    **{name: _activation(name) for name in ("relu", "silu", "tanh", "sigmoid")},
    "add": lambda layer: layer.add("Add", {}),
    "concatenate": lambda layer: layer.add("Concatenate", {"axis": -1}),
}
