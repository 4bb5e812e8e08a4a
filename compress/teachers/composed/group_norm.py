"""Group normalisation (Wu and He, 2018) in layers that every stage knows.

A group of `size` channels is turned into an image of one channel, `block * block` times as large, in which each of them
stands equally often; instance normalisation of that image is normalisation of the group.
"""

import math

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.graph_writer import GraphWriter

MOST_COPIES = 6
"""Most copies of a channel; groups of 2 need 2, of 8 need 2, of 16 none, of 24 need 6."""


def write_group_norm(
    graph: GraphWriter,
    image: str,
    groups: int,
    epsilon: float,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    *,
    name: str,
) -> str:
    """Write the normalisation of consecutive channels, `channels // groups` together; return its last layer.

    Args:
        graph: The graph to write to.
        image: Layer whose output is normalised.
        groups: Number of groups; one for each channel makes instance normalisation.
        epsilon: Added to the variance.
        gamma: Gain of each channel, `(channels,)`; None for 1.
        beta: Offset of each channel; None for 0.
        name: Name of the layers.

    Raises:
        UnusableModel: If the groups do not divide the channels, or are of a size for which no such image is small.
    """
    channels = graph.channels(image)
    if groups < 1 or channels % groups:
        raise UnusableModel(f"{name} normalises {groups} groups of {channels} channels, which they do not divide.")
    if groups == channels:
        affine = {"gamma": gamma, "beta": beta}
        config = {"epsilon": epsilon, "scale": gamma is not None, "center": beta is not None}
        return graph.add("InstanceNormalization", config, inputs=(image,), name=name, weights=affine)
    size = channels // groups
    block = _block_of(size, name)
    member = np.arange(block * block) % size
    # Depth to space takes the channel of place p of group g from p * groups + g.
    source = (np.arange(groups)[None, :] * size + member[:, None]).reshape(-1)
    parted = _write_convolution(graph, image, np.eye(channels)[:, source], None, f"{name}_parted")
    graph.add("DepthToSpace", {"block_size": block}, inputs=(parted,), name=f"{name}_joined")
    plain = {"epsilon": epsilon, "scale": False, "center": False}
    graph.add("InstanceNormalization", plain, name=name)
    back = graph.add("SpaceToDepth", {"block_size": block}, name=f"{name}_split")
    first = [int(np.flatnonzero(source == channel)[0]) for channel in range(channels)]
    gain = np.ones(channels) if gamma is None else gamma.reshape(-1)
    kernel = np.eye(source.size)[:, first] * gain
    return _write_convolution(graph, back, kernel, beta, f"{name}_affine")


def _block_of(size: int, name: str) -> int:
    """Return the side of the smallest square that holds each channel of a group equally often."""
    for copies in range(1, MOST_COPIES + 1):
        block = math.isqrt(size * copies)
        if block * block == size * copies:
            return block
    raise UnusableModel(
        f"{name} normalises groups of {size} channels; expected a number that at most {MOST_COPIES} copies make "
        "a square of, such as 2, 4, 8, 12, 16, 24, 32 or 64."
    )


def _write_convolution(graph: GraphWriter, image: str, kernel: np.ndarray, bias: np.ndarray | None, name: str) -> str:
    config = {
        "filters": kernel.shape[1],
        "kernel_size": [1, 1],
        "strides": [1, 1],
        "padding": "valid",
        "use_bias": bias is not None,
    }
    weights = {
        "kernel": kernel.astype(np.float32).reshape(1, 1, *kernel.shape),
        "bias": None if bias is None else bias.reshape(-1).astype(np.float32),
    }
    return graph.add("Conv2D", config, inputs=(image,), name=name, weights=weights)
