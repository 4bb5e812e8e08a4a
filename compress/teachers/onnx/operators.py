"""Operators without a window: norms, activations, arithmetic, resizing, and what moves channels."""

from collections.abc import Callable

import numpy as np

from compress.teachers.composed.group_norm import write_group_norm
from compress.teachers.composed.scaling import write_scaling
from compress.teachers.description import LayerKind
from compress.teachers.onnx.call import Groups, Image, OnnxCall, Value

_EPSILON = 1e-5
"""ONNX's default for norms."""

Rule = Callable[[OnnxCall], Value]


def batch_norm(call: OnnxCall) -> Value:
    """Translate BatchNorm with the file's statistics, or with the image's own in training mode."""
    config = {"epsilon": call.attribute("epsilon", _EPSILON)}
    affine = {"gamma": call.weight(1), "beta": call.weight(2)}
    if call.attribute("training_mode", 0):
        return call.add("InstanceNormalization", config, **affine)
    moving = {"moving_mean": call.weight(3), "moving_variance": call.weight(4)}
    return call.add("BatchNormalization", config, **affine, **moving)


def instance_norm(call: OnnxCall) -> Value:
    """Translate InstanceNorm of an image, or of groups of its channels, by which exporters write GroupNorm."""
    epsilon, value = call.attribute("epsilon", _EPSILON), call.value(0)
    if isinstance(value, Groups) and value.epsilon is None:
        if (call.weight(1) != 1).any() or call.weight(2).any():
            raise call.error("has a gain for each group; expected one for each channel behind it.")
        return Groups(value.image, value.groups, epsilon)
    return call.add("InstanceNormalization", {"epsilon": epsilon}, gamma=call.weight(1), beta=call.weight(2))


