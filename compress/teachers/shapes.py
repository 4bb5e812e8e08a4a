"""Shape rules: the output shape of each kind of layer, and the shapes that its weights must have.

They are checked before a framework builds the layer, which a damaged configuration could make allocate any amount of
memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compress.errors import UnusableModel
from compress.teachers.description import LayerDescription

Shape = tuple[int, int, int]
"""Height, width, channels."""
WeightShapes = dict[str, tuple[int, ...]]
ShapeRule = Callable[[Mapping[str, Any], Sequence[Shape]], tuple[Shape, WeightShapes]]


def infer_shapes(layer: LayerDescription, inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    """Return the shape of a layer's output and of each of its weights.

    Raises:
        UnusableModel: If the layer does not fit its inputs.
    """
    try:
        output, weights = _RULES.get(layer.kind, _keep)(layer.config, inputs)
    except ValueError as error:
        raise UnusableModel(f"layer {layer.name} ({layer.kind}) {error}") from error
    if min(output) < 1:
        raise UnusableModel(
            f"layer {layer.name} ({layer.kind}) leaves nothing of {inputs[0][0]}x{inputs[0][1]} pixels."
        )
    return output, weights


def as_pair(value: Any) -> tuple[int, int]:
    """Return height and width of one number for both, or of a pair."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _keep(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    return inputs[0], {}


def _windowed(
    config: Mapping[str, Any], shape: Shape, window: tuple[int, int], default_stride: Any = 1
) -> tuple[int, int]:
    strides, dilation = as_pair(config.get("strides") or default_stride), as_pair(config.get("dilation_rate", 1))
    sides = []
    for side, size, stride, rate in zip(shape[:2], window, strides, dilation, strict=True):
        reach = (size - 1) * rate + 1
        sides.append(-(-side // stride) if config.get("padding", "valid") == "same" else (side - reach) // stride + 1)
    return sides[0], sides[1]


def _convolution(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    window, filters, groups = as_pair(config["kernel_size"]), config["filters"], config.get("groups", 1)
    channels = inputs[0][2]
    if channels % groups or filters % groups:
        raise ValueError(f"has {groups} groups, which do not divide its {channels} channels.")
    weights: WeightShapes = {"kernel": (*window, channels // groups, filters)} | _bias(config, filters)
    return (*_windowed(config, inputs[0], window), filters), weights


def _transposed(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    window, strides, filters = as_pair(config["kernel_size"]), as_pair(config.get("strides", 1)), config["filters"]
    extra = config.get("output_padding")
    sides = []
    for axis, side in enumerate(inputs[0][:2]):
        size, stride, same = window[axis], strides[axis], config.get("padding", "valid") == "same"
        if extra is None:
            sides.append(side * stride + (0 if same else max(size - stride, 0)))
        else:
            sides.append((side - 1) * stride + size + as_pair(extra)[axis] - (2 * (size // 2) if same else 0))
    weights: WeightShapes = {"kernel": (*window, filters, inputs[0][2])} | _bias(config, filters)
    return (sides[0], sides[1], filters), weights


def _depthwise(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    window, multiplier, channels = as_pair(config["kernel_size"]), config.get("depth_multiplier", 1), inputs[0][2]
    weights: WeightShapes = {"kernel": (*window, channels, multiplier)} | _bias(config, channels * multiplier)
    return (*_windowed(config, inputs[0], window), channels * multiplier), weights


def _separable(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    window, multiplier, channels = as_pair(config["kernel_size"]), config.get("depth_multiplier", 1), inputs[0][2]
    filters = config["filters"]
    weights: WeightShapes = {
        "depthwise_kernel": (*window, channels, multiplier),
        "pointwise_kernel": (1, 1, channels * multiplier, filters),
    }
    return (*_windowed(config, inputs[0], window), filters), weights | _bias(config, filters)


def _bias(config: Mapping[str, Any], filters: int) -> WeightShapes:
    return {"bias": (filters,)} if config.get("use_bias", True) else {}


def _normalisation(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    affine = (inputs[0][2] if config.get("per_channel", True) else 1,)
    flags = {"gamma": config.get("scale", True), "beta": config.get("center", True)}
    return inputs[0], {role: affine for role, present in flags.items() if present}


def _batch_norm(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    shape, affine = _normalisation(config, inputs)
    return shape, affine | dict.fromkeys(("moving_mean", "moving_variance"), (shape[2],))


def _grown(key: str, sign: int) -> ShapeRule:
    def rule(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
        height, width, channels = inputs[0]
        amounts = config[key]
        (top, bottom), (left, right) = [(amounts, amounts)] * 2 if isinstance(amounts, int) else amounts
        return (height + sign * (top + bottom), width + sign * (left + right), channels), {}

    return rule


def _reflection(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    for side, amounts in zip(inputs[0][:2], config["padding"], strict=True):
        if max(amounts) >= side:
            raise ValueError(f"mirrors {max(amounts)} pixels of {side}; it can mirror at most {side - 1}.")
    return _grown("padding", 1)(config, inputs)


def _pooling(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    window = as_pair(config["pool_size"])
    return (*_windowed(config, inputs[0], window, default_stride=window), inputs[0][2]), {}


def _global_pooling(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    return (1, 1, inputs[0][2]), {}


def _upsampling(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    height, width, channels = inputs[0]
    vertical, horizontal = as_pair(config["size"])
    return (height * vertical, width * horizontal, channels), {}


def _merge(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    merged = []
    for sides in zip(*inputs, strict=True):
        wide = {side for side in sides if side != 1} or {1}
        if len(wide) > 1:
            raise ValueError(f"cannot combine {' and '.join('x'.join(map(str, shape)) for shape in inputs)}.")
        merged.append(wide.pop())
    return (merged[0], merged[1], merged[2]), {}


def _concatenation(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    if len({shape[:2] for shape in inputs}) > 1:
        raise ValueError(f"cannot join {' and '.join('x'.join(map(str, shape)) for shape in inputs)}.")
    return (*inputs[0][:2], sum(shape[2] for shape in inputs)), {}


def _shuffle(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    (height, width, channels), block = inputs[0], config["block_size"]
    if block < 1 or height % block or width % block:
        raise ValueError(f"cannot part {height}x{width} pixels into blocks of {block}.")
    return (height // block, width // block, channels * block * block), {}


def _unshuffle(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    (height, width, channels), block = inputs[0], config["block_size"]
    if block < 1 or channels % (block * block):
        raise ValueError(f"cannot make blocks of {block} of {channels} channels.")
    return (height * block, width * block, channels // (block * block)), {}


def _prelu(config: Mapping[str, Any], inputs: Sequence[Shape]) -> tuple[Shape, WeightShapes]:
    shared = config.get("shared_axes") or []
    return inputs[0], {"alpha": tuple(1 if axis in shared else side for axis, side in enumerate(inputs[0], start=1))}


_RULES: dict[str, ShapeRule] = {
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _normalisation,
    "ContribInstanceNormalization": _normalisation,
    "ReflectionPadding2D": _reflection,
    "ReplicationPadding2D": _grown("padding", 1),
    "ZeroPadding2D": _grown("padding", 1),
    "Cropping2D": _grown("cropping", -1),
    "PReLU": _prelu,
    "UpSampling2D": _upsampling,
    "AveragePooling2D": _pooling,
    "MaxPooling2D": _pooling,
    "GlobalAveragePooling2D": _global_pooling,
    "Add": _merge,
    "Multiply": _merge,
    "Concatenate": _concatenation,
    "SpaceToDepth": _shuffle,
    "DepthToSpace": _unshuffle,
}
