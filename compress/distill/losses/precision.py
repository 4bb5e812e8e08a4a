"""Precision of losses: float32, since half precision would round away the small differences that they measure."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from keras import ops


def in_float32(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a loss so that its positional arguments, tensors of any floating type, are cast to float32."""

    @wraps(loss)
    def widened(*tensors: Any, **options: Any) -> Any:
        return loss(*(ops.cast(tensor, "float32") for tensor in tensors), **options)

    return widened
