"""Description of a generator as plain data: every reader returns one, and `build` trusts nothing else.

A description holds no code and no object of the framework that wrote the file, so it can cross from the child process
that reads a stranger's file to the one that works with it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

LayerKind = Literal[
    "Conv2D",
    "Conv2DTranspose",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "BatchNormalization",
    "InstanceNormalization",
    "ContribInstanceNormalization",
    "ReflectionPadding2D",
    "ZeroPadding2D",
    "Cropping2D",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "UpSampling2D",
    "AveragePooling2D",
    "MaxPooling2D",
    "GlobalAveragePooling2D",
    "Add",
    "Multiply",
    "Concatenate",
    "SpaceToDepth",
    "DepthToSpace",
]

LAYERS_LIMIT = 2000
"""Most layers of a generator, and most calls of them; a CycleGAN generator has some 100."""
INPUT = "input"
"""Name by which layers refer to the generator's input image."""


@dataclass(frozen=True, kw_only=True)
class LayerDescription:
    """One layer: its kind, the arguments of the Keras 3 layer of that name, and the names of its inputs."""

    name: str
    kind: LayerKind
    config: Mapping[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GeneratorDescription:
    """Description of a whole generator.

    `weights` maps `layer/role` to an array, where role is `kernel`, `depthwise_kernel`, `pointwise_kernel`, `bias`,
    `gamma`, `beta`, `moving_mean`, `moving_variance` or `alpha`; layouts are Keras's (height, width, in, out).
    """

    source_format: str
    """Format of the file, for people: `PyTorch CycleGAN ResNet (.pth)`."""
    input_shape: tuple[int | None, int | None, int]
    layers: tuple[LayerDescription, ...]
    output: str
    weights: Mapping[str, np.ndarray]

    def save(self, path: Path) -> None:
        """Write the description as one `.npz` without pickles."""
        record = asdict(self) | {"weights": None}
        text = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {"description": text, **self.weights}
        np.savez(path, **arrays)

    @staticmethod
    def load(path: Path) -> "GeneratorDescription":
        """Read a description that `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files if name != "description"}
            record = json.loads(archive["description"].tobytes())
        layers = tuple(
            LayerDescription(**(layer | {"inputs": tuple(layer["inputs"])})) for layer in record.pop("layers")
        )
        shape = tuple(record.pop("input_shape"))
        return GeneratorDescription(**(record | {"weights": weights, "layers": layers, "input_shape": shape}))
