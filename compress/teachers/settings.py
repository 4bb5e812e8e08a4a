"""Settings that each kind of layer may have, and what each may be: a file's odd one is named before a layer is made."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from compress.errors import UnusableModel
from compress.teachers.description import LayerDescription, LayerKind

LARGEST = 1 << 16
"""Largest number of filters, pixels of a kernel, a stride or a margin, and channels of a block."""
Check = Callable[[Any], bool]

ACTIVATIONS = frozenset({"linear", "relu", "relu6", "tanh", "sigmoid", "elu", "selu", "silu"})
_MERGES = frozenset({"Add", "Multiply", "Concatenate"})


def check_settings(layer: LayerDescription) -> None:
    """Check a layer's configuration and the number of its inputs.

    Raises:
        UnusableModel: If a setting is unknown, of another type, out of range, or does not go with another.
    """
    known = _SETTINGS.get(layer.kind)
    if known is None:
        raise _refusal(layer, "is a kind that is not known here")
    for name, value in layer.config.items():
        if name not in known:
            raise _refusal(layer, f"has a setting {name}, which is not known here")
        if not known[name](value):
            raise _refusal(layer, f"has {name} = {_shown(value)}, which no such layer can have")
    if missing := [name for name in _REQUIRED.get(layer.kind, ()) if name not in layer.config]:
        raise _refusal(layer, f"has no {missing[0]}")
    _check_strides(layer)
    least, most = (2, LARGEST) if layer.kind in _MERGES else (1, 1)
    if not least <= len(layer.inputs) <= most:
        raise _refusal(layer, f"has {len(layer.inputs)} inputs; expected {least}{' or more' if most > 1 else ''}")


def _check_strides(layer: LayerDescription) -> None:
    strides, dilation = (_as_list(layer.config.get(name) or 1) for name in ("strides", "dilation_rate"))
    if max(strides) > 1 and max(dilation) > 1:
        raise _refusal(layer, f"has strides {strides} and a dilation of {dilation}; one of them must be 1")
    if layer.kind in ("DepthwiseConv2D", "SeparableConv2D") and strides[0] != strides[1]:
        raise _refusal(layer, f"has strides {strides}; such a layer has the same in height and width")
    extra = layer.config.get("output_padding")
    if extra is not None and any(one >= step for one, step in zip(_as_list(extra), strides, strict=True)):
        raise _refusal(layer, f"has output_padding {_as_list(extra)}, not below its strides {strides}")


def _refusal(layer: LayerDescription, reason: str) -> UnusableModel:
    return UnusableModel(f"layer {layer.name} ({layer.kind}) {reason}; the file is damaged or of an unknown layout.")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _as_list(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST


def _is_margin(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_pair_of(check: Check) -> Check:
    return lambda value: isinstance(value, list | tuple) and len(value) == 2 and all(map(check, value))


def _or_one(check: Check) -> Check:
    pair = _is_pair_of(check)
    return lambda value: check(value) or pair(value)


def _is_none_or(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_one_of(*values: Any) -> Check:
    return lambda value: any(value == one and type(value) is type(one) for one in values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _are_axes(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(axis) is int and 1 <= axis <= 3 for axis in value)


_SIZES = _or_one(_is_count)
_MARGINS = _is_pair_of(_is_pair_of(_is_margin))
_FLAG = _is_one_of(True, False)
_PADDING = _is_one_of("valid", "same")
_WINDOW: Mapping[str, Check] = {
    "kernel_size": _SIZES, "strides": _SIZES, "padding": _PADDING, "dilation_rate": _SIZES, "use_bias": _FLAG,
}  # fmt: skip
_POOLING: Mapping[str, Check] = {"pool_size": _SIZES, "strides": _is_none_or(_SIZES), "padding": _PADDING}
_NORM: Mapping[str, Check] = {"epsilon": _is_positive, "center": _FLAG, "scale": _FLAG}
_MARGINS_OR_ONE: Check = lambda value: _is_margin(value) or _MARGINS(value)  # noqa: E731
_SETTINGS: Mapping[LayerKind, Mapping[str, Check]] = {
    "Conv2D": {"filters": _is_count, **_WINDOW, "groups": _is_count},
    "Conv2DTranspose": {"filters": _is_count, **_WINDOW, "output_padding": _is_none_or(_or_one(_is_margin))},
    "DepthwiseConv2D": {**_WINDOW, "depth_multiplier": _is_count},
    "SeparableConv2D": {"filters": _is_count, **_WINDOW, "depth_multiplier": _is_count},
    "BatchNormalization": _NORM,
    "InstanceNormalization": _NORM,
    "ContribInstanceNormalization": {**_NORM, "per_channel": _FLAG},
    "ReflectionPadding2D": {"padding": _MARGINS},
    "ReplicationPadding2D": {"padding": _MARGINS},
    "ZeroPadding2D": {"padding": _MARGINS_OR_ONE},
    "Cropping2D": {"cropping": _MARGINS_OR_ONE},
    "Activation": {"activation": _is_one_of(*sorted(ACTIVATIONS))},
    "ReLU": {"max_value": _is_none_or(_is_positive), "negative_slope": _is_positive, "threshold": _is_positive},
    "LeakyReLU": {"negative_slope": _is_positive},
    "PReLU": {"shared_axes": _is_none_or(_are_axes)},
    "UpSampling2D": {"size": _SIZES, "interpolation": _is_one_of("nearest", "bilinear")},
    "AveragePooling2D": _POOLING,
    "MaxPooling2D": _POOLING,
    "GlobalAveragePooling2D": {"keepdims": _is_one_of(True)},
    "Add": {},
    "Multiply": {},
    "Concatenate": {"axis": _is_one_of(-1)},
    "SpaceToDepth": {"block_size": _is_count},
    "DepthToSpace": {"block_size": _is_count},
}
_REQUIRED: Mapping[LayerKind, tuple[str, ...]] = {
    "Conv2D": ("filters", "kernel_size"),
    "Conv2DTranspose": ("filters", "kernel_size"),
    "DepthwiseConv2D": ("kernel_size",),
    "SeparableConv2D": ("filters", "kernel_size"),
    "ReflectionPadding2D": ("padding",),
    "ReplicationPadding2D": ("padding",),
    "ZeroPadding2D": ("padding",),
    "Cropping2D": ("cropping",),
    "Activation": ("activation",),
    "AveragePooling2D": ("pool_size",),
    "MaxPooling2D": ("pool_size",),
    "UpSampling2D": ("size",),
    "GlobalAveragePooling2D": ("keepdims",),
    "SpaceToDepth": ("block_size",),
    "DepthToSpace": ("block_size",),
}
