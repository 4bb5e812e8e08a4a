"""Feature networks: the FID's own Inception where its weights can be had, else one that comes as a package.

`score_key.metric_name` names the scores in their features.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from compress.artifact import require_content
from compress.console.installing import install_command
from compress.errors import UnusableModel, UsageError
from eval.config import ExtractorName, NetworkName
from eval.features import fetched, resizers
from eval.features.ahead import count_cores
from eval.features.graphs import efficientnet_lite0, inception, squeezenet
from eval.features.graphs.assembly import FeatureGraph
from eval.features.litert import LitertExtractor
from eval.features.weights import WEIGHTS_SHA256, read_weights, require_weights

_LAYERS: dict[NetworkName, str] = {
    "inception": str(inception.FEATURES),
    "efficientnet-lite0": str(efficientnet_lite0.FEATURES),
    "squeezenet": str(squeezenet.FEATURES),
}
_RESIZERS: dict[NetworkName, str] = {
    "inception": f"TensorFlow 1 bilinear to {inception.SIDE_PX}x{inception.SIDE_PX}",
    "efficientnet-lite0": f"antialiased bilinear to {efficientnet_lite0.SIDE_PX}x{efficientnet_lite0.SIDE_PX}",
    "squeezenet": f"antialiased bilinear to {squeezenet.SIDE_PX}x{squeezenet.SIDE_PX}",
}
# Five modules of growing depth and falling resolution, as LPIPS takes them from its networks.
_STAGES: dict[NetworkName, tuple[str, ...]] = {
    "inception": inception.STAGES,
    "efficientnet-lite0": tuple(f"network._blocks.{block}" for block in efficientnet_lite0.STAGES),
    "squeezenet": tuple(f"network.layers.features.{layer}" for layer in (1, *squeezenet.STAGES)),
}

_log = logging.getLogger(__name__)


class Extractor(Protocol):
    """A loaded network."""

    batch_size: int
    """Images that it is best given at once."""
    workers: int
    """Threads that may ask it for something at once."""

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the features of images, `(height, width, 3)` uint8 each: `(images, features)` float32."""
        ...

    def activations(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what each stage makes of images: `(images, height, width, channels)` float32."""
        ...


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """A network, loaded at its first use, and all that a score's key says about it."""

    name: NetworkName
    weights: Path
    weights_sha256: str
    layer: str
    resizer: str
    stages: tuple[str, ...]
    """Modules of torch-fidelity's extractor whose outputs perceptual distances compare, from edges to objects."""
    extracted_by: ExtractorName = "litert"
    cores: int = field(default_factory=count_cores)
    """Cores that it, and the reading of its images, may use. They change nothing but speed and memory."""

    @property
    def width(self) -> int:
        """Number of features of an image; torch-fidelity names layers by it."""
        return int(self.layer)

    @cached_property
    def extractor(self) -> Extractor:
        """The loaded network.

        Raises:
            UnusableModel: If the weights are not those of the network.
            UsageError: If torch-fidelity is asked for and not installed.
        """
        return _load_extractor(self)


def choose_network(
    name: Literal["auto", NetworkName], inception_weights: Path | None, extractor: ExtractorName = "litert"
) -> FeatureNetwork:
    """Choose the network that a configuration asks for, or with `auto` the best that can be had.

    Raises:
        UsageError: If weights for one network are given and another one is asked for, or the package that carries a
            network's weights is not installed.
        UnusableModel: If the weights cannot be had.
    """
    if name not in ("auto", "inception") and inception_weights is not None:
        raise UsageError(f"--inception-weights belongs to --network inception, but got {name}.")
    found, weights = _find_weights(name, inception_weights)
    require_content(
        weights,
        WEIGHTS_SHA256[found],
        what=f"the weights of the {found} feature network",
        remedy="Scores in features of other weights would bear the wrong name; get a whole copy.",
    )
    return FeatureNetwork(
        name=found,
        weights=weights,
        weights_sha256=WEIGHTS_SHA256[found],
        layer=_LAYERS[found],
        resizer=_RESIZERS[found],
        stages=_STAGES[found],
        extracted_by=extractor,
    )


def _find_weights(name: Literal["auto", NetworkName], inception_weights: Path | None) -> tuple[NetworkName, Path]:
    if name in ("efficientnet-lite0", "squeezenet"):
        return name, require_weights(name)
    if inception_weights is not None:
        return "inception", inception_weights
    if name == "auto" and (ago_s := fetched.failed_s_ago()) is not None:
        _log.info(
            "scoring in EfficientNet-Lite0 features, no FID or KID: the FID Inception network's weights could not be "
            "fetched %.0f minutes ago; --network inception tries again",
            ago_s / 60,
        )
        return "efficientnet-lite0", require_weights("efficientnet-lite0")
    try:
        return "inception", fetched.find_or_fetch_inception()
    except UnusableModel as error:
        if name == "inception":
            raise
        _log.warning("%s Scoring in EfficientNet-Lite0 features instead: these scores are no FID or KID.", error)
        return "efficientnet-lite0", require_weights("efficientnet-lite0")


def _load_extractor(network: FeatureNetwork) -> Extractor:
    if network.extracted_by == "torch-fidelity":
        return _load_torch_fidelity(network)
    build = partial(_build_graph, network.name, network.weights)
    if network.name == "inception":
        return LitertExtractor(build, resizers.prepare_inception, cores=network.cores)
    if network.name == "efficientnet-lite0":
        return LitertExtractor(build, resizers.prepare_lite0, cores=network.cores)
    return LitertExtractor(build, resizers.prepare_squeezenet, cores=network.cores, scale=squeezenet.FEATURE_SCALE)


def _build_graph(name: NetworkName, weights: Path) -> FeatureGraph:
    builders = {
        "inception": inception.build, "efficientnet-lite0": efficientnet_lite0.build, "squeezenet": squeezenet.build,
    }  # fmt: skip
    return builders[name](read_weights(name, weights))


def _load_torch_fidelity(network: FeatureNetwork) -> Extractor:
    # PyTorch's threads spin while they wait for each other: beside other work on the same cores that makes scoring four
    # times slower. PyTorch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        from eval.features.pytorch.extractors import TorchExtractor
    except ImportError as error:
        raise UsageError(
            f"--extractor torch-fidelity needs more packages ({error}): {install_command('torch')}."
        ) from error
    return TorchExtractor(network.name, network.weights, network.stages)
