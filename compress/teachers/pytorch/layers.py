"""Layers that all families of PyTorch generators share."""

import numpy as np

from compress.teachers.graph_writer import GraphWriter

PYTORCH_NORM_EPSILON = 1e-5

Parameters = dict[str, np.ndarray]
"""One layer's weights by PyTorch's names: `weight`, `bias`, `running_mean`, `running_var`."""

_NORM_ROLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def add_norm(writer: GraphWriter, norm: Parameters) -> None:
    """Write a norm: BatchNorm has weights and statistics, InstanceNorm of early PyTorch unused statistics alone."""
    if "weight" in norm and "running_mean" in norm:
        roles = {_NORM_ROLES[role]: value for role, value in norm.items()}
        writer.add("BatchNormalization", {"epsilon": PYTORCH_NORM_EPSILON}, weights=roles)
        return
    affine = "weight" in norm
    config = {"epsilon": PYTORCH_NORM_EPSILON, "center": affine, "scale": affine}
    writer.add("InstanceNormalization", config, weights={"gamma": norm.get("weight"), "beta": norm.get("bias")})
