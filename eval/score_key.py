"""Keys and names of scores. Scores with different keys are different quantities and are never compared."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from compress.console.installing import install_command
from compress.errors import UnusableData, UsageError
from compress.images import has_colours_to_convert
from compress.strict_json import Bounds, Length, Sha256
from eval.config import ExtractorName, NetworkName

READER = "cut to the fakes' aspect ratio and Lanczos to their size, where it differs"
PROFILE_READER = f"in sRGB by their colour profiles, {READER}"
"""Reader of images of which one carries a colour profile that is followed. Earlier versions did not follow any, so
their scores and features of such images are other quantities, and those of all others the same."""

Count = Annotated[int, Bounds(1, 10**7)]
Text = Annotated[str, Length(0, 500)]

_PACKAGES: Mapping[ExtractorName, tuple[str, ...]] = {
    "litert": ("ai-edge-litert", "numpy", "pillow"),
    "torch-fidelity": ("torch-fidelity", "torch", "numpy", "pillow"),
}


@dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """Everything but the generated images that a score depends on."""

    real_sha256: Sha256
    """`content_sha256` of the reference images."""
    real_images: Count
    fake_images: Count
    """Number of generated images: the Fréchet distance falls with it, so sets of different sizes do not compare."""
    image_size_px: tuple[Count, Count]
    """Height and width of the fakes, to which the reference is fitted."""
    network: NetworkName
    layer: Text
    weights_sha256: Sha256
    reader: Text
    resizer: Text
    """The network's own way of bringing images to its size."""
    kid_subsets: Count
    kid_subset_size: Count
    seed: Annotated[int, Bounds(0, 2**32 - 1)]
    versions: Annotated[Mapping[str, Text], Length(0, 32)]

    def to_mapping(self) -> dict[str, Any]:
        """Return the key as JSON holds it."""
        return asdict(self) | {"image_size_px": list(self.image_size_px)}


Metric = Literal["kid", "fd", "precision", "recall", "perceptual"]


def metric_name(metric: Metric, network: NetworkName) -> str:
    """Return the name of a metric: KID and FID are those of Inception features alone, all others name their network."""
    if network == "inception" and metric in ("kid", "fd"):
        return "fid" if metric == "fd" else metric
    return f"{metric}_{network.replace('-', '_')}"


def is_distance(name: str) -> bool:
    """Return whether a name of `metric_name` is that of a distance to the reference."""
    return name.split("_")[0] in ("kid", "fid", "fd")


def is_kernel_distance(name: str) -> bool:
    """Return whether a name of `metric_name` is that of a kernel distance, which has a mean and a spread."""
    return name.split("_")[0] == "kid"


def least_difference(name: str) -> float:
    """Return the smallest difference of a metric that a picture shows as one: kernel distance, Fréchet, or decibels."""
    if is_kernel_distance(name):
        return 0.01
    return 5.0 if is_distance(name) else 1.0


def content_sha256(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over the names and bytes of image files, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        _update(digest, path)
    return digest.hexdigest()


def reader_of(paths: Iterable[Path]) -> str:
    """Return how image files are read, as keys tell it."""
    return PROFILE_READER if any(has_colours_to_convert(path) for path in paths) else READER


def describe_content(paths: Iterable[Path]) -> tuple[str, str]:
    """Return `content_sha256` and `reader_of` of image files, each of which is looked at once and then let go."""
    digest, reader = hashlib.sha256(), READER
    for path in paths:
        _update(digest, path)
        reader = reader if reader == PROFILE_READER else reader_of([path])
    return digest.hexdigest(), reader


def _update(digest: "hashlib._Hash", path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{path.name}\0{len(content)}\0".encode())
    digest.update(content)


def package_versions(extractor: ExtractorName = "litert") -> dict[str, str]:
    """Return the versions of the packages that read the images and compute the features and the scores.

    They keep apart what different extractors computed, too.

    Raises:
        UsageError: If one is not installed.
    """
    try:
        return {package: metadata.version(package) for package in _PACKAGES[extractor]}
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            f"--extractor {extractor} needs the package {error.name}: {install_command('torch')}."
        ) from error


def require_one_key(keys: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that scores were measured alike, so that they may stand side by side.

    Args:
        keys: By the name of what was scored, the `key` that its scores carry.

    Raises:
        UnusableData: If two differ, naming them and in what.
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
