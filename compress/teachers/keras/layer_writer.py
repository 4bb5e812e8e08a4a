"""Writer of one Keras layer into a description, and helpers that several kinds of layers share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.keras.config import Call

Weights = list[tuple[str, np.ndarray]]
"""Weights of a layer in the order of the file, each with its name there, or an empty one."""


@dataclass
class LayerWriter:
    """Writer of one Keras layer into a description."""

    graph: GraphWriter
    call: Call
    inputs: tuple[str, ...]
    weights: Weights
    label: str
    """Name of the layer in messages and in the description."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.call.config

    def add(self, kind: LayerKind, config: Mapping[str, Any], **weights: np.ndarray | None) -> str:
        """Write a layer that is fed by the call's inputs."""
        return self.graph.add(kind, config, inputs=self.inputs, name=self.label, weights=weights)

    def roles(self, *roles: str) -> dict[str, np.ndarray]:
        """Return the weights by role: by name where the file's names are the roles, else by order.

        Raises:
            UnusableModel: If there are more or fewer of them.
        """
        names = [name for name, _ in self.weights]
        if len(names) != len(roles):
            raise UnusableModel(
                f"{self.label} ({self.call.class_name}) has {len(names)} weights in the file; "
                f"expected {len(roles)} ({', '.join(roles) or 'none'})."
            )
        if set(names) == set(roles):
            return dict(self.weights)
        return {role: value for role, (_, value) in zip(roles, self.weights, strict=True)}

    def error(self, reason: str) -> UnusableModel:
        return UnusableModel(f"{self.label} ({self.call.class_name}) {reason}")


class UnknownLayer(UnusableModel):
    """Raised for a layer whose class is not known here."""


Handler = Callable[[LayerWriter], str]
"""Function that writes a layer and returns the name of its output."""


def spatial_pairs(layer: LayerWriter, amounts: Any) -> list[list[int]]:
    """Return amounts of padding as `[[top, bottom], [left, right]]`.

    Raises:
        UnusableModel: If they are in no known form or touch batch or channels.
    """
    pairs = np.asarray(amounts)
    if pairs.shape == (4, 2) and not pairs[[0, 3]].any():
        pairs = pairs[1:3]
    if pairs.shape not in ((), (1,), (2,), (2, 2)) or pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise layer.error(f"pads by {amounts}; expected pixels for height and width.")
    columns = pairs[:, None] if pairs.ndim == 1 else pairs
    return np.broadcast_to(columns, (2, 2)).tolist()


def write_activation(layer: LayerWriter, activation: Any) -> str:
    """Write an activation given by name, or as a function, of which Keras 3 writes name and module.

    Raises:
        UnusableModel: If it is no name or not one known here.
    """
    if isinstance(activation, Mapping) and str(activation.get("module")).startswith("keras."):
        # A layer has its configuration there, a function its name.
        activation = activation.get("config") if isinstance(activation.get("config"), str) else activation
    name = _ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    if name is None:
        given = activation_name(activation)
        raise layer.error(f"has the activation {given!r}; expected one of {', '.join(sorted(_ACTIVATIONS))}.")
    if name == "leaky_relu":
        return layer.add("LeakyReLU", {"negative_slope": 0.2})
    return layer.add("Activation", {"activation": name})


def activation_name(activation: Any) -> str:
    """Return an activation's name, for messages: of a layer its class, of a function its own."""
    if not isinstance(activation, Mapping):
        return str(activation)
    named = activation.get("config")
    return named if isinstance(named, str) else str(activation.get("class_name"))


# Only those whose meaning did not change between Keras 2 and 3 (hard_sigmoid did).
_ACTIVATIONS = {name: name for name in ("linear", "relu", "relu6", "tanh", "sigmoid", "elu", "selu", "silu")} | {
    "swish": "silu",
    "leaky_relu": "leaky_relu",
}
