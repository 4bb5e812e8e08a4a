"""The passes for runtimes that lack an operator: pixel shuffles as convolutions, activations by themselves.

Each kernel holds a single 1 for each output, so a value is multiplied by one and zeros are added: the same bits.
Where the kernels go, their bytes go: `block^2 x channels x output channels` weights for a shuffle, the square of what a
shuffle reads. So a wide shuffle is done in parts, which share one kernel; a file stores equal kernels once.
"""

from dataclasses import replace

import numpy as np

from export.graph.operations import (
    Activate,
    Concatenate,
    Convolution,
    DepthToSpace,
    Graph,
    Operation,
    SpaceToDepth,
    TransposedConvolution,
)

_WIDEST_SHUFFLE = 24
"""The most channels that a part of a shuffle writes."""


def split_wide_shuffles(graph: Graph) -> Graph:
    """Write a wide DepthToSpace as several narrow ones, joined along channels.

    The convolution that it reads is split with it, by its output channels; where there is none, or something else reads
    it, too, the shuffle stays whole.
    """
    writers = {operation.output: operation for operation in graph.operations}
    split: dict[str, list[Operation]] = {}
    dropped: set[str] = set()
    for shuffle in graph.operations:
        convolution = writers.get(shuffle.inputs[0])
        if (
            isinstance(shuffle, DepthToSpace)
            and shuffle.shape[2] > _WIDEST_SHUFFLE
            and isinstance(convolution, Convolution)
            and len(graph.consumers[convolution.output]) == 1
        ):
            split[shuffle.output] = _split_shuffle(convolution, shuffle)
            dropped.add(convolution.output)
    operations = [
        new
        for operation in graph.operations
        if operation.output not in dropped
        for new in split.get(operation.output, [operation])
    ]
    return replace(graph, operations=tuple(operations))


def _split_shuffle(convolution: Convolution, shuffle: DepthToSpace) -> list[Operation]:
    height, width, channels = shuffle.shape
    count = next(
        parts for parts in range(2, channels + 1) if channels % parts == 0 and channels // parts <= _WIDEST_SHUFFLE
    )
    share, places = channels // count, np.arange(shuffle.block_size**2)[:, np.newaxis] * channels
    made: list[Operation] = []
    names = [f"{shuffle.output}/part{number}" for number in range(count)]
    for number, name in enumerate(names):
        read = (places + np.arange(number * share, (number + 1) * share)).reshape(-1)
        sums = f"{convolution.output}/part{number}"
        made.append(
            replace(
                convolution,
                output=sums,
                shape=(*convolution.shape[:2], read.size),
                kernel=np.ascontiguousarray(convolution.kernel[..., read]),
                bias=convolution.bias[read],
            )
        )
        made.append(replace(shuffle, inputs=(sums,), output=name, shape=(height, width, share)))
    return [*made, Concatenate(inputs=tuple(names), output=shuffle.output, shape=shuffle.shape)]


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
