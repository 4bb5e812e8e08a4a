"""The pass that writes pixel shuffles as convolutions, for runtimes that have no such operator.

Each kernel holds a single 1 for each output, so a value is multiplied by one and zeros are added: the same bits.
Where the kernels go, their bytes go: `block^2 x channels x output channels` weights for a shuffle.
"""

from dataclasses import replace

import numpy as np

from export.graph.operations import (
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
