"""Input and output of the process that trains with TFMOT; neither needs TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.distill.config import FitConfig
from compress.errors import UnsupportedLayer
from compress.teachers.description import GeneratorDescription

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
"""Kinds of layers that the copy can have: those that students are made of."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A student to copy, and how to train the copy."""

    description: GeneratorDescription
    config: FitConfig
    calibration_images: int
    """Number of photos that ranges start from where they are `calibrated`."""
    photos: Path
    """A `.npy` file of `(count, height, width, 3)` uint8."""
    targets: Path
    """A `.npy` file of the teacher's images of them, of the same shape and type."""
    rows: np.ndarray
    """`(selected,)` int64: the rows of the two files to train on."""
    calibrated: bool
    """True to start TFMOT's ranges from photos, instead of from its own -6 to 6."""
    check_photos: np.ndarray
    """Photos to check the copy on, `(count, height, width, 3)` float32 in [-1, 1]."""
    expected: np.ndarray
    """The student's images of `check_photos`, of the same shape and type."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of a job."""

    content: bytes
    """The int8 `.tflite` file."""
    copy_difference: float
    """Largest difference of a value of the float copy's pictures to the student's."""
    annotated: Mapping[str, int]
    """Kinds of layers that TFMOT does not know, and how many the student has of each."""
    step_s: float
    """Median time of a step, seconds."""


def check_copyable(description: GeneratorDescription) -> None:
    """Check that the copy can have every layer of a student.

    Raises:
        UnsupportedLayer: If it cannot have one.
    """
    for layer in description.layers:
        if layer.kind not in KINDS:
            raise UnsupportedLayer(
                f"layer {layer.name} ({layer.kind}) has no counterpart in the copy that TFMOT trains; expected one of "
                f"{', '.join(sorted(KINDS))}. Leave --steps and --teacher out to compare post-training files alone."
            )
