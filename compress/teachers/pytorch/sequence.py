"""Layers of a numbered `nn.Sequential`: what its numbers tell of the layers between, which have no weights.

A padding, an upsampling, an activation and most norms leave nothing in a file but their number, which the next layer
does not have: `model.10.conv_block.0` is a convolution that pads itself, `model.10.conv_block.1` one behind a padding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.pytorch.layers import Parameters, is_convolution, is_norm, unfit_tensors

Block = dict[tuple[int, ...], Parameters]
"""Layers of a residual block, by their places within it."""
Member = tuple[int, Parameters | None, Block]
"""Number of a layer with its parameters, or of a block with those of its layers."""


@dataclass
class Step:
    """A convolution, the norm behind it, and what comes before it."""

    number: int
    convolution: Parameters
    norm: Parameters | None
    """None where it has none, empty where the file holds nothing of it."""
    unseen: int
    """Layers without weights between it and the activation before."""
    blur: np.ndarray | None = None
    """Filter of CUT's down- or upsampling before it, `(channels, 1, height, width)`."""
    depthwise: tuple[Parameters, Parameters | None] | None = None
    """Convolution and norm before it, where it is the second half of a separable one."""


@dataclass
class ResidualBlock:
    """Two convolutions that are added to what they read."""

    number: int
    steps: list[Step]
    unseen: int
    """Layers without weights between it and the activation or block before."""
    blur: np.ndarray | None = None
    padded: bool = False
    """Whether a layer pads for its convolutions; else they do so themselves, with zeros."""


def read_steps(layers: Mapping[tuple[int, ...], Parameters], *, normed: bool) -> list[Step | ResidualBlock]:
    """Return the steps of a network in their order.

    Args:
        layers: Parameters of its layers by their places.
        normed: Whether each convolution but the last has a norm, also where the file holds nothing of it.

    Raises:
        UnusableModel: If there is a layer of another kind, or its numbers leave no room for what must be there.
    """
    return _Walk(normed).over(_members(layers))


def _members(layers: Mapping[tuple[int, ...], Parameters]) -> list[Member]:
    """Return the layers at the outermost level, and the blocks there."""
    members: dict[int, Block] = {}
    for (number, *inner), parameters in layers.items():
        members.setdefault(number, {})[tuple(inner)] = parameters
    if mixed := [number for number, member in members.items() if () in member and len(member) > 1]:
        raise UnusableModel(f"its layer {mixed[0]} has weights of its own and layers within it.")
    return [(number, member.get(()), member) for number, member in sorted(members.items())]


class _Walk:
    """Walk over layers in their order that counts the numbers of which the file says nothing."""

    def __init__(self, normed: bool) -> None:
        self.normed = normed
        self.expected, self.unseen = 0, 0
        self.blur: np.ndarray | None = None
        self.steps: list[Step | ResidualBlock] = []

    def over(self, members: Iterable[Member]) -> list[Step | ResidualBlock]:
        for number, member, block in members:
            if member is None:
                self._enter(number, width=1)
                self.steps.append(_read_block(number, block, self.normed, *self._taken()))
            elif is_convolution(member):
                # Behind it come an activation and, where there is one, a norm.
                self._enter(number, width=3 if self.normed else 2)
                norm: Parameters | None = {} if self.normed else None
                unseen, blur = self._taken()
                self.steps.append(Step(number, member, norm, unseen, blur))
            elif is_norm(member):
                self._take_norm(number, member)
            elif "filt" in member and self.blur is None:
                self._enter(number, width=1)
                self.blur = member["filt"]
            else:
                raise unfit_tensors(f"its layer {number}", member)
        return self.steps

    def _enter(self, number: int, width: int) -> None:
        self.unseen += number - self.expected
        self.expected = number + width
        if self.unseen < 0:
            raise UnusableModel(f"its numbers leave no room for a norm and an activation before layer {number}.")

    def _taken(self) -> tuple[int, np.ndarray | None]:
        taken = self.unseen, self.blur
        self.unseen, self.blur = 0, None
        return taken

    def _take_norm(self, number: int, member: Parameters) -> None:
        last = self.steps[-1] if self.steps else None
        if not isinstance(last, Step) or number != last.number + 1 or last.norm:
            raise UnusableModel(f"its layer {number} is a norm that stands behind no convolution.")
        last.norm = member
        self.expected = number + 2


def _read_block(number: int, block: Block, normed: bool, unseen: int, blur: np.ndarray | None) -> ResidualBlock:
    halves = {inner: half for inner, _, half in _members(block)}
    plain = [(inner, half[max(half)], half) for inner, half in halves.items()]
    steps = [step for step in _Walk(normed).over(plain) if isinstance(step, Step)]
    for step in steps:
        if () not in halves[step.number]:
            step.depthwise = _depthwise(halves[step.number])
    padded = bool(steps) and steps[0].unseen == 1
    if len(steps) != 2 or steps[0].unseen > 1 or steps[1].unseen - padded not in (0, 1):
        raise UnusableModel(
            f"its block {number} has convolutions at {_shown(steps)}; expected two, plain or separable, each behind a "
            "padding or neither, with a norm, an activation and perhaps a dropout between them."
        )
    return ResidualBlock(number, steps, unseen, blur, padded)


def _depthwise(half: Block) -> tuple[Parameters, Parameters | None]:
    """Return the convolution of each channel, and its norm, of a separable convolution."""
    (first, *rest) = sorted(half)
    norm: Parameters | None = half[rest[0]] if len(rest) == 2 else {}
    if rest and rest[-1][-1] - first[-1] == 1:
        norm = None
    weight = half[first].get("weight")
    if len(rest) not in (1, 2) or weight is None or weight.ndim != 4 or weight.shape[1] != 1:
        raise UnusableModel("a convolution of its blocks has parts that are not those of a separable one.")
    return half[first], norm


def _shown(steps: Sequence[Step]) -> str:
    return ", ".join(str(step.number) for step in steps) or "no place"
