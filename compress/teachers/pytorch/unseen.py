"""Layers that have no weights, so that a file tells at most their number: what they are assumed to be, and may be."""

from dataclasses import dataclass, field

from compress.errors import UsageError
from compress.teachers.description import Convention
from compress.teachers.graph_writer import GraphWriter

_CHOICES: dict[str, tuple[str, ...]] = {
    "Tanh": ("tanh", "sigmoid", "identity"),
    "Norm": ("instance_norm", "identity"),
    "OuterPadding": ("reflection_pad", "replication_pad", "zero_pad"),
    "Upsample": ("nearest", "bilinear"),
    "Downsample": ("blur", "average_pool", "max_pool"),
}
"""What each may be; the first is assumed."""
_FLAG, _RANGE_FLAG = "--layer-as", "--value-range"
_TOPICS = {
    "Tanh": "last activation",
    "Norm": "norm",
    "OuterPadding": "outer padding",
    "Upsample": "upsampling",
    "Downsample": "downsampling",
}


@dataclass
class UnseenLayers:
    """The layers without weights of one network, as `--layer-as` says or as they are most often."""

    said: dict[str, str]
    conventions: list[Convention] = field(default_factory=list)

    def kind_of(self, name: str, because: str) -> str:
        """Return what a layer is, and note how that is known.

        Args:
            name: `Norm`, `OuterPadding`, `Upsample` or `Downsample`.
            because: What shows that there is such a layer.
        """
        value = self.said.get(name, _CHOICES[name][0])
        if _TOPICS[name] not in self.topics():
            if name in self.said:
                told = Convention(
                    topic=_TOPICS[name], value=value, basis="set", because="--layer-as was given", flag=_FLAG
                )
            else:
                told = _assume(name, topic=_TOPICS[name], value=value, because=because, flag=_FLAG)
            self.conventions.append(told)
        return value

    def topics(self) -> set[str]:
        """Return what has been noted."""
        return {convention.topic for convention in self.conventions}

    def add_last(self, writer: GraphWriter) -> None:
        """Write the last activation."""
        kind = self.said.get("Tanh", "tanh")
        if kind != "identity":
            writer.add("Activation", {"activation": kind})
        if "Tanh" not in self.said:
            because = "its family ends in tanh, which has no weights"
            self.conventions.append(
                _assume("Tanh", topic="value range out", value="-1..1", because=because, flag=_RANGE_FLAG)
            )

    def require_used(self) -> None:
        """Refuse what was said about layers that the network has none of.

        Raises:
            UsageError: With their name.
        """
        used = self.topics() | {_TOPICS["Tanh"]}
        if unused := [name for name in self.said if _TOPICS[name] not in used]:
            raise UsageError(f"layer_as = {unused[0]}={self.said[unused[0]]}, but it has no such layer. Leave it out.")


def unseen_layers(layer_as: tuple[str, ...]) -> UnseenLayers:
    """Return the layers without weights as the user says.

    Raises:
        UsageError: If a name or a kind is not known.
    """
    said = {}
    for one in layer_as:
        name, _, kind = one.partition("=")
        if kind not in _CHOICES.get(name, ()):
            known = "; ".join(f"{known}={'|'.join(kinds)}" for known, kinds in _CHOICES.items())
            raise UsageError(f"layer_as = {one}, which no layer of a PyTorch file is; expected one of {known}.")
        said[name] = kind
    return UnseenLayers(said)


def _assume(name: str, *, topic: str, value: str, because: str, flag: str) -> Convention:
    """Return what is assumed of a layer, with what else may be said of it."""
    otherwise = tuple(f"{name}={other}" for other in _CHOICES[name][1:])
    reason = f"{because}; --layer-as {', '.join(otherwise)} says otherwise"
    return Convention(topic=topic, value=value, basis="assumed", because=reason, flag=flag, otherwise=otherwise)
