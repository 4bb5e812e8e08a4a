"""The passes for runtimes that lack an operator: pixel shuffles as convolutions, activations by themselves.

Each kernel holds a single 1 for each output, so a value is multiplied by one and zeros are added: the same bits.
Where the kernels go, their bytes go: `block^2 x channels x output channels` weights for a shuffle.
"""

from dataclasses import replace

import numpy as np

from export.graph.operations import (
    Activate,
    Convolution,
    DepthToSpace,
    Graph,
    Operation,
    SpaceToDepth,
    TransposedConvolution,
)


def shuffles_as_convolutions(graph: Graph) -> Graph:
    """Write every DepthToSpace as a transposed convolution, and every SpaceToDepth as a convolution with strides."""
    return replace(graph, operations=tuple(_as_convolution(operation, graph) for operation in graph.operations))


def separate_activations(graph: Graph) -> Graph:
    """Write the ReLU that is fused into a transposed convolution as an operation of its own, with the same bits.

    TFLite's version 4 of TRANSPOSE_CONV brought the fused form, which the GPU's delegate does not take.
    """
    operations: list[Operation] = []
    for operation in graph.operations:
        if isinstance(operation, TransposedConvolution) and operation.activation != "none":
            sums = f"{operation.output}/sums"
            operations.append(replace(operation, output=sums, activation="none"))
            function = operation.activation
            operations.append(
                Activate(inputs=(sums,), output=operation.output, shape=operation.shape, function=function)
            )
        else:
            operations.append(operation)
    return replace(graph, operations=tuple(operations))


def _as_convolution(operation: Operation, graph: Graph) -> Operation:
    if isinstance(operation, SpaceToDepth):
        block, channels = operation.block_size, graph.shapes[operation.inputs[0]][2]
        kernel = np.eye(block * block * channels, dtype=np.float32).reshape(block, block, channels, -1)
        return Convolution(**_common(operation, kernel, block))
    if isinstance(operation, DepthToSpace):
        block, channels = operation.block_size, operation.shape[2]
        kernel = np.eye(block * block * channels, dtype=np.float32).reshape(block, block, channels, -1)
        return TransposedConvolution(**_common(operation, kernel, block))
    return operation


def _common(operation: Operation, kernel: np.ndarray, block: int) -> dict:
    return {
        "inputs": operation.inputs,
        "output": operation.output,
        "shape": operation.shape,
        "kernel": kernel,
        "bias": np.zeros(operation.shape[2], np.float32),
        "strides": (block, block),
    }
