"""Data that goes to the process that loads coremltools and comes back; none of it needs coremltools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from export.config import CoremlPrecision
from export.graph.operations import Graph, Shape
from export.graph.quantized import QuantizedGraph

PALETTE_BITS: Mapping[str, int] = {"palette8": 8, "palette6": 6}
"""Bits of a weight's index by precision."""


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
    """Shapes of the graph's tensors at each other size that the package takes too."""


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """The result of a job."""

    pictures: tuple[np.ndarray, ...]
    """The package's picture of each photo, `(height, width, 3)` float32 in [-1, 1], not rounded to bytes."""
    operations: Mapping[str, int]
    """Number of each MIL operation in the package."""


@dataclass(frozen=True, kw_only=True)
class MilValue:
    """A value that an operation of a package reads or writes."""

    dtype: str
    """MIL's name of the type: fp16, fp32, int8, …"""
    shape: tuple[int | None, ...]
    """Sides, None where one is not fixed."""
    is_constant: bool = False
    constant: Any = None
    """A constant's value, where it is a setting rather than a weight."""


@dataclass(frozen=True, kw_only=True)
class MilOperation:
    """One operation of a saved package."""

    kind: str
    """MIL's name of the operation: conv, instance_norm, …"""
    name: str
    inputs: Mapping[str, MilValue]
    output: MilValue
    oldest_specification: int
    """The first version of Core ML's format that has it."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a saved package."""

    specification: int
    """The version of Core ML's format, which decides on the systems that load it."""
    sizes: Literal["fixed", "enumerated", "range"]
    """Sizes of pictures that it takes: one, several, or a range."""
    operations: tuple[MilOperation, ...]
    """Operations in the order in which they run, without constants."""
    enumerated_px: tuple[tuple[int, int], ...] = ()
    """Height and width of each picture of an enumerated set."""
