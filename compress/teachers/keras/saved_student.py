"""Check of a `.keras` file that Keras is to load in our process: known classes alone, every byte of it whole.

Keras makes an object of every `class_name` in a configuration. Only what stands on the list here gets there: layers
that a student has, initializers, precision policies and tensors; no `Lambda`, no function, no class of others.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compress.errors import UnusableModel
from compress.files.unpacked import DECLARED_BYTES_LIMIT
from compress.printable import printable_name
from compress.teachers.description import LAYERS_LIMIT
from compress.teachers.keras import archive, hdf5

_OWN_LAYERS = (
    "ReflectionPadding2D",
    "ReplicationPadding2D",
    "InstanceNormalization",
    "ContribInstanceNormalization",
    "SpaceToDepth",
    "DepthToSpace",
)
_KERAS_LAYERS = (
    "InputLayer", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization",
    "ZeroPadding2D", "Cropping2D", "Activation", "ReLU", "LeakyReLU", "PReLU", "UpSampling2D", "AveragePooling2D",
    "MaxPooling2D", "GlobalAveragePooling2D", "Add", "Multiply", "Concatenate",
)  # fmt: skip
_FEATURE_LAYERS = (
    "GlobalMaxPooling2D", "Dense", "Flatten", "Dropout", "Rescaling", "Normalization", "LayerNormalization",
    "GroupNormalization", "Softmax", "Reshape", "Identity", "Average", "Subtract", "Maximum", "ELU",
)  # fmt: skip
"""What networks trained to recognise things have besides."""
_INITIALIZERS = (
    "Zeros", "Ones", "Constant", "GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal",
    "LecunUniform", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal", "Identity",
)  # fmt: skip
_MODELS = ("Functional", "Sequential")
_PLAIN = frozenset({(None, "__keras_tensor__"), ("keras", "DTypePolicy"), ("keras.dtype_policies", "DTypePolicy")})


def check_classes(path: Path) -> None:
    """Check that a file holds known classes alone.

    Raises:
        UnusableModel: If it is torn, or holds another class.
    """
    with archive.open_archive(path) as (config, _):
        _require_known_classes(config)


def check_saved_model(path: Path) -> None:
    """Check the file of any network of convolutions: its classes, and that its weights can be read.

    Raises:
        UnusableModel: As `check_classes`.
    """
    with archive.open_archive(path) as (config, opened):
        _require_known_classes(config)
        held = 0
        for dataset in hdf5.datasets(opened):
            held += dataset.size * dataset.dtype.itemsize
            if held <= DECLARED_BYTES_LIMIT:
                dataset[()]


_OWN_FUNCTION = {
    "module": "builtins",
    "class_name": "function",
    "config": "pocketgan>identity_kernel",
    "registered_name": "function",
}
_KNOWN = _PLAIN.union(
    (("compress.models.layers", name) for name in _OWN_LAYERS),
    (("keras.layers", name) for name in (*_KERAS_LAYERS, *_FEATURE_LAYERS)),
    (("keras.initializers", name) for name in _INITIALIZERS),
    (("keras", name) for name in _MODELS),
    ((f"keras.src.models.{name.lower()}", name) for name in _MODELS),
)
"""Modules and names of classes."""


def _require_known_classes(config: Any) -> None:
    layers = 0
    for value in _objects(config):
        if "class_name" not in value or _without_shared_id(value) == _OWN_FUNCTION:
            continue
        module, name = value.get("module"), value["class_name"]
        registered = value.get("registered_name")
        if (module, name) not in _KNOWN or registered not in (None, name, f"pocketgan>{name}"):
            shown = printable_name(f"{module}.{name}" if registered in (None, name) else f"{registered}")
            raise UnusableModel(f"it holds a {shown[:80]}, which no network read here has; nothing of it was loaded.")
        layers += name != "__keras_tensor__"
        if layers > 20 * LAYERS_LIMIT:
            raise UnusableModel("it holds more layers than any network read here; the file is damaged.")


def _without_shared_id(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a configuration without the number that Keras writes where it occurs again."""
    return {name: held for name, held in value.items() if name != "shared_object_id"}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a configuration but those of `compile_config`, which is never loaded."""
    if isinstance(value, dict):
        yield value
        for name, held in value.items():
            if name != "compile_config":
                yield from _objects(held)
    elif isinstance(value, list):
        for held in value:
            yield from _objects(held)
