"""Reader of PyTorch checkpoints: finds the generator and describes it by the family that knows its layers' numbers.

`compress.torch_file` reads it without PyTorch and without running any code.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import Convention, GeneratorDescription
from compress.teachers.pytorch import resnet, unet
from compress.teachers.pytorch.layers import is_convolution
from compress.teachers.pytorch.networks import Layers, Network, choose, find_networks, short_names
from compress.teachers.pytorch.safetensors import read_safetensors
from compress.teachers.pytorch.unseen import unseen_layers
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.torch_file.read import read_state

FAMILIES = (unet, resnet)


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a checkpoint: a state dict, or a dict that holds one.

    Raises:
        UnusableModel: If the file is damaged, holds more than data, no known generator, or several.
        UsageError: If what the user says does not go with it.
    """
    return _describe_content(read_state(path), reading, ".pth")


def describe_safetensors(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a safetensors file, whose names are those of a state dict.

    Raises:
        UnusableModel: As `describe`.
        UsageError: As `describe`.
    """
    return _describe_content(read_safetensors(path), reading, ".safetensors")


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a file that holds nothing but one state dict.

    Returns:
        Each tensor as float32, by its name.

    Raises:
        UnusableModel: If the file is damaged or holds something else.
    """
    content = read_state(path)
    if not isinstance(content, Mapping) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise UnusableModel(f"it holds {_summary(content)}; expected tensors by their names.")
    return {str(name): _to_float(value) for name, value in content.items()}


def _describe_content(content: Any, reading: ReadingConfig, suffix: str) -> GeneratorDescription:
    networks = list(find_networks(content))
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
        return network.layers(_to_float)
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


def _to_float(tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype.kind == "c":
        raise UnusableModel(f"a tensor of shape {tensor.shape} holds complex numbers, which no layer known here has.")
    return tensor.astype(np.float32, copy=False)


def _summary(content: Any) -> str:
    if isinstance(content, np.ndarray):
        return f"one tensor of shape {content.shape}"
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    names = ", ".join(printable_name(str(name)) for name in list(content)[:3])
    return f"{len(content)} entries ({names}, ...)" if names else "nothing"
