"""What the stage hands to the process that loads coremltools, and what it gets back; neither needs coremltools."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.config import CoremlPrecision
from export.graph import Graph
from export.quantization import QuantizedGraph

PALETTE_BITS: Mapping[str, int] = {"palette8": 8, "palette6": 6}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A package to write, and photos to run through it."""

    graph: Graph
    precision: CoremlPrecision
    in_float32: frozenset[str]
    """Tensors that float16 does not hold."""
    quantized: QuantizedGraph | None
    metadata: Mapping[str, str]
    """`author`, `license`, `version` and `short_description`; other keys are the program's own."""
    photos: tuple[np.ndarray, ...]
    """Each `(height, width, 3)` uint8."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of a job."""

    pictures: tuple[np.ndarray, ...]
    """What the package on disk makes of each photo, `(height, width, 3)` float32 in [-1, 1], not rounded to bytes."""
    operations: Mapping[str, int]
    """How many of each MIL operation the package holds."""
