"""What the layers of a file tell of padding and norms, for formats that hold a whole net."""

from dataclasses import replace

from compress.errors import UsageError
from compress.teachers.description import Convention, GeneratorDescription
from compress.teachers.reading.config import ReadingConfig

_PADDINGS = {"ReflectionPadding2D": "reflect", "ReplicationPadding2D": "replicate", "ZeroPadding2D": "zero"}
_NORMS = {
    "BatchNormalization": "batch",
    "InstanceNormalization": "instance",
    "ContribInstanceNormalization": "instance, of keras_contrib",
}


def tell_layers(description: GeneratorDescription, reading: ReadingConfig) -> GeneratorDescription:
    """Return a description that tells which padding and norms its layers have.

    Raises:
        UsageError: If the user says how borders are padded, but nothing in the file leaves that open.
    """
    padded = {_PADDINGS[layer.kind] for layer in description.layers if layer.kind in _PADDINGS}
    if any(layer.config.get("padding") == "same" for layer in description.layers):
        padded.add("zero")
    norms = {_NORMS[layer.kind] for layer in description.layers if layer.kind in _NORMS}
    asked = any(one.because == "--padding was given" for one in description.conventions)
    if reading.padding and not asked:
        shown = " and ".join(sorted(padded)) or "no padding"
        raise UsageError(f"padding = {reading.padding}, but the file holds its layers: {shown}. Leave it out.")
    told = [
        Convention(topic=topic, value=", ".join(sorted(values)), basis="file", because="its layers are in the file")
        for topic, values in (("padding", padded), ("norm", norms))
        if values and not (topic == "padding" and asked)
    ]
    return replace(description, conventions=(*told, *description.conventions))
