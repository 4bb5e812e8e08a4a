"""Layers that all families of PyTorch generators share."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import Basis, Convention, LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.reading.config import Padding

PYTORCH_NORM_EPSILON = 1e-5

Parameters = dict[str, np.ndarray]
"""One layer's weights by PyTorch's names: `weight`, `bias`, `running_mean`, `running_var`, `num_batches_tracked`."""

PADDING_KINDS: dict[Padding, LayerKind] = {
    "reflect": "ReflectionPadding2D",
    "replicate": "ReplicationPadding2D",
    "zero": "ZeroPadding2D",
}
LUMA = (0.299, 0.587, 0.114)
"""Rec. 601 weights of red, green and blue in the grey of a photo, as Pillow's mode `L` has them; their sum is 1."""

_NORM_ROLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def is_convolution(parameters: Parameters) -> bool:
    """Check whether parameters are of a convolution, plain or transposed."""
    return "weight" in parameters and parameters["weight"].ndim == 4


def unfit_tensors(place: str, parameters: Parameters) -> UnusableModel:
    """Return the error for tensors that make no layer: what is missing is named where it is known.

    Args:
        place: The layer, such as `its layer 4`.
        parameters: Its tensors by name.
    """
    names = ", ".join(sorted(parameters))
    if "weight" not in parameters and "bias" in parameters:
        return UnusableModel(f"{place} holds {names} but no weight: the file lacks a tensor; save the state dict anew.")
    return UnusableModel(f"{place} holds {names}, which no layer here has.")


def is_norm(parameters: Parameters) -> bool:
    """Check whether parameters are of a norm."""
    return "running_mean" in parameters or ("weight" in parameters and parameters["weight"].ndim == 1)


@dataclass(frozen=True)
class Norms:
    """What the norms of a network are: BatchNorm, or InstanceNorm, whose statistics in old files no one uses."""

    batch: bool
    convention: Convention

    def add(self, writer: GraphWriter, norm: Parameters | None) -> None:
        """Write a norm; None where a convolution has none, empty where the file holds no weights of it."""
        if norm is None:
            return
        affine = "weight" in norm
        config = {"epsilon": PYTORCH_NORM_EPSILON, "center": affine, "scale": affine}
        if self.batch and "running_mean" in norm:
            roles = {_NORM_ROLES[role]: value for role, value in norm.items() if role in _NORM_ROLES}
            writer.add("BatchNormalization", config, weights=roles)
        else:
            weights = {"gamma": norm.get("weight"), "beta": norm.get("bias")}
            writer.add("InstanceNormalization", config, weights=weights)


def judge_norms(pairs: Iterable[tuple[Parameters, Parameters | None]]) -> Norms:
    """Tell BatchNorm from InstanceNorm.

    Args:
        pairs: Each convolution with its norm; None where it has none.
    """
    judged = [(convolution, norm) for convolution, norm in pairs if norm is not None]
    tracked = [(convolution, norm) for convolution, norm in judged if "running_mean" in norm]
    counted = any("num_batches_tracked" in norm for _, norm in tracked)
    if tracked and not counted and all("bias" in convolution for convolution, _ in tracked):
        because = (
            "convolutions before it have a bias and nothing counts its batches: PyTorch before 0.4 stored statistics "
            "for an InstanceNorm too, and never used them"
        )
        return Norms(batch=False, convention=_norm_convention("InstanceNorm", because))
    if tracked:
        return Norms(batch=True, convention=_norm_convention("BatchNorm", "the file holds its running statistics"))
    if any("weight" in norm for _, norm in judged):
        because = "it has weights and no statistics; a GroupNorm, which this family has not, would look alike"
        return Norms(batch=False, convention=_norm_convention("InstanceNorm", because, basis="assumed"))
    if judged:
        because = "the numbers of the layers leave room for a norm, and the file holds no weights of one"
        return Norms(batch=False, convention=_norm_convention("InstanceNorm", because, basis="assumed"))
    return Norms(batch=False, convention=_norm_convention("none", "the numbers of the layers leave no room for one"))


