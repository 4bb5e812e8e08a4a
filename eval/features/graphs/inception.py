"""The FID's Inception v3: TensorFlow's classifier of December 2015 as torch-fidelity has it, up to its last pooling.

It differs from torchvision's: average poolings leave out the zeros around the image, and the last block pools by the
maximum. Layer names are those of torch-fidelity's weights file.

Source: Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567; torch-fidelity
    0.4.0, feature_extractor_inceptionv3.py.
"""

from collections.abc import Sequence
from typing import Literal

from eval.features.graphs.assembly import Assembly, FeatureGraph, State
from export.graph.operations import INPUT, Padding

FEATURES = 2048
SIDE_PX = 299
STAGES = ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c")

_Size = tuple[int, int]
_Step = tuple[str, int, _Size]
"""A convolution of a branch: its name, filters, and height and width of its kernel."""
_ONE, _THREE, _FIVE = (1, 1), (3, 3), (5, 5)
_ROW, _COLUMN = (1, 7), (7, 1)


def build(state: State) -> FeatureGraph:
    """Build the network.

    Args:
        state: Weights by torch-fidelity's names; those of the classifier's last layer, `fc`, are not used.

    Returns:
        From pixels as the network was trained on, `(value - 128) / 128`, to features from 0 up.

    Raises:
        UnusableModel: If a weight is missing, of another shape, or one too many.
    """
    network = _Inception(state)
    tensor = network.stem()
    for block, filters in (("5b", 32), ("5c", 64), ("5d", 64)):
        tensor = network.block_a(tensor, f"Mixed_{block}", filters)
    tensor = network.block_b(tensor, "Mixed_6a")
    for block, filters in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        tensor = network.block_c(tensor, f"Mixed_{block}", filters)
    tensor = network.block_d(tensor, "Mixed_7a")
    tensor = network.block_e(tensor, "Mixed_7b", "average")
    tensor = network.block_e(tensor, "Mixed_7c", "max")
    return network.assembly.finish(tensor, STAGES)


class _Inception:
    """The network's blocks; each takes a tensor and returns the one that it writes."""

    def __init__(self, state: State) -> None:
        self.assembly = Assembly("the inception network", state, SIDE_PX, ignored=("fc.",))

    def stem(self) -> str:
        tensor = self._convolve(INPUT, "Conv2d_1a_3x3", 32, _THREE, stride=2, padding="valid")
        tensor = self._convolve(tensor, "Conv2d_2a_3x3", 32, _THREE, padding="valid")
        tensor = self._convolve(tensor, "Conv2d_2b_3x3", 64, _THREE)
        tensor = self.assembly.pool(tensor, "MaxPool_1", "max", stride=2)
        tensor = self._convolve(tensor, "Conv2d_3b_1x1", 80, _ONE)
        tensor = self._convolve(tensor, "Conv2d_4a_3x3", 192, _THREE, padding="valid")
        return self.assembly.pool(tensor, "MaxPool_2", "max", stride=2)

    def block_a(self, source: str, name: str, pool_filters: int) -> str:
        branches = [
            self._chain(source, name, [("branch1x1", 64, _ONE)]),
            self._chain(source, name, [("branch5x5_1", 48, _ONE), ("branch5x5_2", 64, _FIVE)]),
            self._chain(source, name, [*_doubled("branch3x3dbl_1", 64, 96), ("branch3x3dbl_3", 96, _THREE)]),
            self._pooled(source, name, pool_filters, "average"),
        ]
        return self.assembly.concatenate(branches, name)

    def block_b(self, source: str, name: str) -> str:
        double = self._chain(source, name, _doubled("branch3x3dbl_1", 64, 96))
        branches = [
            self._halve(source, f"{name}.branch3x3", 384),
            self._halve(double, f"{name}.branch3x3dbl_3", 96),
            self.assembly.pool(source, f"{name}.branch_pool", "max", stride=2),
        ]
        return self.assembly.concatenate(branches, name)

    def block_c(self, source: str, name: str, filters: int) -> str:
        double: list[_Step] = [("branch7x7dbl_1", filters, _ONE)]
        double += [(f"branch7x7dbl_{part}", filters, _ROW if part % 2 else _COLUMN) for part in (2, 3, 4)]
        single: list[_Step] = [("branch7x7_1", filters, _ONE), ("branch7x7_2", filters, _ROW)]
        branches = [
            self._chain(source, name, [("branch1x1", 192, _ONE)]),
            self._chain(source, name, [*single, ("branch7x7_3", 192, _COLUMN)]),
            self._chain(source, name, [*double, ("branch7x7dbl_5", 192, _ROW)]),
            self._pooled(source, name, 192, "average"),
        ]
        return self.assembly.concatenate(branches, name)

    def block_d(self, source: str, name: str) -> str:
        seven: list[_Step] = [("branch7x7x3_1", 192, _ONE), ("branch7x7x3_2", 192, _ROW)]
        seven += [("branch7x7x3_3", 192, _COLUMN)]
        branches = [
            self._halve(self._chain(source, name, [("branch3x3_1", 192, _ONE)]), f"{name}.branch3x3_2", 320),
            self._halve(self._chain(source, name, seven), f"{name}.branch7x7x3_4", 192),
            self.assembly.pool(source, f"{name}.branch_pool", "max", stride=2),
        ]
        return self.assembly.concatenate(branches, name)

    def block_e(self, source: str, name: str, pooling: Literal["average", "max"]) -> str:
        single = self._chain(source, name, [("branch3x3_1", 384, _ONE)])
        double = self._chain(source, name, [("branch3x3dbl_1", 448, _ONE), ("branch3x3dbl_2", 384, _THREE)])
        branches = [
            self._chain(source, name, [("branch1x1", 320, _ONE)]),
            self._fork(single, f"{name}.branch3x3_2"),
            self._fork(double, f"{name}.branch3x3dbl_3"),
            self._pooled(source, name, 192, pooling),
        ]
        return self.assembly.concatenate(branches, name)

    def _fork(self, source: str, name: str) -> str:
        halves = [self._convolve(source, f"{name}{part}", 384, size) for part, size in (("a", (1, 3)), ("b", (3, 1)))]
        return self.assembly.concatenate(halves, name)

    def _chain(self, source: str, block: str, steps: Sequence[_Step]) -> str:
        for step, filters, size in steps:
            source = self._convolve(source, f"{block}.{step}", filters, size)
        return source

    def _pooled(self, source: str, block: str, filters: int, kind: Literal["average", "max"]) -> str:
        pooled = self.assembly.pool(source, f"{block}.pool", kind, stride=1, padding="same")
        return self._convolve(pooled, f"{block}.branch_pool", filters, _ONE)

    def _halve(self, source: str, layer: str, filters: int) -> str:
        return self._convolve(source, layer, filters, _THREE, stride=2, padding="valid")

    def _convolve(
        self, source: str, layer: str, filters: int, size: _Size, *, stride: int = 1, padding: Padding = "same"
    ) -> str:
        geometry = {"stride": stride, "padding": padding}
        return self.assembly.convolve(source, f"{layer}.conv", filters, size, norm=f"{layer}.bn", **geometry)


def _doubled(name: str, filters: int, wide: int) -> list[_Step]:
    return [(name, filters, _ONE), (f"{name[:-1]}2", wide, _THREE)]
