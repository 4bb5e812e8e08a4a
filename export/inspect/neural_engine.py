"""Rules about the Neural Engine's limits, from public sources: nothing of it was measured here, no Mac runs here.

Apple publishes no list: "it changes based on device generation, operating system version, tensor sizes etc."
(apple/coremltools#1780). Each rule names where it comes from and how firm that is. A device says itself where it runs
each operation (`MLComputePlan`), and the Swift package of `compress export coreml --swift` writes that down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from export.coreml.job import MilOperation

Grounds = Literal["documented", "logged", "reported"]
"""Firmness of a rule: documented by Apple; logged by Core ML itself on someone's device; or reported by someone, or
seen by one and not by another. An operation under a reported rule may leave the Neural Engine; others are taken to
leave it."""
Placement = Literal["seen", "leaves", "may leave", "unknown", "at load"]
"""Place of an operation, on the Neural Engine or off it: someone saw it there, or a rule says no. Operations that
unpack weights run when the model is loaded."""


@dataclass(frozen=True, kw_only=True)
class NeuralEngineRule:
    """A reason for which an operation does not run on the Neural Engine."""

    applies: Callable[[MilOperation], bool]
    grounds: Grounds
    why: str
    what_to_do: str
    source: str


_LARGEST_SIDE = 16384
_LARGEST_RANK = 5
_LARGEST_KERNEL = 15
_LARGEST_POOL, _LARGEST_POOL_STRIDE = 13, 2
_LARGEST_ENLARGEMENT = 2
_LARGEST_TRANSPOSED_STRIDE = 4
_ELEMENTWISE = frozenset({"add", "sub", "mul", "real_div", "maximum", "minimum", "pow"})
_POOLS = frozenset({"avg_pool", "l2_pool", "max_pool"})


def _is_float32(operation: MilOperation) -> bool:
    read = [value.dtype for value in operation.inputs.values() if not value.is_constant]
    return operation.kind != "cast" and "fp32" in (*read, operation.output.dtype)


def _largest(operation: MilOperation, *settings: str) -> float:
    """Return the largest number in settings of an operation; 0 where it has none of them."""
    found = [operation.inputs[name].constant for name in settings if name in operation.inputs]
    numbers = [number for each in found for number in (each if isinstance(each, list) else [each])]
    return max((number for number in numbers if number is not None), default=0)


def _is_set(operation: MilOperation, setting: str) -> bool:
    return setting in operation.inputs and operation.inputs[setting].constant is True


def _kernel(operation: MilOperation) -> int:
    weight = operation.inputs.get("weight")
    return 0 if weight is None else max((side or 0 for side in weight.shape[2:]), default=0)


def _broadcasts(operation: MilOperation) -> bool:
    shapes = {value.shape for value in operation.inputs.values() if not value.is_constant}
    return operation.kind in _ELEMENTWISE and len(shapes) > 1


RULES = (
    NeuralEngineRule(
        applies=_is_float32,
        grounds="documented",
        why="it computes in float32, and the Neural Engine in float16 alone",
        what_to_do="export with --precision fp16; where the export left it in float32 even so, its values came near "
        "float16's largest number on photos: distil into a student, whose values stay small",
        source="coremltools guide, Typed Execution: the NE is barred when a model is typed with float 32 precision",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind in ("lstm", "gru", "rnn"),
        grounds="documented",
        why="recurrent layers are not supported on the Neural Engine",
        what_to_do="use convolutions",
        source="Apple's answer in apple/coremltools#1780, 2023",
    ),
    NeuralEngineRule(
        applies=lambda operation: max((side or 0 for side in operation.output.shape), default=0) > _LARGEST_SIDE,
        grounds="logged",
        why=f"a side of its result is over {_LARGEST_SIDE}",
        what_to_do="work on smaller pictures, or tiles of them",
        source="FluidInference/mobius#61, 2026, the compiler's message on an M2",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind in _POOLS and _largest(operation, "kernel_sizes") > _LARGEST_POOL,
        grounds="logged",
        why=f"it pools over more than {_LARGEST_POOL} pixels a side",
        what_to_do="use a mean over the whole image, or strided convolutions",
        source="hollance/neural-engine#2, Core ML's message in 2020 (iOS 13 or 14)",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind in _POOLS and _largest(operation, "strides") > _LARGEST_POOL_STRIDE,
        grounds="logged",
        why=f"it pools with a stride over {_LARGEST_POOL_STRIDE}",
        what_to_do="pool twice, or use a strided convolution",
        source="hollance/neural-engine#2, Core ML's message in 2020 (iOS 13 or 14)",
    ),
    NeuralEngineRule(
        applies=lambda operation: (
            operation.kind in ("upsample_bilinear", "upsample_nearest_neighbor")
            and _largest(operation, "scale_factor_height", "scale_factor_width") > _LARGEST_ENLARGEMENT
        ),
        grounds="logged",
        why=f"it enlarges by more than {_LARGEST_ENLARGEMENT}",
        what_to_do="enlarge by 2 several times, or shuffle pixels, as the students do",
        source="hollance/neural-engine#2, Core ML's message in 2020 (iOS 13 or 14)",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind in ("gather", "gather_along_axis", "gather_nd", "topk"),
        grounds="logged",
        why="Core ML plans it on the CPU",
        what_to_do="index by slices, whose places are constants",
        source="roboflow/rf-detr#1495, 2026, MLComputePlan on an M3 Pro; hollance/neural-engine for gather",
    ),
    NeuralEngineRule(
        applies=lambda operation: _largest(operation, "dilations") > 1,
        grounds="reported",
        why="dilated convolutions are said to leave it",
        what_to_do="use a larger stride before, or more layers",
        source="hollance/neural-engine, unsupported-layers.md, which calls some of its list guesses",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind == "conv" and _kernel(operation) > _LARGEST_KERNEL,
        grounds="reported",
        why=f"its kernel is wider than {_LARGEST_KERNEL}",
        what_to_do="use several smaller kernels",
        source="sbryngelson/ANEForge#26, 2026, on an M5 Pro without Core ML",
    ),
    NeuralEngineRule(
        applies=lambda operation: (
            operation.kind == "conv_transpose" and _largest(operation, "strides") > _LARGEST_TRANSPOSED_STRIDE
        ),
        grounds="reported",
        why=f"it is a transposed convolution of a stride over {_LARGEST_TRANSPOSED_STRIDE}",
        what_to_do="enlarge by 2 several times, or shuffle pixels, as the students do",
        source="apple/coremltools#2450, 2025, a message on an iPhone 15 Pro Max at a stride of 16",
    ),
    NeuralEngineRule(
        applies=lambda operation: operation.kind == "upsample_bilinear" and _is_set(operation, "half_pixel_centers"),
        grounds="reported",
        why="it resizes between pixels' centres, of which the engine has no exact form",
        what_to_do="shuffle pixels, as the students do",
        source="sbryngelson/ANEForge#43, 2026, without Core ML",
    ),
    NeuralEngineRule(
        applies=_broadcasts,
        grounds="reported",
        why="it spreads one computed tensor over another, such as a gain per channel over an image",
        what_to_do="leave the context of a student out where the device's own plan shows it elsewhere",
        source="hollance/neural-engine#2, Core ML's message in 2020; but MobileNetV3, which does it, runs on newer "
        "engines (sbryngelson/ANEForge#42, 2026)",
    ),
    NeuralEngineRule(
        applies=lambda operation: len(operation.output.shape) > _LARGEST_RANK,
        grounds="reported",
        why=f"its result has more than {_LARGEST_RANK} axes",
        what_to_do="use depth_to_space and space_to_depth in place of reshape and transpose, as this export does",
        source="sbryngelson/ANEForge#42, 2026, without Core ML",
    ),
)

_PLANNED = "Core ML plans it there in 0seba/VoxCPMANE#15 (M5 Max, 2026)"
_SEEN = "hollance/neural-engine, unsupported-layers.md, under what works"
_HARDWARE = "torchvision's nets run there in sbryngelson/ANEForge#42 (2026), without Core ML"
RUNS = {
    "add": _PLANNED,
    "conv": _PLANNED,
    "mul": _PLANNED,
    "reduce_mean": _PLANNED,
    "cast": "Core ML names it as able to in vx-lang/Vx#436 (2026)",
    "conv_transpose": _SEEN,
    "upsample_bilinear": _SEEN,
    "upsample_nearest_neighbor": _SEEN,
    "avg_pool": _HARDWARE,
    "concat": _HARDWARE,
    "max_pool": _HARDWARE,
    "relu": _HARDWARE,
    "relu6": _HARDWARE,
    "sigmoid": _HARDWARE,
}
"""Operations that someone saw run on a Neural Engine, and the source of that."""


def find_rule(operation: MilOperation) -> NeuralEngineRule | None:
    """Return the firmest rule that keeps an operation off the Neural Engine, if one does."""
    found = [rule for rule in RULES if rule.applies(operation)]
    return min(found, key=lambda rule: rule.grounds == "reported", default=None)


def place_operation(operation: MilOperation) -> Placement:
    """Return whether an operation runs on the Neural Engine, as far as is known."""
    if operation.kind.startswith("constexpr_"):
        return "at load"
    rule = find_rule(operation)
    if rule is not None:
        return "may leave" if rule.grounds == "reported" else "leaves"
    return "seen" if operation.kind in RUNS else "unknown"
