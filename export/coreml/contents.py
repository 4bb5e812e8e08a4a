"""Reader of saved Core ML packages, of ours or of other converters. Needs coremltools."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
from coremltools.models import MLModel
from google.protobuf.message import DecodeError

from compress.errors import UnusableModel
from export.coreml.job import Contents, MilOperation, MilValue

_LARGEST_SETTING = 16
"""The most values of a constant that is a setting; one with more is a weight."""


def read_contents(package: Path) -> Contents:
    """List the operations of a `.mlpackage`.

    Raises:
        UnusableModel: If it is missing, torn or no ML program.
    """
    try:
        model = MLModel(str(package), skip_model_load=True)
        spec = model.get_spec()
        # The version is an upper limit of what may be read.
        program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir)
    except (DecodeError, OSError, RuntimeError, ValueError) as error:
        raise UnusableModel(f"{package} cannot be read as an ML program: {error}") from error
    steps = [step for step in program.functions["main"].operations if step.op_type != "const"]
    unpacked = {output for step in steps if step.op_type.startswith("constexpr_") for output in step.outputs}
    return Contents(
        specification=spec.specificationVersion,
        sizes=_sizes(spec.description.input),
        enumerated_px=tuple(
            (size.height, size.width)
            for feature in spec.description.input
            for size in feature.type.imageType.enumeratedSizes.sizes
        ),
        operations=tuple(_operation(step, unpacked) for step in steps),
    )


def _sizes(inputs: Any) -> Literal["fixed", "enumerated", "range"]:
    flexible = {feature.type.imageType.WhichOneof("SizeFlexibility") for feature in inputs}
    flexible |= {feature.type.multiArrayType.WhichOneof("ShapeFlexibility") for feature in inputs}
    if flexible & {"imageSizeRange", "shapeRange"}:
        return "range"
    return "enumerated" if flexible & {"enumeratedSizes", "enumeratedShapes"} else "fixed"


def _operation(step: Any, unpacked: set[Any]) -> MilOperation:
    first, *_ = step.outputs
    return MilOperation(
        kind=step.op_type,
        name=first.name,
        inputs={name: _value(bound, unpacked) for name, bound in _bound(step)},
        output=_value(first, unpacked),
        oldest_specification=min((int(target) for target in SSAOpRegistry.core_ops.get(step.op_type, {})), default=0),
    )


def _bound(step: Any) -> Iterator[tuple[str, Any]]:
    """Yield the inputs by name; those of a list, as `concat` has, one by one."""
    for name, bound in step.inputs.items():
        if isinstance(bound, (list, tuple)):
            yield from ((f"{name}_{position}", each) for position, each in enumerate(bound))
        elif bound is not None:
            yield name, bound


def _value(bound: Any, unpacked: set[Any]) -> MilValue:
    shape = tuple(int(side) if isinstance(side, (int, np.integer)) else None for side in bound.shape or ())
    is_setting = bound.val is not None and np.size(bound.val) <= _LARGEST_SETTING
    return MilValue(
        dtype=types.builtin_to_string(bound.dtype),
        shape=shape,
        is_constant=bound.val is not None or bound in unpacked,
        constant=np.asarray(bound.val).tolist() if is_setting else None,
    )
