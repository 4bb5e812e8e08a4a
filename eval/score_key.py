"""What a score was measured against. Scores with different keys are different quantities and are never compared."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from compress.errors import UnusableData
from eval.config import NetworkName

READER = "cut to the fakes' aspect ratio and Lanczos to their size, where it differs"

_PACKAGES = ("torch-fidelity", "torch", "numpy", "pillow")


@dataclass(frozen=True, kw_only=True)
class ReferenceKey:
    """Everything beside the fakes that a score depends on."""

    real_sha256: str
    """Of the reference images: their names and bytes."""
    real_images: int
    fake_images: int
    """The Fréchet distance falls with the number of images, so sets of different sizes do not compare."""
    image_size_px: tuple[int, int]
    """Height and width of the fakes, to which the reference is fitted."""
    network: NetworkName
    layer: str
    weights_sha256: str
    reader: str
    resizer: str
    """How the network brings images to its own size."""
    kid_subsets: int
    kid_subset_size: int
    seed: int
    versions: Mapping[str, str]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"image_size_px": list(self.image_size_px)}


Metric = Literal["kid", "fd", "precision", "recall", "perceptual"]


def metric_name(metric: Metric, network: NetworkName) -> str:
    """Name a score honestly: KID and FID are names for Inception features alone; all others name their network."""
    if network == "inception" and metric in ("kid", "fd"):
        return "fid" if metric == "fd" else metric
    return f"{metric}_{network.replace('-', '_')}"


def is_distance(name: str) -> bool:
    """Whether `metric_name` gives this name to a distance to the reference."""
    return name.split("_")[0] in ("kid", "fid", "fd")


def is_kernel_distance(name: str) -> bool:
    """Whether it gives it to a kernel distance, which has a mean and a spread."""
    return name.split("_")[0] == "kid"


def content_sha256(paths: Sequence[Path]) -> str:
    """SHA-256 over the names and bytes of image files, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def package_versions() -> dict[str, str]:
    """The versions of what reads the images and computes the scores."""
    return {package: metadata.version(package) for package in _PACKAGES}


def refuse_other_keys(keys: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to set scores side by side that were measured against different references.

    Args:
        keys: By the name of what was scored, the `key` that its scores carry.

    Raises:
        UnusableData: Naming two that differ and in what.
    """
    if not keys:
        return
    (first, expected), *others = keys.items()
    for name, key in others:
        names = dict.fromkeys([*expected, *key])
        different = [item for item in names if key.get(item) != expected.get(item)]
        if different:
            raise UnusableData(
                f"the scores of {first} and {name} do not compare: they differ in {', '.join(different)}. "
                "Score both anew with the same reference, network and number of images."
            )
