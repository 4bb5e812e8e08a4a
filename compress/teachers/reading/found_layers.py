"""What the layers of a file tell of padding and norms, for formats that hold a whole net."""

from dataclasses import replace

from compress.errors import UsageError
from compress.teachers.description import Basis, Convention, GeneratorDescription, LayerDescription
from compress.teachers.reading.config import ReadingConfig
from compress.teachers.reading.layer_as import parse_layer_as, require_own_classes

_PADDINGS = {"ReflectionPadding2D": "reflect", "ReplicationPadding2D": "replicate", "ZeroPadding2D": "zero"}
_NORMS = {
    "BatchNormalization": "batch",
    "InstanceNormalization": "instance",
    "ContribInstanceNormalization": "instance, of keras_contrib",
}


def tell_layers(
    description: GeneratorDescription,
    reading: ReadingConfig,
    *,
    basis: Basis = "file",
    because: str = "its layers are in the file",
) -> GeneratorDescription:
    """Return a description that tells which padding and norms its layers have.

    Raises:
        UsageError: If the user says how borders are padded, but nothing in the file leaves that open, or names one of
            several nets.
    """
    padded = {_PADDINGS[layer.kind] for layer in description.layers if layer.kind in _PADDINGS}
    if any(layer.config.get("padding") == "same" for layer in description.layers):
        padded.add("zero")
    asked = any(one.because == "--padding was given" for one in description.conventions)
    if reading.padding and not asked:
        shown = " and ".join(sorted(padded)) or "no padding"
        raise UsageError(f"padding = {reading.padding}, but the file holds its layers: {shown}. Leave it out.")
    if reading.weights_key:
        raise UsageError(f"weights_key = {reading.weights_key}, but the file holds one net. Leave it out.")
    told = [
        Convention(topic=topic, value=", ".join(sorted(values)), basis=basis, because=because)
        for topic, values in (("padding", padded), ("norm", _norms(description)))
        if values and not (topic == "padding" and asked)
    ]
    return replace(description, conventions=(*told, *description.conventions))


def _norms(description: GeneratorDescription) -> set[str]:
    layers = {layer.name: layer for layer in description.layers}
    return {
        "group" if _is_of_groups(layer, layers) else _NORMS[layer.kind]
        for layer in description.layers
        if layer.kind in _NORMS
    }


def _is_of_groups(layer: LayerDescription, layers: dict[str, LayerDescription]) -> bool:
    """Check whether a norm is of channels that were laid beside each other for it, as `write_group_norm` does."""
    before = layers.get(layer.inputs[0])
    return layer.kind == "InstanceNormalization" and before is not None and before.kind == "DepthToSpace"


def refuse_layer_as(reading: ReadingConfig) -> None:
    """Refuse what a user says of classes, for formats that hold none.

    Raises:
        UsageError: With the first class.
    """
    require_own_classes(parse_layer_as(reading.layer_as), ())
