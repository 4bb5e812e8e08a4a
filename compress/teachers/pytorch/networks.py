"""Networks in a checkpoint: groups of tensors whose names share what stands before the first number.

`module.netG_A.model.10.conv_block.1.weight` belongs to `module.netG_A.model`, at the place (10, 1) within it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.errors import UnusableModel, UsageError
from compress.printable import printable_name
from compress.teachers.pytorch.folding import fold
from compress.teachers.pytorch.layers import Parameters

NESTING_LIMIT = 4
"""Dicts within dicts in which networks are looked for."""
_ROLES = (
    r"weight|bias|running_mean|running_var|num_batches_tracked|filt|weight_(?:orig|u|v|g|mask)"
    r"|parametrizations\.weight\.(?:original[01]?|0\._[uv])"
)
_NAME = re.compile(rf"((?:(?!\d+\.)[^.]+\.)*)(\d{{1,4}}(?:\.[^.]+)*?)\.({_ROLES})", re.ASCII)
_NUMBERED = re.compile(r"((?:(?!\d+\.)[^.]+\.)*)\d{1,4}\..+", re.ASCII)

Place = tuple[int, ...]
"""Numbers in the name of a layer, from the outermost: (10, 1) of `model.10.conv_block.1`."""
Layers = dict[Place, Parameters]
"""Parameters of each layer of a network, kernels folded into plain ones, by its place and in its order."""


@dataclass
class Network:
    """One network of a checkpoint: tensors by the path of their layer and their role there."""

    name: str
    """Where it lies in the file: `G_A.model`; empty for one that is the whole file."""
    tensors: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    """Names among its own that no layer known here has."""

    def layers(self, to_float: Callable[[np.ndarray], np.ndarray]) -> Layers:
        """Return the network's layers by their places.

        Raises:
            UnusableModel: If a name or a parametrization is not known.
        """
        if self.foreign:
            raise UnusableModel(f"it has a tensor {printable_name(self.foreign[0])}, which no layer known here has.")
        found: Layers = {}
        for path, stored in self.tensors.items():
            parts = path.split(".")
            place = tuple(int(part) for part in parts if part.isdecimal())
            if place in found or not parts[-1].isdecimal():
                raise UnusableModel(f"layer {printable_name(path)} has a name where its number was expected.")
            found[place] = fold({role: to_float(value) for role, value in stored.items()})
        return dict(sorted(found.items()))


def find_networks(content: Any, place: str = "", depth: int = NESTING_LIMIT) -> Iterator[Network]:
    """Yield all networks in a checkpoint: a state dict, or dicts that hold some."""
    if not isinstance(content, Mapping) or depth == 0:
        return
    found: dict[str, Network] = {}
    for key, value in content.items():
        name = str(key)
        if isinstance(value, Mapping):
            yield from find_networks(value, f"{place}{name}.", depth - 1)
        elif isinstance(value, np.ndarray) and (match := _NUMBERED.fullmatch(name)):
            network = found.setdefault(match[1], Network(f"{place}{match[1]}".strip(".")))
            known = _NAME.fullmatch(name)
            if known:
                network.tensors.setdefault(known[2], {})[known[3]] = value
            else:
                network.foreign.append(name)
    yield from found.values()


def short_names(networks: Sequence[Network]) -> list[str]:
    """Return what tells networks apart: their names without the words with which all of them begin or end.

    Nor with those of `DataParallel`, which calls what it wraps `module`.
    """
    parts = [[part for part in network.name.split(".") if part != "module"] for network in networks]
    for end in (-1, 0):
        while len(parts) > 1 and all(len(one) > 1 for one in parts) and len({one[end] for one in parts}) == 1:
            parts = [one[:-1] if end else one[1:] for one in parts]
    return [printable_name(".".join(one)) or "(the file itself)" for one in parts]


def choose(networks: Sequence[Network], key: str | None) -> Network:
    """Return the network that the user means.

    Args:
        networks: All generators in the file, at least one.
        key: What the user calls it: its name, its short name, or whole words of its name; None for the only one.

    Raises:
        UnusableModel: If there are several and no key.
        UsageError: If the key is of none or of several.
    """
    names = short_names(networks)
    if key is None:
        if len(networks) == 1:
            return networks[0]
        averages = [name for name in names if "ema" in re.split(r"[._]", name.lower())]
        hint = f" {averages[0]} is the moving average that most programs translate with." if averages else ""
        raise UnusableModel(
            f"it holds {len(networks)} generators ({', '.join(sorted(names))}); pass --weights-key and one of these."
            f"{hint}"
        )
    exact = [one for one, name in zip(networks, names, strict=True) if key in (name, one.name)]
    matching = exact or [one for one in networks if f".{key}." in f".{one.name}."]
    if len(matching) != 1:
        found = "several generators" if matching else "no generator"
        raise UsageError(f"weights_key = {key} is {found} in it; expected one of {', '.join(sorted(names))}.")
    return matching[0]
