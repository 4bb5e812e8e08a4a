"""What is handed to the process that loads coremltools, and what comes back; neither needs coremltools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from export.config import CoremlPrecision
from export.graph.operations import Graph, Shape
from export.graph.quantized import QuantizedGraph

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
    """Each `(height, width, 3)` uint8, of one of the sizes that the package takes."""
    others: tuple[Mapping[str, Shape], ...] = ()
    """The shapes of the graph's tensors at each other size that the package takes too."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of a job."""

    pictures: tuple[np.ndarray, ...]
    """What the package on disk makes of each photo, `(height, width, 3)` float32 in [-1, 1], not rounded to bytes."""
    operations: Mapping[str, int]
    """How many of each MIL operation the package holds."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """What an operation of a package reads or writes."""

    dtype: str
    """As MIL calls it: fp16, fp32, int8, …"""
    shape: tuple[int | None, ...]
    """None where it is not fixed."""
    is_constant: bool = False
    constant: Any = None
    """A constant's value, where it is a setting rather than a weight."""


@dataclass(frozen=True, kw_only=True)
class MilOperation:
    """One operation of a saved package."""

    kind: str
    """As MIL calls it: conv, instance_norm, …"""
    name: str
    inputs: Mapping[str, Value]
    output: Value
    oldest_specification: int
    """The first version of Core ML's format that has it."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a saved package consists of."""

    specification: int
    """The version of Core ML's format, which decides on the systems that load it."""
    sizes: Literal["fixed", "enumerated", "range"]
    """Which pictures it takes."""
    operations: tuple[MilOperation, ...]
    """In the order in which they run, without constants."""
    enumerated_px: tuple[tuple[int, int], ...] = ()
    """Height and width of each picture of an enumerated set."""
