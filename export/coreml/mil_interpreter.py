"""Run a saved Core ML package in NumPy, operation by operation, on any operating system: there is no runtime off macOS.

It reads the package from disk: input and output from its description, weights as coremltools' own code unpacks them;
after each operation the values are rounded to the type that the program declares. It cannot show what Apple's kernels
do inside an operation: how wide they accumulate, and how they round the picture to bytes.

Needs coremltools, so it is imported only where TensorFlow and torch are not both loaded.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from coremltools.models import MLModel
from coremltools.proto import FeatureTypes_pb2

from compress.errors import UnusableModel
from export.interpreter import kernels

Values = Any
"""An operation's inputs by MIL's names: arrays, or for `concat` a list of them."""
HeightWidth = tuple[int, int]
"""Height and width, pixels."""
_FEATURE_RANK = 4


class MilGenerator:
    """A package that is loaded.

    Args:
        spec: The package's description and program.
        weights: The folder of its weight file.
        size: Height and width to run it at, one of those that it takes; its usual one when None.

    Raises:
        UnusableModel: If its input and output are no pictures in RGB, it does not take `size`, an operation is
            unknown here, or weights are packed twice.
    """

    def __init__(self, spec: Any, weights: str, size: HeightWidth | None = None) -> None:
        self._input = _picture(spec.description.input)
        _picture(spec.description.output)
        self.sizes = _declared_sizes(self._input)
        """Height and width of each picture that it takes, pixels, the usual one first."""
        self.size = size or self.sizes[0]
        """Height and width of the picture that it is run on, pixels."""
        if self.size not in self.sizes:
            raise UnusableModel(f"the package takes pictures of {list(self.sizes)} pixels, not of {self.size}.")
        # The version is an upper limit of what may be read.
        program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=weights)
        if len(self.sizes) > 1:
            _settle_shapes(program, self._input.name, self.size)
        self._main = program.functions["main"]
        packed = [step for step in self._main.operations if step.op_type.startswith("constexpr_")]
        _require_packed_once(packed)
        self._weights = {step.outputs[0]: step.materialized_val_inference() for step in packed}
        self._steps = [step for step in self._main.operations if step.op_type != "const" and step not in packed]
        self._spent_after = _spent_after(self._steps)
        self.operations: Mapping[str, int] = Counter(step.op_type for step in [*packed, *self._steps])
        """Number of each operation in the program."""
        unknown = {step.op_type for step in self._steps} - set(_OPERATIONS)
        if unknown:
            raise UnusableModel(f"the package has operations that are unknown here: {', '.join(sorted(unknown))}.")

    @classmethod
    def open(cls, path: Path, size: HeightWidth | None = None) -> "MilGenerator":
        """Read a `.mlpackage`, to be run at one of its sizes."""
        model = MLModel(str(path), skip_model_load=True)
        return cls(model.get_spec(), model.weights_dir, size)

    def run(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return `(height, width, 3)` float32 in [0, 255], not yet rounded."""
        image, (picture,) = self._main.inputs[self._input.name], self._main.outputs
        values = dict(self._weights)
        values[image] = _as_declared(photo.astype(np.float32).transpose(2, 0, 1)[np.newaxis], image)
        # An overflow becomes infinite and goes on from there, as on the device.
        with np.errstate(over="ignore", invalid="ignore"):
            for step in self._steps:
                (output,) = step.outputs
                inputs = {name: _value(bound, values) for name, bound in step.inputs.items()}
                values[output] = _as_declared(_OPERATIONS[step.op_type](inputs), output)
                for spent in self._spent_after[step]:
                    del values[spent]
        return values[picture][0].transpose(1, 2, 0).astype(np.float32)

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float32 picture in [-1, 1]."""
        return self.run(photo) / np.float32(127.5) - 1


def _require_packed_once(packed: Sequence[Any]) -> None:
    """Refuse weights that are packed twice, such as a table of integers with scales: coremltools unpacks one layer."""
    made = {step.outputs[0]: step.op_type for step in packed}
    for step in packed:
        for bound in step.inputs.values():
            if not isinstance(bound, (list, tuple)) and bound in made:
                raise UnusableModel(f"the package packs weights twice, by {made[bound]} and {step.op_type}.")


def _picture(features: Any) -> Any:
    """Return the only input or output of a generator, which must be an RGB image."""
    (feature,) = features
    if feature.type.WhichOneof("Type") != "imageType":
        raise UnusableModel(f"{feature.name} is a {feature.type.WhichOneof('Type')}; expected an image.")
    layout = FeatureTypes_pb2.ImageFeatureType.ColorSpace.Name(feature.type.imageType.colorSpace)
    if layout != "RGB":
        raise UnusableModel(f"{feature.name} is an image in {layout}; expected RGB.")
    return feature


def _declared_sizes(feature: Any) -> tuple[HeightWidth, ...]:
    """Return the sizes that an image input or output allows, the usual one first."""
    image = feature.type.imageType
    usual, flexibility = (image.height, image.width), image.WhichOneof("SizeFlexibility")
    if flexibility is None:
        return (usual,)
    if flexibility != "enumeratedSizes":
        raise UnusableModel(f"{feature.name} takes a range of sizes; expected one size, or an enumerated set.")
    allowed = [(each.height, each.width) for each in image.enumeratedSizes.sizes]
    if usual not in allowed:
        raise UnusableModel(f"{feature.name} is {usual} by default, which is none of its sizes {allowed}.")
    return usual, *(each for each in allowed if each != usual)


def _settle_shapes(program: Any, name: str, size: HeightWidth) -> None:
    """Have coremltools infer every shape anew from the input's.

    In a package of several sizes they are unknown, and there would be nothing to compare computed shapes with.
    """
    settle = PASS_REGISTRY["common::materialize_symbolic_shape_program"]
    settle.function_name_to_materialization_map = {"main": {name: (1, 3, *size)}}
    settle(program)


def _spent_after(steps: Sequence[Any]) -> dict[Any, list[Any]]:
    """Return, for each operation, the results that none after it reads.

    All results of a 256x256 teacher together are 270 MB in float16.
    """
    last_reader = {}
    for step in steps:
        for bound in step.inputs.values():
            last_reader |= dict.fromkeys(bound if isinstance(bound, (list, tuple)) else [bound], step)
    spent: dict[Any, list[Any]] = {step: [] for step in steps}
    for step in steps:
        (output,) = step.outputs
        if output in last_reader:
            spent[last_reader[output]].append(output)
    return spent


def _value(bound: Any, values: Mapping[Any, np.ndarray]) -> Any:
    if isinstance(bound, (list, tuple)):
        return [_value(each, values) for each in bound]
    computed = values.get(bound)
    return bound.val if computed is None else computed


def _as_declared(computed: np.ndarray, output: Any) -> np.ndarray:
    """Round to the type that the program declares."""
    if tuple(computed.shape) != tuple(output.shape):
        raise UnusableModel(f"{output.name} is declared as {output.shape}, but comes out as {computed.shape}.")
    return computed.astype(types.nptype_from_builtin(output.dtype))


_OPERATIONS: dict[str, Callable[[Values], np.ndarray]] = {}


def _operation(name: str) -> Callable[[Callable[[Values], np.ndarray]], Callable[[Values], np.ndarray]]:
    def register(compute: Callable[[Values], np.ndarray]) -> Callable[[Values], np.ndarray]:
        _OPERATIONS[name] = compute
        return compute

    return register


def _wide(values: np.ndarray) -> np.ndarray:
    """Return values in float32, in which an operation takes its sums."""
    return values.astype(np.float32)


def _last(features: np.ndarray) -> np.ndarray:
    """Return features in float32 with channels last, as `kernels` has them."""
    return _wide(features).transpose(0, 2, 3, 1)


def _first(features: np.ndarray) -> np.ndarray:
    return features.transpose(0, 3, 1, 2)


@_operation("conv")
def _(inputs: Values) -> np.ndarray:
    features, weight, groups = _last(inputs["x"]), _wide(inputs["weight"]), int(inputs["groups"])
    out_channels, in_channels, height, width = weight.shape
    strides, dilations = tuple(inputs["strides"]), tuple(inputs["dilations"])
    padded = kernels.pad(features, _margins(inputs, features.shape[1:3], (height, width), strides, dilations))
    if groups == 1:
        result = kernels.convolve(padded, weight.transpose(2, 3, 1, 0), strides, dilations)
    elif in_channels == 1:
        kernel = weight.reshape(groups, out_channels // groups, height, width).transpose(2, 3, 0, 1)
        result = kernels.convolve_depthwise(padded, kernel, strides, dilations)
    else:
        raise UnusableModel(f"a convolution in {groups} groups of {in_channels} channels is unknown here.")
    return _first(result + _bias(inputs))


def _bias(inputs: Values) -> np.ndarray | float:
    bias = inputs.get("bias")
    return 0.0 if bias is None else _wide(bias)


def _margins(inputs: Values, size: Any, kernel: Any, strides: Any, dilations: Any) -> Any:
    kind = inputs["pad_type"]
    if kind == "valid":
        return (0, 0), (0, 0)
    if kind == "custom":
        top, bottom, left, right = (int(side) for side in inputs["pad"])
        return (top, bottom), (left, right)
    if kind != "same":
        raise UnusableModel(f"the padding {kind} is unknown here.")
    both = []
    for side, reach, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-side // stride) - 1) * stride + (reach - 1) * dilation + 1 - side, 0)
        both.append((total // 2, total - total // 2))
    return tuple(both)


@_operation("conv_transpose")
def _(inputs: Values) -> np.ndarray:
    """Scatter each pixel through the kernel, then cut `pad` off."""
    features, weight = _last(inputs["x"]), _wide(inputs["weight"])
    if int(inputs["groups"]) != 1 or any(step != 1 for step in inputs["dilations"]):
        raise UnusableModel("a transposed convolution in groups or with dilation is unknown here.")
    down, across = (int(step) for step in inputs["strides"])
    size = (features.shape[1] - 1) * down + weight.shape[2], (features.shape[2] - 1) * across + weight.shape[3]
    whole = kernels.convolve_transposed(features, weight.transpose(2, 3, 1, 0), (down, across), size, same=False)
    if inputs["pad_type"] == "same":
        wanted = inputs["output_shape"][2:]
        top, left = ((side - want) // 2 for side, want in zip(size, wanted, strict=True))
        bottom, right = size[0] - wanted[0] - top, size[1] - wanted[1] - left
    else:
        top, bottom, left, right = (int(side) for side in inputs["pad"])
    return _first(kernels.crop(whole, ((top, bottom), (left, right))) + _bias(inputs))


@_operation("instance_norm")
def _(inputs: Values) -> np.ndarray:
    features = _wide(inputs["x"])
    centred = features - features.mean(axis=(2, 3), keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=(2, 3), keepdims=True) + np.float32(inputs["epsilon"]))
    normalized = centred / deviation
    gamma, beta = (inputs.get(name) for name in ("gamma", "beta"))
    scaled = normalized if gamma is None else normalized * _wide(gamma).reshape(-1, 1, 1)
    return scaled if beta is None else scaled + _wide(beta).reshape(-1, 1, 1)


@_operation("batch_norm")
def _(inputs: Values) -> np.ndarray:
    mean, variance = (_wide(inputs[name]).reshape(-1, 1, 1) for name in ("mean", "variance"))
    gamma, beta = (_wide(inputs[name]).reshape(-1, 1, 1) for name in ("gamma", "beta"))
    return (_wide(inputs["x"]) - mean) / np.sqrt(variance + np.float32(inputs["epsilon"])) * gamma + beta


@_operation("avg_pool")
def _(inputs: Values) -> np.ndarray:
    features, size, strides = _last(inputs["x"]), tuple(inputs["kernel_sizes"]), tuple(inputs["strides"])
    margins = _margins(inputs, features.shape[1:3], size, strides, (1, 1))
    summed = kernels.view_windows(kernels.pad(features, margins), size, strides).sum(axis=(3, 4))
    if not inputs["exclude_padding_from_average"]:
        return _first(summed / np.float32(size[0] * size[1]))
    inside = kernels.view_windows(kernels.pad(np.ones_like(features), margins), size, strides).sum(axis=(3, 4))
    return _first(summed / inside)


@_operation("max_pool")
def _(inputs: Values) -> np.ndarray:
    features, size, strides = _last(inputs["x"]), tuple(inputs["kernel_sizes"]), tuple(inputs["strides"])
    margins = _margins(inputs, features.shape[1:3], size, strides, (1, 1))
    return _first(kernels.view_windows(kernels.pad(features, margins, value=-np.inf), size, strides).max(axis=(3, 4)))


@_operation("upsample_bilinear")
def _(inputs: Values) -> np.ndarray:
    # Left out, it is the opposite of align_corners.
    if inputs["align_corners"] or not inputs.get("half_pixel_centers", True):
        raise UnusableModel("a bilinear resize with aligned corners is unknown here.")
    images = _wide(inputs["x"])
    for axis, factor in ((2, inputs["scale_factor_height"]), (3, inputs["scale_factor_width"])):
        first, second, part = kernels.neighbours(images.shape[axis], int(images.shape[axis] * factor))
        weight = part.reshape([-1 if other == axis else 1 for other in range(_FEATURE_RANK)])
        low, high = images.take(first, axis=axis), images.take(second, axis=axis)
        images = low + (high - low) * weight
    return images


@_operation("upsample_nearest_neighbor")
def _(inputs: Values) -> np.ndarray:
    factors = {2: inputs["scale_factor_height"], 3: inputs["scale_factor_width"]}
    if any(factor != int(factor) for factor in factors.values()):
        raise UnusableModel(f"a nearest resize by {list(factors.values())} is unknown here; expected whole numbers.")
    return inputs["x"].repeat(int(factors[2]), axis=2).repeat(int(factors[3]), axis=3)


@_operation("space_to_depth")
def _(inputs: Values) -> np.ndarray:
    return _first(kernels.space_to_depth(inputs["x"].transpose(0, 2, 3, 1), int(inputs["block_size"])))


@_operation("depth_to_space")
def _(inputs: Values) -> np.ndarray:
    return _first(kernels.depth_to_space(inputs["x"].transpose(0, 2, 3, 1), int(inputs["block_size"])))


@_operation("pad")
def _(inputs: Values) -> np.ndarray:
    around = np.asarray(inputs["pad"]).reshape(-1, 2)
    margins = [(0, 0)] * (inputs["x"].ndim - len(around)) + [(int(low), int(high)) for low, high in around]
    if inputs["mode"] == "reflect":
        return np.pad(inputs["x"], margins, mode="reflect")
    if inputs["mode"] == "replicate":
        return np.pad(inputs["x"], margins, mode="edge")
    if inputs["mode"] == "constant":
        return np.pad(inputs["x"], margins, constant_values=inputs["constant_val"])
    raise UnusableModel(f"padding in the mode {inputs['mode']} is unknown here.")


@_operation("crop")
def _(inputs: Values) -> np.ndarray:
    (top, bottom), (left, right) = inputs["crop_height"], inputs["crop_width"]
    height, width = inputs["x"].shape[2:]
    return inputs["x"][:, :, top : height - bottom, left : width - right]


@_operation("concat")
def _(inputs: Values) -> np.ndarray:
    return np.concatenate(inputs["values"], axis=int(inputs["axis"]))


@_operation("reduce_mean")
def _(inputs: Values) -> np.ndarray:
    return _wide(inputs["x"]).mean(axis=tuple(inputs["axes"]), keepdims=bool(inputs["keep_dims"]))


@_operation("quantize")
def _(inputs: Values) -> np.ndarray:
    limits = np.iinfo(np.int8 if inputs["output_dtype"] == "int8" else np.uint8)
    # The quotient is rounded to the input's type before it is rounded to a whole number.
    steps = np.rint(inputs["input"] / inputs["scale"]).astype(np.float32) + np.float32(inputs.get("zero_point") or 0)
    return np.clip(steps, limits.min, limits.max)


@_operation("dequantize")
def _(inputs: Values) -> np.ndarray:
    return (_wide(inputs["input"]) - np.float32(inputs.get("zero_point") or 0)) * np.float32(inputs["scale"])


@_operation("leaky_relu")
def _(inputs: Values) -> np.ndarray:
    features = _wide(inputs["x"])
    return np.where(features < 0, features * np.float32(inputs["alpha"]), features)


@_operation("clip")
def _(inputs: Values) -> np.ndarray:
    return np.clip(inputs["x"], inputs["alpha"], inputs["beta"])


_OPERATIONS |= {
    "cast": lambda inputs: inputs["x"],
    "add": lambda inputs: _wide(inputs["x"]) + _wide(inputs["y"]),
    "sub": lambda inputs: _wide(inputs["x"]) - _wide(inputs["y"]),
    "mul": lambda inputs: _wide(inputs["x"]) * _wide(inputs["y"]),
    "real_div": lambda inputs: _wide(inputs["x"]) / _wide(inputs["y"]),
    "relu": lambda inputs: np.maximum(inputs["x"], 0),
    "relu6": lambda inputs: np.clip(inputs["x"], 0, 6),
    "tanh": lambda inputs: np.tanh(_wide(inputs["x"])),
    "sigmoid": lambda inputs: 1 / (1 + np.exp(-_wide(inputs["x"]))),
    "sqrt": lambda inputs: np.sqrt(_wide(inputs["x"])),
    "square": lambda inputs: np.square(_wide(inputs["x"])),
    "rsqrt": lambda inputs: 1 / np.sqrt(_wide(inputs["x"]) + np.float32(inputs["epsilon"])),
    "reshape": lambda inputs: inputs["x"].reshape(inputs["shape"]),
    "squeeze": lambda inputs: inputs["x"].squeeze(None if inputs.get("axes") is None else tuple(inputs["axes"])),
    "transpose": lambda inputs: inputs["x"].transpose(inputs["perm"]),
}
