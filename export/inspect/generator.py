"""A Keras or PyTorch generator as `compress inspect` reports it: layers, cost, and what a phone will not run fast."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compress.cost import predict_int8_bytes
from compress.teachers.description import Convention, LayerDescription
from compress.teachers.interpretation.sizes import require_keeps_size
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.cost import described_layer_costs, measure_described_cost
from export.inspect.facts import size_on_disk
from export.source import load_source

DEFAULT_SIDE_PX = 256
"""Size at which MACs are counted where the model takes any and none is given; most generators are trained at it."""

_NORMS = {
    "InstanceNormalization": "instance",
    "ContribInstanceNormalization": "instance",
    "BatchNormalization": "batch",
}
_INSTANCE_NORM_ISSUE = (
    "it does not survive int8 activations: trained generators came out 11 to 16 dB from themselves",
    "export with --precision dynamic, or distil into a student with BatchNormalization, which folds: compress distill",
)
# Kind of layer: why a phone's int8 delegate (XNNPACK of LiteRT 2.3) leaves it to slow kernels, and what to do about it.
_ISSUES = {
    "InstanceNormalization": _INSTANCE_NORM_ISSUE,
    "ContribInstanceNormalization": _INSTANCE_NORM_ISSUE,
    "UpSampling2D (nearest)": (
        "its RESIZE_NEAREST_NEIGHBOR is not delegated in int8",
        "use bilinear resizing or a pixel shuffle, as the students do: compress distill",
    ),
}


def read_generator_facts(
    path: Path, *, reading: ReadingConfig = AS_FOUND, image_size_px: int | None = None
) -> dict[str, Any]:
    """Count a generator's layers, parameters and MACs.

    Args:
        path: A generator in any format that `compress.teachers.load` reads, or an artifact with a model.keras.
        reading: What the user says about the teacher's file.
        image_size_px: Side of the square that MACs are counted at; the model's own, or `DEFAULT_SIDE_PX`, when None.

    Returns:
        JSON-ready: its structure, cost, sizes, `phone_issues`, and `conventions`, by which the file is read.

    Raises:
        UnusableModel: If the file is no generator.
        UsageError: If the model does not keep `image_size_px`.
    """
    source = load_source(path, reading=reading)
    description = source.description
    taken = description.input_shape[:2]
    if image_size_px is None:
        size = (taken[0] or DEFAULT_SIDE_PX, taken[1] or DEFAULT_SIDE_PX)
    else:
        size = (image_size_px, image_size_px)
        require_keeps_size(description, path.name, size, advice="Leave --image-size-px out.")
    rows = described_layer_costs(description, size)
    measured = measure_described_cost(description, size)
    kinds = Counter(map(_kind, description.layers))
    return {
        "source_format": description.source_format,
        "input_shape": list(description.input_shape),
        "params": measured.params,
        "macs": measured.macs,
        "macs_at_px": list(size),
        "size_bytes": size_on_disk(path),
        "predicted_size_bytes": {"fp32": measured.size_bytes, "int8": predict_int8_bytes(rows)},
        "norm": _norm(kinds),
        "residual_blocks": kinds["Add"],
        "skip_connections": kinds["Concatenate"],
        "layers": dict(kinds.most_common()),
        "phone_issues": _phone_issues(kinds),
        "conventions": [_told(convention) for convention in description.conventions],
    }


def _kind(layer: LayerDescription) -> str:
    if layer.kind != "UpSampling2D":
        return layer.kind
    return f"UpSampling2D ({layer.config.get('interpolation', 'nearest')})"


def _norm(kinds: Mapping[str, int]) -> str:
    found = sorted({_NORMS[kind] for kind in kinds if kind in _NORMS})
    return " and ".join(found) if found else "none"


def _phone_issues(kinds: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "count": kinds[kind], "why": why, "what_to_do": remedy}
        for kind, (why, remedy) in _ISSUES.items()
        if kinds.get(kind)
    ]


def _told(convention: Convention) -> dict[str, Any]:
    # What may be said instead stands in its words; the names by themselves are for the search of --verify.
    return {key: value for key, value in asdict(convention).items() if key != "otherwise"}


def format_conventions(report: Mapping[str, Any]) -> str:
    """Format how a file is read: what it tells, what is assumed, and by which flag to say otherwise."""
    lines = []
    for one in report["conventions"]:
        reason = {"file": "in the file", "set": "as you say"}.get(one["basis"], "assumed")
        flag = f" ({one['flag']})" if one["flag"] and one["basis"] == "assumed" else ""
        lines.append(f"  {one['topic']:<22} {one['value']:<22} {reason}: {one['because']}{flag}")
    return "\n".join(["how the file is read; --verify PHOTO=PICTURE proves it", *lines])


def format_layers(report: Mapping[str, Any]) -> str:
    """Format the layers of a report and those that a phone will not run fast."""
    layers = [f"  {count:>4}  {kind}" for kind, count in report["layers"].items()]
    return "\n".join(["layers", *layers, "", *_issue_lines(report["phone_issues"])])


def _issue_lines(issues: Sequence[Mapping[str, Any]]) -> list[str]:
    if not issues:
        return ["every layer runs in a phone's int8 kernels"]
    lines = ["will not run in a phone's int8 kernels"]
    for issue in issues:
        lines += [f"  {issue['count']:>4}  {issue['kind']}: {issue['why']}", f"        -> {issue['what_to_do']}"]
    return lines