def _norm_convention(value: str, because: str, *, basis: Basis = "file") -> Convention:
    return Convention(topic="norm", value=value, basis=basis, because=because)


def add_padded_convolution(writer: GraphWriter, convolution: Parameters, padding: Padding, *, strides: int = 1) -> None:
    """Write a convolution that keeps the size of what it reads, but for its strides."""
    add_padding(writer, convolution["weight"].shape[-1], padding)
    add_convolution(writer, convolution, strides=strides)


def add_padding(writer: GraphWriter, kernel_size: int, padding: Padding) -> None:
    """Write the padding with which a kernel of a size keeps the size of an image."""
    if margin := (kernel_size - 1) // 2:
        amounts = ((margin, margin), (margin, margin))
        writer.add(PADDING_KINDS[padding], {"padding": margin if padding == "zero" else amounts})


def add_convolution(writer: GraphWriter, convolution: Parameters, *, strides: int = 1) -> None:
    """Write a convolution that pads nothing."""
    kernel, bias = convolution["weight"].transpose(2, 3, 1, 0), convolution.get("bias")
    config = {"filters": kernel.shape[3], "kernel_size": list(kernel.shape[:2]), "strides": strides}
    writer.add("Conv2D", {**config, "use_bias": bias is not None}, weights={"kernel": kernel, "bias": bias})


def add_transposed(writer: GraphWriter, convolution: Parameters) -> None:
    """Write a transposed convolution of stride 2 and padding 1 that doubles the size: of 3x3 or 4x4.

    One of 3x3 has an output padding of 1 in PyTorch, so only the first row and column drop out of its full result; one
    of 4x4 loses a pixel at every side.
    """
    kernel, bias = convolution["weight"].transpose(2, 3, 1, 0), convolution.get("bias")
    cropping = {3: ((1, 0), (1, 0)), 4: ((1, 1), (1, 1))}[kernel.shape[0]]
    config = {"filters": kernel.shape[2], "kernel_size": kernel.shape[0], "strides": 2}
    config["use_bias"] = bias is not None
    writer.add("Conv2DTranspose", config, weights={"kernel": kernel, "bias": bias})
    writer.add("Cropping2D", {"cropping": cropping})


def take_rgb(first: Parameters) -> tuple[Parameters, bool]:
    """Return a net's first convolution for RGB, and whether it takes grey: then it reads the photo's luma.

    Raises:
        UnusableModel: If it takes neither three channels nor one.
    """
    channels = first["weight"].shape[1]
    if channels == 1:
        luma = np.asarray(LUMA, np.float32).reshape(1, 3, 1, 1)
        return {**first, "weight": first["weight"] * luma}, True
    if channels != 3:
        raise UnusableModel(f"its first convolution takes {channels} channels; expected 3 (RGB) or 1 (grey).")
    return first, False


def make_rgb(last: Parameters, *, axis: int) -> tuple[Parameters, bool]:
    """Return a net's last convolution for RGB, and whether it makes grey: then all three channels are it.

    Args:
        last: Its parameters.
        axis: Axis of the kernel's output channels: 0, or 1 of a transposed one.

    Raises:
        UnusableModel: If it makes neither three channels nor one.
    """
    channels = last["weight"].shape[axis]
    if channels == 1:
        repeated = {**last, "weight": np.repeat(last["weight"], 3, axis=axis)}
        return repeated | ({"bias": np.repeat(last["bias"], 3)} if "bias" in last else {}), True
    if channels != 3:
        raise UnusableModel(f"its last convolution makes {channels} channels; expected 3 (RGB) or 1 (grey).")
    return last, False


def channels_convention(*, grey_in: bool, grey_out: bool) -> list[Convention]:
    """Return how a net of one channel is read; empty for one of RGB."""
    if not grey_in and not grey_out:
        return []
    value = f"{'grey' if grey_in else 'RGB'} to {'grey' if grey_out else 'RGB'}"
    taken = "the photo's luma (Rec. 601) is fed to its one channel" if grey_in else "it takes RGB"
    made = "the one channel that it makes is all three of the picture" if grey_out else "it makes RGB"
    return [Convention(topic="channels", value=value, basis="file", because=f"{taken}, and {made}")]
