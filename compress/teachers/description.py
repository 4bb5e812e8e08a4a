"""Description of a generator as plain data: every reader returns one, and `build` trusts nothing else.

A description holds no code and no object of the framework that wrote the file, so it can cross from the child process
that reads a stranger's file to the one that works with it. NumPy is loaded when one is made, since `--help`
reads this module.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
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
    "ReplicationPadding2D",
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
_LENGTH_BYTES, _ALIGNED_BYTES = 8, 64

Basis = Literal["file", "assumed", "set"]
"""Where a convention comes from: what the file shows, what such files mean most often, or what the user says."""
ValueRange = Literal["-1..1", "0..1", "0..255"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One thing that must be known to make a generator's picture and that its weights alone do not tell."""

    topic: str
    """What is read: `padding`, `value range in`."""
    value: str
    """How it is read: `reflect`, `-1..1`."""
    basis: Basis
    because: str
    """What shows it, or why it is assumed."""
    flag: str | None = None
    """The flag that says otherwise; None where there is none."""
    otherwise: tuple[str, ...] = ()
    """What `--layer-as` may say of it instead, `CLASS=LAYER` each."""


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
    conventions: tuple[Convention, ...] = ()
    """What was read from the file beside its weights, and what was assumed."""
    value_range_in: ValueRange = "-1..1"
    """Values that the first layer takes."""
    value_range_out: ValueRange = "-1..1"
    """Values that the last layer makes."""
    batch_norm_told: bool = True
    """False where BatchNorm may as likely compute with each image's own statistics as with the file's."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that its picture depends on."""
        import numpy as np

        content = hashlib.sha256(json.dumps(self._record() | {"weights": None, "conventions": None}).encode())
        for name, value in sorted(self.weights.items()):
            content.update(f"{name} {value.dtype} {value.shape}".encode())
            content.update(np.ascontiguousarray(value).tobytes())
        return content.hexdigest()

    def save(self, path: Path) -> None:
        """Write the description as one file: the length of a JSON header, the header, and all weights behind it."""
        import numpy as np

        kinds = {name: [value.dtype.str, list(value.shape)] for name, value in self.weights.items()}
        header = json.dumps(self._record() | {"weights": kinds}).encode()
        with path.open("wb") as stream:
            stream.write(len(header).to_bytes(_LENGTH_BYTES, "little") + header)
            for value in self.weights.values():
                stream.seek(-stream.tell() % _ALIGNED_BYTES, os.SEEK_CUR)
                stream.write(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)

    @staticmethod
    def load(path: Path) -> GeneratorDescription:
        """Read a description that `save` wrote; its weights are mapped and not copied, and the file may be removed."""
        with path.open("rb") as stream:
            # What is changed is copied; the file stays as it is.
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        end = _LENGTH_BYTES + int.from_bytes(mapped[:_LENGTH_BYTES], "little")
        record = json.loads(mapped[_LENGTH_BYTES:end])
        weights = dict(_map_arrays(mapped, end, record.pop("weights")))
        layers = tuple(
            LayerDescription(**(layer | {"inputs": tuple(layer["inputs"])})) for layer in record.pop("layers")
        )
        conventions = tuple(
            Convention(**(one | {"otherwise": tuple(one["otherwise"])})) for one in record.pop("conventions")
        )
        shape = tuple(record.pop("input_shape"))
        read = {"weights": weights, "layers": layers, "input_shape": shape, "conventions": conventions}
        return GeneratorDescription(**(record | read))

    def _record(self) -> dict[str, Any]:
        """Return all but the weights, which `asdict` would copy."""
        return asdict(replace(self, weights={}))


def _map_arrays(mapped: mmap.mmap, place: int, kinds: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a mapped file by their names.

    Args:
        mapped: The file.
        place: Where its header ends.
        kinds: Type and shape of each.
    """
    import numpy as np

    for name, (dtype, shape) in kinds.items():
        place += -place % _ALIGNED_BYTES
        count = math.prod(shape)
        # An empty array has no place of its own, and may be the last.
        held = np.frombuffer(mapped, dtype, count, place) if count else np.empty(0, dtype)
        yield name, held.reshape(shape)
        place += held.nbytes
