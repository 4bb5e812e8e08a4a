"""Cost of a described generator, as `compress.cost` counts it, without a framework."""

from collections.abc import Mapping

from compress.artifact import Cost
from compress.cost import CONVOLUTIONS, FLOAT_BYTES, LayerCost
from compress.teachers.check import layer_shapes
from compress.teachers.description import GeneratorDescription, LayerDescription
from compress.teachers.shapes import Shape, as_pair
from export.graph.described import in_keras_order


def measure_described_cost(description: GeneratorDescription, size: tuple[int, int]) -> Cost:
    """Measure a whole generator.

    Args:
        description: The generator.
        size: Height and width at which MACs are counted, pixels.
    """
    params = sum(value.size for value in description.weights.values())
    macs = sum(row.macs for row in described_layer_costs(description, size))
    return Cost(params=params, macs=macs, size_bytes=FLOAT_BYTES * params)


def described_layer_costs(description: GeneratorDescription, size: tuple[int, int]) -> list[LayerCost]:
    """Measure every layer, in the order of the operations in a file."""
    shapes = layer_shapes(description, size)
    sizes: dict[str, dict[str, int]] = {layer.name: {} for layer in description.layers}
    for name, value in description.weights.items():
        layer_name, _, role = name.rpartition("/")
        sizes[layer_name][role] = value.size
    return [
        _row(layer, sizes[layer.name], shapes[layer.inputs[0]], shapes[layer.name])
        for layer in in_keras_order(description)
    ]


def _row(layer: LayerDescription, sizes: Mapping[str, int], entered: Shape, left: Shape) -> LayerCost:
    kernels = sum(size for role, size in sizes.items() if role.endswith("kernel")) if layer.kind in CONVOLUTIONS else 0
    height, width = left[:2]
    if layer.kind == "Conv2DTranspose":
        # Input times stride: a valid one also writes a border that generators crop away.
        down, across = as_pair(layer.config.get("strides", 1))
        height, width = entered[0] * down, entered[1] * across
    return LayerCost(
        name=layer.name,
        # Readers write a ReLU as the activation that it is.
        kind="ReLU" if layer.config.get("activation") == "relu" else layer.kind,
        output_shape=left,
        params=sum(sizes.values()),
        macs=height * width * kernels,
        kernel_weights=kernels,
    )
