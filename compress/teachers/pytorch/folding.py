"""Kernels of convolutions that PyTorch stores in parts: spectral and weight norm, and pruning, in both of their names.

A checkpoint of a net in training holds what a weight is computed from; here it becomes the weight that `model.eval()`
computes with.
"""

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.pytorch.layers import Parameters

_PARAMETRIZED = "parametrizations.weight."
_OLD_NAMES = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}
_WEIGHT_NORM_NAMES = {"original0": "weight_g", "original1": "norm_v"}


def fold(stored: Parameters) -> Parameters:
    """Return a layer's parameters with the plain `weight` that it computes with.

    Raises:
        UnusableModel: If a part is missing, does not fit, or belongs to a parametrization that is not known.
    """
    parts = {_old_name(role, stored): value for role, value in stored.items()}
    if "weight_g" in parts:
        return _with_weight(parts, _weight_norm(*_take(parts, "weight_g", "norm_v")))
    if "weight_orig" not in parts:
        return parts
    if "weight_mask" in parts:
        original, mask = _take(parts, "weight_orig", "weight_mask")
        return _with_weight(parts, original * mask)
    if "weight_v" not in parts and "weight" in parts:
        # Spectral norm of before PyTorch 1.0 stored the weight beside what it was computed from.
        return _with_weight(parts, parts["weight"])
    original, left = _take(parts, "weight_orig", "weight_u")
    return _with_weight(parts, _spectral_norm(original, left, parts.get("weight_v")))


def _old_name(role: str, stored: Parameters) -> str:
    if role == "weight_v" and "weight_g" in stored:
        return "norm_v"
    short = role.removeprefix(_PARAMETRIZED)
    return role if short == role else (_OLD_NAMES | _WEIGHT_NORM_NAMES).get(short, role)


def _take(parts: Parameters, *roles: str) -> tuple[np.ndarray, ...]:
    if missing := [role for role in roles if role not in parts]:
        raise UnusableModel(
            f"a convolution's weight is computed from {', '.join(sorted(parts))}, without {missing[0]}; expected "
            "spectral norm, weight norm or a pruning mask, whole. Remove the parametrization before the file is saved."
        )
    return tuple(parts[role] for role in roles)


def _with_weight(parts: Parameters, weight: np.ndarray) -> Parameters:
    kept = {role: value for role, value in parts.items() if not role.startswith(("weight", "norm_v"))}
    return {**kept, "weight": weight.astype(np.float32)}


def _weight_norm(gain: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return gain times unit directions (Salimans and Kingma, arXiv:1602.07868); the gain's shape tells the axis."""
    if gain.ndim not in (0, direction.ndim) or any(
        own not in (1, whole) for own, whole in zip(gain.shape, direction.shape, strict=False)
    ):
        raise UnusableModel(f"a weight norm has a gain of {gain.shape} for a kernel of {direction.shape}.")
    axes = tuple(axis for axis in range(direction.ndim) if gain.ndim == 0 or gain.shape[axis] == 1)
    length = np.sqrt(np.square(direction.astype(np.float64)).sum(axis=axes, keepdims=True))
    return gain * direction / np.maximum(length, np.finfo(np.float64).tiny)


def _spectral_norm(weight: np.ndarray, left: np.ndarray, right: np.ndarray | None) -> np.ndarray:
    """Return a kernel divided by its largest singular value (Miyato et al., arXiv:1802.05957), by stored vectors.

    Rows are output channels: the first axis of a convolution, the second of a transposed one. Where both have as many,
    the stored vectors are those of the axis for which they give the larger value.
    """
    values = []
    for axis in range(min(weight.ndim, 2)):
        matrix = np.moveaxis(weight.astype(np.float64), axis, 0).reshape(weight.shape[axis], -1)
        if matrix.shape[0] != left.size or (right is not None and matrix.shape[1] != right.size):
            continue
        projected = left @ matrix
        values.append(np.linalg.norm(projected) if right is None else projected @ right)
    largest = max(values, key=abs, default=0.0)
    if not largest:
        raise UnusableModel(f"a spectral norm has vectors that do not fit its kernel of {weight.shape}.")
    return weight / largest
