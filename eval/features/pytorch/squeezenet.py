"""SqueezeNet 1.1 in PyTorch; see `eval.features.graphs.squeezenet` for what it is and where its weights come from."""

import torch
from torch import nn
from torchvision.models import squeezenet1_1

from eval.features.graphs.squeezenet import FEATURE_SCALE
from eval.features.resizers import BGR_MEAN

STAGES = tuple(f"layers.features.{layer}" for layer in (1, 4, 7, 10, 12))
"""Its first activation, and what follows each of its three poolings; the last one gives the features."""


class SqueezeNet(nn.Module):
    """The ImageNet classifier, which also gives what its last fire module sees on average over an image.

    Shapes: `(batch, 3, 227, 227)` float32 RGB, 0 to 255, to logits `(batch, 1000)`; `features` to `(batch, 512)`, 0 and
    more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = squeezenet1_1(weights=None)
        self.register_buffer("mean", torch.tensor(BGR_MEAN).reshape(1, 3, 1, 1), persistent=False)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean over height and width of the last fire module's activations, scaled."""
        return self.layers.features(self._prepare(images)).mean(dim=(2, 3)) * FEATURE_SCALE

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(self._prepare(images))

    def _prepare(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(1) - self.get_buffer("mean")
