"""Writers of normalisations in Keras files, whose classes differ in epsilon, axes and names of weights."""

import numpy as np

from compress.teachers.composed import group_norm
from compress.teachers.keras.layer_writer import LayerWriter

TENSORFLOW_ADDONS_EPSILON = 1e-3
KERAS_EPSILON = 1e-3
TUTORIAL_EPSILON = 1e-5
"""Epsilon of the class in TensorFlow's CycleGAN and pix2pix tutorials, which its files do not hold."""

_GAMMA_NAMES = frozenset({"gamma", "scale", "weight", "gain", "g", "w"})
_BETA_NAMES = frozenset({"beta", "offset", "shift", "bias", "b"})


def write_batch_norm(layer: LayerWriter) -> str:
    """Write BatchNorm, or InstanceNorm where the file calls the layer with `training=True`."""
    config = layer.config
    _require_last_axis(layer)
    scale, center = bool(config.get("scale", True)), bool(config.get("center", True))
    epsilon = float(config.get("epsilon", KERAS_EPSILON))
    affine = (*(("gamma",) if scale else ()), *(("beta",) if center else ()))
    weights = layer.roles(*affine, "moving_mean", "moving_variance")
    if layer.call.arguments.get("training") is True:
        # pix2pix models keep training=True at inference: the statistics of a batch of one image are that image's.
        affine_weights = {role: weights[role] for role in affine}
        return layer.add(
            "InstanceNormalization", {"epsilon": epsilon, "center": center, "scale": scale}, **affine_weights
        )
    return layer.add("BatchNormalization", {"epsilon": epsilon, "center": center, "scale": scale}, **weights)


def write_group_norm(layer: LayerWriter) -> str:
    """Write group normalisation; Keras and tensorflow_addons write -1 groups where each channel is one."""
    channels = layer.graph.channels(layer.inputs[0])
    groups = layer.config.get("groups")
    groups = channels if groups == -1 else groups
    if type(groups) is not int or not 1 <= groups <= channels:
        raise layer.error(f"has {groups} groups of {channels} channels.")
    _require_last_axis(layer)
    epsilon = float(layer.config.get("epsilon", KERAS_EPSILON))
    if groups == channels:
        return _write_affine(layer, epsilon)
    affine = _affine(layer)
    return group_norm.write_group_norm(
        layer.graph, layer.inputs[0], groups, epsilon, affine.get("gamma"), affine.get("beta"), name=layer.label
    )


def write_instance_norm(layer: LayerWriter) -> str:
    """Write instance normalisation of keras_contrib, tensorflow_addons, or a user's own class."""
    config = layer.config
    if _is_keras_contrib(layer):
        return _write_keras_contrib(layer)
    _require_last_axis(layer)
    default = TENSORFLOW_ADDONS_EPSILON if layer.call.package == "Addons" else TUTORIAL_EPSILON
    return _write_affine(layer, float(config.get("epsilon", config.get("eps", default))))


def write_contrib_norm(layer: LayerWriter) -> str:
    """Write keras_contrib's instance normalisation as this project saves it."""
    return _write_contrib(layer, per_channel=bool(layer.config["per_channel"]))


def _is_keras_contrib(layer: LayerWriter) -> bool:
    """Check whether a layer is keras_contrib's or a copy of it, by its configuration: the copies name no package."""
    saved = {"axis", "epsilon", "center", "scale", "gamma_regularizer", "gamma_constraint"}
    return saved <= set(layer.config) and "groups" not in layer.config


def _write_keras_contrib(layer: LayerWriter) -> str:
    """Write keras_contrib's: epsilon is added to the deviation; with axis None all channels are normalised together."""
    if layer.config["axis"] is not None:
        _require_last_axis(layer)
    return _write_contrib(layer, per_channel=layer.config["axis"] is not None)


def _write_contrib(layer: LayerWriter, *, per_channel: bool) -> str:
    affine = _affine(layer)
    options = {"epsilon": float(layer.config["epsilon"]), "per_channel": per_channel}
    used = {"center": "beta" in affine, "scale": "gamma" in affine}
    return layer.add("ContribInstanceNormalization", options | used, **affine)


def _write_affine(layer: LayerWriter, epsilon: float) -> str:
    affine = _affine(layer)
    config = {"epsilon": epsilon, "center": "beta" in affine, "scale": "gamma" in affine}
    return layer.add("InstanceNormalization", config, **affine)


def _affine(layer: LayerWriter) -> dict[str, np.ndarray]:
    """Return gain and offset by name, else in the order gain, offset, in which all these classes create them."""
    found: dict[str, np.ndarray] = {}
    for name, value in layer.weights:
        if name in _GAMMA_NAMES or name in _BETA_NAMES:
            found["gamma" if name in _GAMMA_NAMES else "beta"] = value.reshape(-1)
    if len(found) == len(layer.weights):
        return found
    scale = bool(layer.config.get("scale", True))
    order = ("gamma", "beta") if len(layer.weights) == 2 else ("gamma",) if scale else ("beta",)
    return {role: value.reshape(-1) for role, value in layer.roles(*order).items()}


def _require_last_axis(layer: LayerWriter) -> None:
    axis = layer.config.get("axis", -1)
    if axis not in (-1, 3, [3], [-1]):
        raise layer.error(f"normalises axis {axis}; expected channels, the last.")
