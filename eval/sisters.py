"""Sisters: networks of one family, trained on the same photos, of which one trained a student and the other scores it.

What deceives one of them is likely to deceive the other, so the score flatters such a student.

Source: Kynkaanniemi et al. 2022, The Role of ImageNet Classes in Frechet Inception Distance, arXiv:2203.06026.
"""

import json
from pathlib import Path

from compress.artifact import TRANSLATION_NAME
from compress.errors import UnusableData
from eval.config import NetworkName

_FAMILY = "efficientnet"


def read_trained_with(fake: Path) -> str | None:
    """Read which pretrained network the model of a folder's images was trained with; None where nothing tells.

    Raises:
        UnusableData: If the file that should tell is torn.
    """
    path = fake / TRANSLATION_NAME
    if not path.is_file():
        return None
    try:
        trained_with = json.loads(path.read_text(encoding="utf-8"))["trained_with"]
        if not isinstance(trained_with, str):
            raise ValueError(f"trained_with is {trained_with!r}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UnusableData(f"{path} cannot be used ({error}); translate the images anew.") from error
    return trained_with


def is_sister(network: NetworkName, trained_with: str) -> bool:
    """Return whether the network that scores is of the family of the one that a student was trained with."""
    return network.startswith(_FAMILY) and trained_with.startswith(_FAMILY)


def explain_kinship(network: NetworkName, trained_with: str) -> str | None:
    """Return the note that a score carries where the network may be a sister; None where it is none."""
    if is_sister(network, trained_with):
        return (
            f"{network} is a sister of {trained_with}, which these images' model was trained with: the distances "
            "flatter it (arXiv:2203.06026). --network squeezenet is of another kind."
        )
    if trained_with.endswith(".keras"):
        return (
            f"these images' model was trained with {trained_with}; where {network} is a sister of that, the distances "
            "flatter it."
        )
    return None
