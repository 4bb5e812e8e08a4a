"""Rules for a tensor's range: four of them, and the choice between them by what each costs the finished picture.

A wide range rounds everything coarsely, a narrow one cuts rare values off; which of the two hurts more depends on what
comes after the tensor, so it is measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from compress.images import to_float
from export.calibration.observe import cover_most_photos
from export.graph.operations import Graph
from export.graph.quantized import Range, scale_groups
from export.interpreter.numpy_float import run_graph
from export.quantize import fake_quantize
from export.quantize.config import RangeRule
from export.quantize.fake_quantize import FakeQuantizers
from export.quantize.trainable import as_keras

RULES: tuple[RangeRule, ...] = ("photos", "minmax", "percentile", "mse")

_VALUES_PER_PHOTO = 4096
_CUT = 1e-4
"""Share of a tensor's values that the percentile rule cuts off at each side."""
_SHRINKAGE = np.linspace(0.2, 1.0, 41)
"""Shares of the least and of the greatest value, among which the squared error decides."""
_MEASURED_PHOTOS = 8
"""Photos that the choice between the rules is measured on."""


def choose_ranges(
    graph: Graph, photos: Sequence[np.ndarray], rule: RangeRule, *, symmetric: bool = False
) -> dict[str, Range]:
    """Choose the range of every tensor.

    Args:
        graph: A float graph.
        photos: `(height, width, 3)` uint8, at least one.
        rule: One of `RULES`, or `measured`.
        symmetric: Whether ranges will be centred on zero.

    Returns:
        Least and greatest value by tensor.
    """
    candidates = propose_ranges(graph, photos)
    if rule != "measured":
        return {name: known[rule] for name, known in candidates.items()}
    return _choose_by_measuring(graph, candidates, photos[:_MEASURED_PHOTOS], symmetric=symmetric)


def propose_ranges(graph: Graph, photos: Sequence[np.ndarray]) -> dict[str, dict[RangeRule, Range]]:
    """Run photos through a float graph and return the range of each tensor by each rule."""
    extremes: dict[str, list[Range]] = {}
    values: dict[str, list[np.ndarray]] = {}
    random = np.random.default_rng(0)

    def note(name: str, tensor: np.ndarray) -> None:
        extremes.setdefault(name, []).append((float(tensor.min()), float(tensor.max())))
        values.setdefault(name, []).append(random.choice(tensor.reshape(-1), _VALUES_PER_PHOTO))

    for photo in photos:
        run_graph(graph, to_float(photo)[np.newaxis], note)
    return {name: _by_rule(np.array(extremes[name]), np.concatenate(values[name])) for name in extremes}


def _by_rule(extremes: np.ndarray, values: np.ndarray) -> dict[RangeRule, Range]:
    least, greatest = float(extremes[:, 0].min()), float(extremes[:, 1].max())
    low, high = np.quantile(values, [_CUT, 1 - _CUT])
    return {
        "photos": cover_most_photos(extremes),
        "minmax": (least, greatest),
        "percentile": (float(low), float(high)),
        "mse": _least_error(values, (least, greatest)),
    }


def _least_error(values: np.ndarray, widest: Range) -> Range:
    """Shrink one bound after the other, twice: the best place of the one depends on the other."""
    low, high = widest
    for _ in range(2):
        high = min((widest[1] * share for share in _SHRINKAGE), key=lambda one: _error(values, (low, one)))
        low = min((widest[0] * share for share in _SHRINKAGE), key=lambda one: _error(values, (one, high)))
    return low, high


def _error(values: np.ndarray, bounds: Range) -> float:
    """Return the mean squared error of rounding values to 256 steps of a range, without a zero point."""
    low, high = bounds
    step = max(high - low, 1e-12) / 255
    rounded = np.clip(np.rint((values - low) / step), 0, 255) * step + low
    return float(np.square(rounded - values).mean())


def _choose_by_measuring(
    graph: Graph,
    candidates: Mapping[str, Mapping[RangeRule, Range]],
    photos: Sequence[np.ndarray],
    *,
    symmetric: bool,
) -> dict[str, Range]:
    """Start from the rule that does best for all tensors together; then try each rule, tensor by tensor."""
    batch = np.stack([to_float(photo) for photo in photos])
    expected = as_keras(graph).predict_on_batch(batch)
    whole = {rule: {name: known[rule] for name, known in candidates.items()} for rule in RULES}
    model = as_keras(graph, FakeQuantizers(graph, whole[RULES[0]], moving=False, symmetric=symmetric))
    sources = {name for group in scale_groups(graph) for name in group.sources}
    free = [operation.output for operation in graph.operations if operation.output in sources]

    def error(ranges: Mapping[str, Range]) -> float:
        for name in free:
            model.get_layer(fake_quantize.layer_name(name)).extremes.assign(ranges[name])
        return float(np.square(model.predict_on_batch(batch) - expected).mean())

    chosen, least = min(((whole[rule], error(whole[rule])) for rule in RULES), key=lambda one: one[1])
    for name in free:
        for rule in RULES:
            tried = {**chosen, name: candidates[name][rule]}
            if (cost := error(tried)) < least:
                chosen, least = tried, cost
    return chosen