def group_norm(call: OnnxCall) -> Value:
    """Translate GroupNorm, whose gain and offset are of each group in version 18 and of each channel from 21 on."""
    image, groups = call.image(), call.attribute("num_groups", 0)
    channels = call.writer.channels(image)
    affine = [call.weight(index).reshape(-1) for index in (1, 2)]
    if call.version < 21 and groups and channels % groups == 0:
        affine = [np.repeat(values, channels // groups) for values in affine if values.size == groups]
    if len(affine) != 2 or any(values.size != channels for values in affine):
        raise call.error(f"has gains of another number than its {channels} channels.")
    epsilon = call.attribute("epsilon", _EPSILON)
    return Image(write_group_norm(call.writer, image, groups, epsilon, *affine, name=call.node.name))


def reshape(call: OnnxCall) -> Value:
    """Translate channels that are taken into groups and back; else the shape must stay."""
    value, target = call.value(0), call.value(1)
    shape = target.reshape(-1).tolist() if isinstance(target, np.ndarray) else None
    if isinstance(value, Groups) and value.epsilon is not None and (shape is None or len(shape) == 4):
        # A computed shape is the one before: the pixels of groups make no other image of as many channels.
        return Image(
            write_group_norm(call.writer, value.image, value.groups, value.epsilon, None, None, name=call.node.name)
        )
    if isinstance(value, Image) and not value.channels_last and shape is not None and len(shape) == 3:
        channels = call.writer.channels(value.layer)
        if shape[0] in (0, 1) and shape[2] == -1 and shape[1] > 0 and channels % shape[1] == 0:
            return Groups(value.layer, shape[1])
    raise call.error("changes the shape of the image; expected a generator of convolutions.")


def transpose(call: OnnxCall) -> Value:
    """Translate a change between channels first and channels last."""
    value, order = call.value(0), call.attribute("perm")
    if isinstance(value, np.ndarray):
        return value.transpose(order)
    if isinstance(value, Image) and order == ([0, 3, 1, 2] if value.channels_last else [0, 2, 3, 1]):
        return Image(value.layer, channels_last=not value.channels_last)
    raise call.error(f"orders axes as {order}; expected a change between channels first and last.")


def activation(name: str) -> Rule:
    """Return the rule for an activation without settings."""
    return lambda call: _elementwise(call, "Activation", {"activation": name})


def elu(call: OnnxCall) -> Value:
    """Translate an ELU."""
    if call.attribute("alpha", 1.0) != 1.0:
        raise call.error(f"has alpha = {call.attribute('alpha')}; expected 1.")
    return _elementwise(call, "Activation", {"activation": "elu"})


def leaky_relu(call: OnnxCall) -> Value:
    """Translate a leaky ReLU."""
    return _elementwise(call, "LeakyReLU", {"negative_slope": call.attribute("alpha", 0.01)})


def prelu(call: OnnxCall) -> Value:
    """Translate a PReLU with one slope for each channel, or for all."""
    channels = call.writer.channels(call.image())
    slope = call.weight(1)
    if slope.size not in (1, channels):
        raise call.error(f"has {slope.size} slopes for {channels} channels.")
    alpha = np.broadcast_to(slope.reshape(-1), (channels,)).reshape(1, 1, channels)
    return call.add("PReLU", {"shared_axes": [1, 2]}, alpha=alpha)


def clip(call: OnnxCall) -> Value:
    """Translate a ReLU or ReLU6 written as bounds."""
    bounds = [call.numbers(1, "min"), call.numbers(2, "max")]
    low, high = (None if bound is None else bound[0] for bound in bounds)
    if low == 0 and high == 6:
        return _elementwise(call, "Activation", {"activation": "relu6"})
    if low == 0 and (high is None or high >= np.finfo(np.float32).max):
        return _elementwise(call, "Activation", {"activation": "relu"})
    raise call.error(f"clips to {low}..{high}; expected 0..6.")


def _elementwise(call: OnnxCall, kind: LayerKind, config: dict) -> Value:
    """Write a layer that takes each pixel for itself, in whatever order the axes are."""
    value = call.value(0)
    if not isinstance(value, Image):
        raise call.error("takes something that is no image.")
    return Image(call.add(kind, config, value.layer).layer, value.channels_last)


def pass_on(call: OnnxCall) -> Value:
    """Translate what does nothing outside training."""
    return call.value(0)


def arithmetic(operation: str) -> Rule:
    """Return the rule for a sum, a product and their inverses, of images or of an image and stored values."""

    def write(call: OnnxCall) -> Value:
        first, second = call.value(0), call.value(1)
        if isinstance(first, Image) and isinstance(second, Image):
            return _merge(call, operation, first, second)
        if isinstance(first, Image) and isinstance(second, np.ndarray):
            return _scale(call, operation, first, second.astype(np.float32), constant_first=False)
        if isinstance(first, np.ndarray) and isinstance(second, Image):
            return _scale(call, operation, second, first.astype(np.float32), constant_first=True)
        raise call.error("computes with something that is no image.")

    return write


def _merge(call: OnnxCall, operation: str, first: Image, second: Image) -> Value:
    kinds: dict[str, LayerKind] = {"add": "Add", "multiply": "Multiply", "subtract": "Add"}
    if operation not in kinds or first.channels_last != second.channels_last:
        raise call.error("divides images, or combines some of another order of axes.")
    other = second.layer
    if operation == "subtract":
        other = write_scaling(call.writer, other, -np.ones(1), np.zeros(1), name=f"{call.node.name}_negated")
    return Image(call.add(kinds[operation], {}, first.layer, other).layer, first.channels_last)


def _scale(call: OnnxCall, operation: str, image: Image, stored: np.ndarray, *, constant_first: bool) -> Value:
    value = _per_channel(call, image, stored)
    one, none = np.ones_like(value), np.zeros_like(value)
    if operation == "divide" and (constant_first or not value.all()):
        raise call.error("divides by an image, or by zero.")
    gain, offset = {
        "add": lambda: (one, value),
        "multiply": lambda: (value, none),
        "subtract": lambda: (-one, value) if constant_first else (one, -value),
        "divide": lambda: (1 / value, none),
    }[operation]()
    return Image(write_scaling(call.writer, image.layer, gain, offset, name=call.node.name), image.channels_last)


def _per_channel(call: OnnxCall, image: Image, stored: np.ndarray) -> np.ndarray:
    channels = call.writer.channels(image.layer)
    axis = -1 if image.channels_last else -3
    along = stored.ndim >= -axis and stored.shape[axis] == stored.size == channels
    if stored.size == 1 or (along and stored.ndim <= 4):
        return stored.reshape(-1)
    raise call.error(f"computes with stored values of shape {stored.shape}; expected one for each channel.")


def concatenate(call: OnnxCall) -> Value:
    """Translate images joined in their channels."""
    images = [value for value in call.inputs if isinstance(value, Image)]
    last = {image.channels_last for image in images}
    if len(images) != len(call.inputs) or len(last) != 1:
        raise call.error("joins something that is no image.")
    if call.attribute("axis") not in ((3, -1) if last == {True} else (1, -3)):
        raise call.error(f"joins along axis {call.attribute('axis')}; expected channels.")
    layers = [image.layer for image in images]
    joined = layers[0] if len(layers) == 1 else call.add("Concatenate", {"axis": -1}, *layers).layer
    return Image(joined, last.pop())


def resize(call: OnnxCall) -> Value:
    """Translate a resizing by a whole factor: of the nearest pixel, or bilinear between the middles of pixels."""
    mode = call.attribute("mode", "nearest")
    factors = _factors(call)
    old = call.node.operator == "Upsample" or call.version < 11
    place = call.attribute("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = call.attribute("nearest_mode", "floor" if old else "round_prefer_floor")
    between = place in ("half_pixel", "pytorch_half_pixel")
    repeats = (place == "asymmetric" and rounding == "floor") or (between and rounding.startswith("round_prefer"))
    if not (mode == "nearest" and repeats) and not (mode == "linear" and between):
        raise call.error(f"resizes {mode} with {place} places ({rounding}); expected nearest or half-pixel linear.")
    interpolation = "nearest" if mode == "nearest" else "bilinear"
    return call.add("UpSampling2D", {"size": factors, "interpolation": interpolation})


def _factors(call: OnnxCall) -> list[int]:
    index = 1 if call.node.operator == "Upsample" or call.version < 11 else 2
    scales = call.numbers(index, "scales")
    if not scales:
        raise call.error("resizes to a size and not by a factor; export it with scale_factor.")
    if len(scales) != 4 or scales[:2] != [1, 1] or any(one != round(one) or one < 1 for one in scales[2:]):
        raise call.error(f"resizes by {str(scales)[:60]}; expected whole factors of height and width.")
    return [int(one) for one in scales[2:]]


def depth_to_space(call: OnnxCall) -> Value:
    """Translate channels that become pixels; in mode CRD, which is PyTorch's, they are put in order before."""
    block, image = call.attribute("blocksize", 0), call.image()
    if call.attribute("mode", "DCR") == "CRD":
        channels = call.writer.channels(image)
        if block < 1 or channels % block**2:
            raise call.error(f"makes blocks of {block} of {channels} channels.")
        source = np.arange(channels).reshape(-1, block**2).T.reshape(-1)
        kernel = np.eye(channels, dtype=np.float32)[:, source].reshape(1, 1, channels, channels)
        config = {"filters": channels, "kernel_size": [1, 1], "use_bias": False}
        image = call.add("Conv2D", config, image, kernel=kernel).layer
    return call.add("DepthToSpace", {"block_size": block}, image)


def space_to_depth(call: OnnxCall) -> Value:
    """Translate pixels that become channels."""
    return call.add("SpaceToDepth", {"block_size": call.attribute("blocksize", 0)})
