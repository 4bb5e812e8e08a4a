"""Operators with a window: convolutions, poolings, padding."""

from typing import Any

import numpy as np

from compress.teachers.description import LayerKind
from compress.teachers.onnx.call import Image, OnnxCall, Value


def convolution(call: OnnxCall) -> Value:
    """Translate a convolution; one of a channel each becomes a depthwise one."""
    weight = _kernel(call)
    filters, members, height, width = weight.shape
    groups = call.attribute("group", 1)
    source, padding = _padded(call, call.image(), (height, width))
    channels = call.writer.channels(source)
    config: dict[str, Any] = {
        "kernel_size": [height, width],
        "strides": call.pair("strides", 1),
        "dilation_rate": call.pair("dilations", 1),
        "padding": padding,
        "use_bias": call.value(2) is not None,
    }
    bias = None if call.value(2) is None else call.weight(2).reshape(-1)
    if groups == channels > 1 and members == 1 and filters % channels == 0:
        kernel = weight.reshape(channels, filters // channels, height, width).transpose(2, 3, 0, 1)
        config["depth_multiplier"] = filters // channels
        return call.add("DepthwiseConv2D", config, source, kernel=kernel, bias=bias)
    kernel = weight.transpose(2, 3, 1, 0)
    return call.add("Conv2D", {"filters": filters, **config, "groups": groups}, source, kernel=kernel, bias=bias)


def transposed_convolution(call: OnnxCall) -> Value:
    """Translate a transposed convolution: all that it makes, then cropped."""
    weight = _kernel(call)
    _, filters, *window = weight.shape
    strides = call.pair("strides", 1)
    if call.attribute("group", 1) != 1 or call.pair("dilations", 1) != [1, 1]:
        raise call.error("is grouped or dilated; expected a plain transposed convolution.")
    if call.attribute("output_shape") or call.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise call.error("is padded to a shape; expected pads.")
    pads, extra = _pads(call), call.pair("output_padding", 0)
    amounts = []
    for axis in (0, 1):
        # Keras leaves a stride of pixels behind each, also where the window is smaller.
        surplus = max(strides[axis] - window[axis], 0)
        amounts.append([pads[axis], pads[axis + 2] - extra[axis] + surplus])
    if min(min(pair) for pair in amounts) < 0:
        raise call.error(f"adds {extra} pixels behind {pads} of padding; expected no more than these.")
    config = {
        "filters": filters,
        "kernel_size": window,
        "strides": strides,
        "padding": "valid",
        "use_bias": call.value(2) is not None,
    }
    bias = None if call.value(2) is None else call.weight(2).reshape(-1)
    made = call.add("Conv2DTranspose", config, kernel=weight.transpose(2, 3, 1, 0), bias=bias)
    if not np.any(amounts):
        return made
    return call.add("Cropping2D", {"cropping": amounts}, made.layer)


def _kernel(call: OnnxCall) -> np.ndarray:
    weight = call.weight(1)
    if weight.ndim != 4:
        raise call.error(f"has filters of shape {weight.shape}; expected those of images.")
    return weight


def _pads(call: OnnxCall) -> list[int]:
    pads = call.attribute("pads", [0, 0, 0, 0])
    if not isinstance(pads, list) or len(pads) != 4 or min(pads) < 0:
        raise call.error(f"has pads = {str(pads)[:40]}; expected four amounts.")
    return pads


def _padded(call: OnnxCall, image: str, window: tuple[int, int]) -> tuple[str, str]:
    """Return the layer that a window runs over, behind one that pads if it must, and the padding left to the window."""
    automatic = call.attribute("auto_pad", "NOTSET")
    if automatic == "SAME_UPPER":
        return image, "same"
    if automatic not in ("NOTSET", "VALID", ""):
        raise call.error(f"has auto_pad = {automatic}; expected pads.")
    top, left, bottom, right = _pads(call) if automatic != "VALID" else [0, 0, 0, 0]
    if not any((top, left, bottom, right)):
        return image, "valid"
    padded = call.add("ZeroPadding2D", {"padding": [[top, bottom], [left, right]]}, image)
    return padded.layer, "valid"


def pooling(kind: LayerKind) -> Any:
    """Return the rule for a pooling; pixels beside the image count as zeros, or none stand there."""

    def write(call: OnnxCall) -> Value:
        window = call.pair("kernel_shape", 1)
        if call.attribute("ceil_mode", 0) or call.attribute("storage_order", 0) or call.pair("dilations", 1) != [1, 1]:
            raise call.error("rounds sizes up or is dilated; expected a plain pooling.")
        padded = any(_pads(call)) and call.attribute("auto_pad", "NOTSET") == "NOTSET"
        if padded and (kind == "MaxPooling2D" or not call.attribute("count_include_pad", 0)):
            raise call.error("pads with pixels that do not count; expected no padding.")
        source, padding = _padded(call, call.image(), (window[0], window[1]))
        return call.add(kind, {"pool_size": window, "strides": call.pair("strides", 1), "padding": padding}, source)

    return write


def global_pooling(call: OnnxCall) -> Value:
    """Translate the mean of each channel."""
    return call.add("GlobalAveragePooling2D", {"keepdims": True})


def mean(call: OnnxCall) -> Value:
    """Translate a mean over height and width."""
    axes = call.numbers(1, "axes")
    if axes is None or sorted(axis % 4 for axis in axes) != [2, 3] or not call.attribute("keepdims", 1):
        raise call.error(f"takes the mean over the axes {axes}; expected height and width, which are kept.")
    return global_pooling(call)


def padding(call: OnnxCall) -> Value:
    """Translate padding by mirroring, by the nearest pixel, or by zeros."""
    kinds: dict[str, LayerKind] = {
        "reflect": "ReflectionPadding2D",
        "edge": "ReplicationPadding2D",
        "constant": "ZeroPadding2D",
    }
    mode = call.attribute("mode", "constant")
    pads = call.numbers(1, "pads")
    axes = [axis % 4 for axis in call.stored(3).reshape(-1).tolist()] if call.value(3) is not None else [0, 1, 2, 3]
    filled = call.stored(2).any() if call.value(2) is not None else bool(call.attribute("value", 0.0))
    if mode not in kinds or (mode == "constant" and filled):
        raise call.error(f"pads in mode {mode}; expected reflect, edge, or constant with zeros.")
    if pads is None or len(pads) != 2 * len(axes):
        raise call.error(f"pads by {str(pads)[:40]}; expected two amounts for each axis.")
    amounts = [[0, 0] for _ in range(4)]
    for number, axis in enumerate(axes):
        amounts[axis] = [int(pads[number]), int(pads[number + len(axes)])]
    if any(amounts[0] + amounts[1]):
        raise call.error(f"pads batch or channels ({pads}); expected height and width.")
    if not any(amounts[2] + amounts[3]):
        return Image(call.image())
    return call.add(kinds[mode], {"padding": [amounts[2], amounts[3]]})
