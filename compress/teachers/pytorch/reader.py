"""Reader of PyTorch checkpoints: finds the generator and describes it by the family that knows its weights' names.

`weights_only=True` keeps code from running; `file` has checked before that nothing unpacks to many times its size.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.pytorch import file, resnet, unet
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

FAMILIES = (resnet, unet)
NESTING_LIMIT = 4

_NETWORK = re.compile(r"^(|.*?\.)(model\.\d+\..+|model\.model\..+)$")
"""Names of a generator's weights, behind any prefix: `module.`, `netG_A.`, `generator.`, ..."""


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a checkpoint: a state dict, or a dict that holds one.

    Raises:
        UnusableModel: If PyTorch is not installed, the file holds more than tensors, no known generator, or several.
    """
    file.check_declared_sizes(path)
    content = _load(path)
    networks = {name: state for name, state in _networks(content, "", NESTING_LIMIT) if _family(state)}
    if len(networks) > 1:
        raise UnusableModel(
            f"it holds {len(networks)} generators ({', '.join(sorted(networks))}); save the state dict of one of them."
        )
    for state in networks.values():
        file.check_tensor_sizes(path, state.values())
        plain = {name: _to_numpy(value) for name, value in state.items()}
        return _family(state).describe(plain)
    raise UnusableModel(
        "no generator known here has weights of these names; expected a state dict of pytorch-CycleGAN-and-pix2pix "
        f"or gan-compression, but it holds {_summary(content)}."
    )


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a file that holds nothing but one state dict.

    Returns:
        Each tensor as float32, by its name.

    Raises:
        UnusableModel: If PyTorch is not installed, or the file holds something else.
    """
    file.check_declared_sizes(path)
    content = _load(path)
    if not isinstance(content, Mapping) or not all(hasattr(value, "numel") for value in content.values()):
        raise UnusableModel(f"it holds {_summary(content)}; expected tensors by their names.")
    file.check_tensor_sizes(path, content.values())
    return {str(name): _to_numpy(value) for name, value in content.items()}


def load_torch() -> Any:
    """Import PyTorch.

    Raises:
        UnusableModel: If it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UnusableModel("reading a .pth needs PyTorch: pip install 'pocketgan[pth]'.") from error
    return torch


def _load(path: Path) -> Any:
    torch = load_torch()
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnusableModel(
            "it holds more than tensors (perhaps a whole pickled model), and code in a file is never run; "
            "save generator.state_dict() instead."
        ) from error


def _networks(content: Any, place: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all networks in a checkpoint, by their place in it and the prefix of their names."""
    if not isinstance(content, Mapping) or depth == 0:
        return
    found: dict[str, dict[str, Any]] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _networks(value, f"{place}{name}.", depth - 1)
        elif (match := _NETWORK.match(str(name))) and hasattr(value, "numel"):
            found.setdefault(match[1], {})[match[2]] = value
    for prefix, state in found.items():
        yield (f"{place}{prefix}".strip(".") or "the file"), state


def _family(state: Mapping[str, Any]) -> Any:
    return next((family for family in FAMILIES if family.accepts(state)), None)


def _to_numpy(tensor: Any) -> np.ndarray:
    return tensor.detach().float().numpy()


def _summary(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = ", ".join(str(name) for name in list(content)[:3])
    return f"{len(content)} entries ({names}, ...)" if names else "nothing"
