"""What the user says about a teacher is applied to its description: then it takes and makes RGB in [-1, 1], as all do.

Each change is written in layers that every framework and the deploy graph know, so that students, scores and phone
files follow without knowing of it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compress.errors import UnusableModel, UsageError
from compress.teachers.description import INPUT, Convention, GeneratorDescription, LayerDescription, ValueRange
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.reading.config import ReadingConfig

_BOUNDS: dict[ValueRange, tuple[float, float]] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}
_TO_RELU6 = 3.0
"""Gain by which [0, 2] becomes the [0, 6] that a ReLU6 keeps."""


class UndecidedReading(UnusableModel):
    """Raised where a file leaves open what must be known, and the user does not say."""


def apply_reading(description: GeneratorDescription, reading: ReadingConfig) -> GeneratorDescription:
    """Return the generator that a file holds, read as the user says, with RGB in [-1, 1] in and out.

    Raises:
        UndecidedReading: If the file leaves open which statistics its BatchNorm uses, and the user does not say.
        UsageError: If the user says something about layers that it does not have.
    """
    described = _with_batch_norm(description, reading)
    ranges = reading.value_range or described.value_range_in, reading.value_range or described.value_range_out
    converted = _with_conversion(described, ranges, bgr=reading.channel_order == "bgr", residual=_adds(reading))
    return replace(
        converted,
        value_range_in="-1..1",
        value_range_out="-1..1",
        conventions=_as_said(described.conventions, reading),
    )


def _with_batch_norm(description: GeneratorDescription, reading: ReadingConfig) -> GeneratorDescription:
    norms = [layer.name for layer in description.layers if layer.kind == "BatchNormalization"]
    asked = reading.batch_norm_statistics
    if asked and not norms:
        raise UsageError(f"batch_norm_statistics = {asked}, but no layer of the teacher is a BatchNorm. Leave it out.")
    if not norms:
        return description
    if asked is None and not description.batch_norm_told:
        raise UndecidedReading(
            f"{norms[0]} is a BatchNorm, and the file does not tell whether pictures are made with each image's own "
            "statistics, as pix2pix and its tutorial do at test time, or with the moving ones of the file, as after "
            "model.eval(): they differ by 20 dB. Pass --batch-norm-statistics image or moving."
        )
    flag = "--batch-norm-statistics"
    told = Convention(topic="BatchNorm statistics", value="moving", basis="assumed", because="", flag=flag)
    told = replace(told, because="a net that is run outside training uses what its file holds")
    described = replace(description, conventions=(*description.conventions, told))
    return _with_image_statistics(described) if asked == "image" else described


def _with_image_statistics(description: GeneratorDescription) -> GeneratorDescription:
    """Return the net with BatchNorm over a batch of one image, which is InstanceNorm of the same epsilon."""
    moving = {
        f"{layer.name}/{role}"
        for layer in description.layers
        if layer.kind == "BatchNormalization"
        for role in ("moving_mean", "moving_variance")
    }
    layers = tuple(
        replace(layer, kind="InstanceNormalization") if layer.kind == "BatchNormalization" else layer
        for layer in description.layers
    )
    weights = {name: value for name, value in description.weights.items() if name not in moving}
    return replace(description, layers=layers, weights=weights)


def _adds(reading: ReadingConfig) -> bool:
    return reading.residual == "clip-add"


def _with_conversion(
    description: GeneratorDescription, ranges: tuple[ValueRange, ValueRange], *, bgr: bool, residual: bool
) -> GeneratorDescription:
    if ranges == ("-1..1", "-1..1") and not bgr and not residual:
        return description
    if residual and ranges[0] != ranges[1]:
        raise UsageError(
            f"residual = clip-add, but the teacher takes {ranges[0]} and makes {ranges[1]}, which cannot be added. "
            "Pass --value-range too."
        )
    writer = GraphWriter()
    _add_affine(writer, *_into(ranges[0]), bgr=bgr, name="to_teacher_range")
    entry = writer.last
    writer.layers += [_fed_by(layer, entry) for layer in description.layers]
    writer.weights |= description.weights
    writer.last = description.output if description.output != INPUT else entry
    if residual:
        writer.add("Add", {}, inputs=(entry, writer.last), name="photo_plus_change")
    gain, offset = _out_of(ranges[1])
    if residual:
        # ReLU6 of what is moved to [0, 6] clips to [-1, 1].
        _add_affine(writer, _TO_RELU6 * gain, _TO_RELU6 * (offset + 1), bgr=bgr, name="to_clip")
        writer.add("Activation", {"activation": "relu6"}, name="clip")
        _add_affine(writer, 1 / _TO_RELU6, -1.0, bgr=False, name="from_teacher_range")
    else:
        _add_affine(writer, gain, offset, bgr=bgr, name="from_teacher_range")
    finished = writer.finish(description.source_format, description.input_shape)
    return replace(description, layers=finished.layers, weights=finished.weights, output=finished.output)


def _into(value_range: ValueRange) -> tuple[float, float]:
    """Return gain and offset that take [-1, 1] to a range."""
    low, high = _BOUNDS[value_range]
    return (high - low) / 2, (high + low) / 2


def _out_of(value_range: ValueRange) -> tuple[float, float]:
    gain, offset = _into(value_range)
    return 1 / gain, -offset / gain


def _add_affine(writer: GraphWriter, gain: float, offset: float, *, bgr: bool, name: str) -> None:
    """Write a 1x1 convolution that scales, moves and, if asked, turns the order of three channels."""
    order = [2, 1, 0] if bgr else [0, 1, 2]
    kernel = (gain * np.eye(3)[order]).astype(np.float32).reshape(1, 1, 3, 3)
    weights = {"kernel": kernel, "bias": np.full(3, offset, np.float32)}
    writer.add("Conv2D", {"filters": 3, "kernel_size": [1, 1], "use_bias": True}, name=name, weights=weights)


def _fed_by(layer: LayerDescription, entry: str) -> LayerDescription:
    return replace(layer, inputs=tuple(entry if name == INPUT else name for name in layer.inputs))


def _as_said(conventions: Sequence[Convention], reading: ReadingConfig) -> tuple[Convention, ...]:
    """Return the conventions, those that the user set marked so; those of a flag for many things say it themselves."""
    said = {f"--{key.replace('_', '-')}": value for key, value in reading.said().items()}
    kept = [
        replace(one, value=str(said[one.flag]), basis="set", because=f"{one.flag} was given")
        if one.flag in said and isinstance(said[one.flag], str)
        else one
        for one in conventions
    ]
    missing = [flag for flag in said if flag not in {one.flag for one in conventions}]
    return (
        *kept,
        *(
            Convention(
                topic=flag.removeprefix("--").replace("-", " "),
                value=_shown(said[flag]),
                basis="set",
                because=f"{flag} was given",
                flag=flag,
            )
            for flag in missing
        ),
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
