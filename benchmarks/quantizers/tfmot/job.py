"""What is handed to the process that trains with TFMOT, and what comes back; neither needs TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.errors import UnsupportedLayer
from compress.teachers.description import GeneratorDescription
from export.quantize.config import QuantizeConfig

KINDS = frozenset(
    {
        "Conv2D",
        "DepthwiseConv2D",
        "BatchNormalization",
        "Activation",
        "UpSampling2D",
        "GlobalAveragePooling2D",
        "Add",
        "Multiply",
        "SpaceToDepth",
        "DepthToSpace",
    }
)
"""Layers that the copy can have: those that students are made of."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A student to copy, and how to train the copy."""

    description: GeneratorDescription
    config: QuantizeConfig
    photos: Path
    """A `.npy` file of `(count, height, width, 3)` uint8."""
    targets: Path
    """The teacher's images of them, likewise."""
    rows: np.ndarray
    """`(selected,)` int64: which rows of the two are trained on."""
    calibrated: bool
    """Whether TFMOT's ranges start from photos, instead of from its own -6 to 6."""
    shown: np.ndarray
    """`(count, height, width, 3)` float32 in [-1, 1], to see by that the copy is one."""
    expected: np.ndarray
    """What the student makes of them, likewise."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What became of a job."""

    content: bytes
    """The int8 `.tflite` file."""
    copy_difference: float
    """Largest difference of a value of the float copy's pictures to the student's."""
    annotated: Mapping[str, int]
    """Kinds of layers that TFMOT does not know, and how many the student has of each."""
    step_s: float
    """Median time of a step, seconds."""


def check_copyable(description: GeneratorDescription) -> None:
    """See that a student has no layer that the copy cannot have.

    Raises:
        UnsupportedLayer: If it has one.
    """
    for layer in description.layers:
        if layer.kind not in KINDS:
            raise UnsupportedLayer(
                f"layer {layer.name} ({layer.kind}) has no counterpart in the copy that TFMOT trains; expected one of "
                f"{', '.join(sorted(KINDS))}. Leave --steps and --teacher out to compare post-training files alone."
            )
