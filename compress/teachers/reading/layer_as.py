"""What a user says that layer classes of a teacher's own are: `CLASS=LAYER`."""

from collections.abc import Iterable, Sequence

from compress.errors import UsageError

LAYERS = (
    "instance_norm",
    "batch_norm",
    "reflection_pad",
    "zero_pad",
    "replication_pad",
    "identity",
    "relu",
    "leaky_relu",
    "silu",
    "tanh",
    "sigmoid",
    "add",
    "concatenate",
)
"""What a class can be. Amounts of padding, epsilons and slopes are taken from its configuration."""


def parse_layer_as(pairs: Sequence[str]) -> dict[str, str]:
    """Return the layer of each class.

    Raises:
        UsageError: If a pair is not of the form `CLASS=LAYER`, names an unknown layer, or a class comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, separator, layer = pair.partition("=")
        if not separator or not name or layer not in LAYERS:
            raise UsageError(f"layer_as = {pair}, expected CLASS=LAYER with one of the layers {', '.join(LAYERS)}.")
        if found.setdefault(name, layer) != layer:
            raise UsageError(f"layer_as says that {name} is {found[name]} and that it is {layer}; expected one.")
    return found


def require_own_classes(said: Iterable[str], classes: Iterable[str]) -> None:
    """Check that a file has all classes of which a user speaks.

    Args:
        said: Classes that the user names.
        classes: Classes of the file's own.

    Raises:
        UsageError: With the first that it has not.
    """
    own = sorted(set(classes))
    missing = [name for name in said if name not in own]
    if missing:
        known = f"; those are {', '.join(own)}" if own else ", and it has none"
        raise UsageError(f"layer_as speaks of {missing[0]}, which is no class of the file's own{known}.")
