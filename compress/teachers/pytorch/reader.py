"""Reader of PyTorch checkpoints: finds the generator and describes it by the family that knows its layers' numbers.

`weights_only=True` keeps code from running; `file` has checked before that nothing unpacks to many times its size.
"""

import argparse
import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import Convention, GeneratorDescription
from compress.teachers.pytorch import file, resnet, unet
from compress.teachers.pytorch.layers import is_convolution
from compress.teachers.pytorch.networks import Layers, Network, choose, find_networks, short_names
from compress.teachers.pytorch.safetensors import read_safetensors
from compress.teachers.pytorch.unseen import unseen_layers
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

FAMILIES = (unet, resnet)


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a checkpoint: a state dict, or a dict that holds one.

    Raises:
        UnusableModel: If PyTorch is not installed, the file holds more than tensors, no known generator, or several.
        UsageError: If what the user says does not go with it.
    """
    file.check_declared_sizes(path)
    return _describe_content(path, _load(path), reading, ".pth")


def describe_safetensors(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a safetensors file, whose names are those of a state dict; PyTorch is not needed.

    Raises:
        UnusableModel: As `describe`.
        UsageError: As `describe`.
    """
    return _describe_content(path, read_safetensors(path), reading, ".safetensors")


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
        # Training loops save their flags along: a Namespace is data and holds no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own words advise to load with code that the file holds.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        held = f"{named[1]}, " if named else ""
        raise UnusableModel(
            f"it holds more than tensors ({held}perhaps a whole pickled model), and code in a file is never run; "
            "save generator.state_dict() instead."
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UnusableModel(
            f"PyTorch cannot read its tensors ({type(error).__name__}); the checkpoint is truncated or damaged."
        ) from error


def _describe_content(path: Path, content: Any, reading: ReadingConfig, suffix: str) -> GeneratorDescription:
    networks = list(find_networks(content))
    file.check_tensor_sizes(path, [tensor for one in networks for tensor in one.all_tensors()])
    read = [(network, _read_layers(network)) for network in networks]
    known = [(network, layers) for network, layers in read if isinstance(layers, dict) and _family(layers)]
    if not known:
        raise _no_generator(content, read)
    generators = [network for network, _ in known]
    chosen = choose(generators, reading.weights_key)
    layers = next(layers for network, layers in known if network is chosen)
    unseen = unseen_layers(reading.layer_as)
    described = _family(layers).describe(layers, reading.padding, unseen)
    unseen.require_used()
    conventions = (*_which(generators, chosen), *described.conventions, *unseen.conventions)
    return replace(described, source_format=f"{described.source_format} ({suffix})", conventions=conventions)


def _read_layers(network: Network) -> Layers | UnusableModel:
    """Return a network's layers, or what keeps them from being read: another network may be the generator."""
    try:
        return network.layers(_to_numpy)
    except UnusableModel as error:
        return error


def _family(layers: Layers) -> Any:
    return next((family for family in FAMILIES if family.misfit(layers) is None), None)


def _which(generators: list[Network], chosen: Network) -> list[Convention]:
    if len(generators) == 1:
        return []
    names = dict(zip(map(id, generators), short_names(generators), strict=True))
    because = f"the file holds {', '.join(sorted(names.values()))}"
    flag = "--weights-key"
    return [Convention(topic="generator", value=names[id(chosen)], basis="set", because=because, flag=flag)]


def _no_generator(content: Any, read: list[tuple[Network, Layers | UnusableModel]]) -> UnusableModel:
    """Return the error for a file without a generator: what its largest network lacks, by the family nearest to it."""
    expected = (
        "no generator known here has weights of these names; expected a state dict of pytorch-CycleGAN-and-pix2pix, "
        f"CUT, gan-compression or a relative, but it holds {_summary(content)}."
    )
    if not read:
        return UnusableModel(expected)
    network, layers = max(read, key=lambda one: len(one[0].tensors))
    name = printable_name(network.name) or "the network in it"
    if isinstance(layers, UnusableModel):
        return UnusableModel(f"{expected} What is nearest, {name}: {layers}")
    nested = len({len(place) for place in layers}) > 2
    family = unet if nested else resnet
    kernels = [one["weight"].shape for one in layers.values() if is_convolution(one)]
    taken = f", convolutions from {kernels[0][1]} to {kernels[-1][0]} channels" if kernels else ""
    lacking = f"is not {family.NAME}: {family.misfit(layers)}"
    return UnusableModel(f"{expected} What is nearest, {name} ({len(layers)} layers{taken}), {lacking}.")


def _to_numpy(tensor: Any) -> np.ndarray:
    return tensor if isinstance(tensor, np.ndarray) else tensor.detach().float().numpy()


def _summary(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = ", ".join(printable_name(str(name)) for name in list(content)[:3])
    return f"{len(content)} entries ({names}, ...)" if names else "nothing"
