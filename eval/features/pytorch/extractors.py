"""Feature networks as torch-fidelity's feature extractors: its own Inception, and those that come as packages."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from compress.console.environment import variables_set
from compress.errors import UnusableModel
from eval.config import NetworkName
from eval.features.graphs import efficientnet_lite0, inception, squeezenet
from eval.features.pytorch.efficientnet_lite0 import EfficientNetLite0
from eval.features.pytorch.squeezenet import SqueezeNet
from eval.features.weights import read_weights


class _PackagedExtractor(FeatureExtractorBase):
    """A network as torch-fidelity knows them: uint8 `(batch, 3, height, width)` to `(batch, features)`."""

    NAME: ClassVar[NetworkName]
    SIDE_PX: ClassVar[int]
    FEATURES: ClassVar[int]
    NETWORK: ClassVar[type[Any]]
    PREFIX: ClassVar[str] = ""
    """What the names of the module's weights begin with, beyond those in the file."""

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_options: Any
    ) -> None:
        super().__init__(name, features_list)
        self.network = self.NETWORK()
        arrays = read_weights(self.NAME, Path(feature_extractor_weights_path))
        # Copied: PyTorch wants arrays that it may write to.
        state = {f"{self.PREFIX}{name}": torch.from_numpy(array.copy()) for name, array in arrays.items()}
        self.network.load_state_dict(state, strict=True)

    @classmethod
    def get_provided_features_list(cls) -> tuple[str]:
        return (str(cls.FEATURES),)

    @classmethod
    def get_default_feature_layer_for_metric(cls, metric: str) -> str:
        return str(cls.FEATURES)

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(batch, 3, SIDE_PX, SIDE_PX)` float32, 0 to 255."""
        size = (self.SIDE_PX, self.SIDE_PX)
        return functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)


class FeatureExtractorEfficientNetLite0(_PackagedExtractor):
    """EfficientNet-Lite0, 1280 features."""

    NAME, SIDE_PX, FEATURES = "efficientnet-lite0", efficientnet_lite0.SIDE_PX, efficientnet_lite0.FEATURES
    NETWORK = EfficientNetLite0
    # The training of the TensorFlow original saw (value - 127) / 128.
    MEAN, DEVIATION = 127.0, 128.0

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network.features((self.resize(input) - self.MEAN) / self.DEVIATION),)


class FeatureExtractorSqueezeNet(_PackagedExtractor):
    """SqueezeNet 1.1, 512 features."""

    NAME, SIDE_PX, FEATURES = "squeezenet", squeezenet.SIDE_PX, squeezenet.FEATURES
    NETWORK, PREFIX = SqueezeNet, "layers."

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network.features(self.resize(input)),)


NAMES: dict[NetworkName, str] = {
    "inception": "inception-v3-compat",
    "efficientnet-lite0": "pocketgan-efficientnet-lite0",
    "squeezenet": "pocketgan-squeezenet",
}
"""Names by which torch-fidelity knows them."""
_LAYERS: dict[NetworkName, str] = {
    "inception": str(inception.FEATURES),
    "efficientnet-lite0": str(efficientnet_lite0.FEATURES),
    "squeezenet": str(squeezenet.FEATURES),
}
for _class in (FeatureExtractorEfficientNetLite0, FeatureExtractorSqueezeNet):
    register_feature_extractor(NAMES[_class.NAME], _class)


class TorchExtractor:
    """A network on PyTorch, with all its threads.

    Args:
        name: The network.
        weights: File of its weights.
        stages: Modules whose outputs `activations` returns.

    Raises:
        UnusableModel: If the weights are not those of the network.
    """

    batch_size = 4
    """Larger ones are slower on a CPU: their activations outgrow its caches."""
    workers = 1

    def __init__(self, name: NetworkName, weights: Path, stages: Sequence[str]) -> None:
        self._stages = stages
        options = {"cuda": False, "feature_extractor_weights_path": str(weights), "verbose": False}
        try:
            with _load_weights_only():
                extractor = create_feature_extractor(NAMES[name], [_LAYERS[name]], **options)
        # A file of other bytes makes torch's unpickler trip over whatever comes first, even an empty list.
        except Exception as error:
            raise UnusableModel(
                f"{weights} does not hold the weights of the {name} feature network in torch-fidelity's format: "
                f"{str(error).splitlines()[0]}"
            ) from error
        # A third faster on a CPU than channels first.
        self.module = extractor.to(memory_format=torch.channels_last)

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the features of images, `(height, width, 3)` uint8 each: `(images, features)` float32."""
        with torch.no_grad():
            (features,) = self.module(to_batch(images))
        return features.numpy()

    def activations(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what each stage makes of images: `(images, height, width, channels)` float32."""
        with torch.no_grad(), _recorded(self.module, self._stages) as recorded:
            self.module(to_batch(images))
            return [activations.permute(0, 2, 3, 1).numpy().copy() for activations in recorded]


def to_batch(images: Sequence[np.ndarray]) -> torch.Tensor:
    """Stack `(height, width, 3)` uint8 images to what torch-fidelity's networks take: `(batch, 3, height, width)`."""
    return torch.stack([torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images])


@contextmanager
def _recorded(module: nn.Module, stages: Sequence[str]) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which the forward pass appends the output of each stage."""
    recorded: list[torch.Tensor] = []
    hooks = [
        module.get_submodule(stage).register_forward_hook(lambda _module, _inputs, out: recorded.append(out))  # pyright: ignore[reportArgumentType]
        for stage in stages
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _load_weights_only() -> AbstractContextManager[None]:
    """Keep torch-fidelity 0.4.0, which unpickles whatever it is given, from running code inside a weights file."""
    return variables_set({"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"})
