"""What a model is, what it costs, and what of it will not run on a phone and why: `compress inspect`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.artifact import Artifact, is_artifact, open_artifact
from compress.errors import GateFailed, UnusableModel

if TYPE_CHECKING:
    import keras

    from compress.cost import LayerCost
    from compress.teachers import LambdaLayers

DEFAULT_SIDE_PX = 256
"""Where a model takes any size and none is given, its MACs are counted at what most generators are trained at."""

_EXPORTED = (".tflite", ".mlpackage")
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


def inspect_model(
    path: Path, *, lambda_layers: "LambdaLayers | None" = None, image_size_px: int | None = None
) -> dict[str, Any]:
    """Inspect a generator file or an artifact.

    Args:
        path: A generator in any format that `compress.teachers.load` reads, a `.tflite`, a `.mlpackage`, or an artifact
            directory.
        lambda_layers: What the file's `Lambda` layers do; they are never run.
        image_size_px: Side of the square that MACs are counted at; the model's own, or `DEFAULT_SIDE_PX`, when None.

    Returns:
        JSON-ready: `path`, `format`, `size_bytes` and, of a generator, its layers and `phone_issues`; of an artifact,
        its manifest's facts.

    Raises:
        UnusableModel: If the file is no generator.
        UsageError: If the model takes another size than `image_size_px`.
    """
    if path.suffix == ".mlpackage":
        return _inspect_mlpackage(path)
    if is_artifact(path):
        return _inspect_artifact(open_artifact(path), image_size_px)
    if path.suffix == ".tflite":
        return _inspect_tflite(path)
    return {"path": str(path), "format": _format_of(path), **_inspect_generator(path, lambda_layers, image_size_px)}


def _format_of(path: Path) -> str:
    return "saved_model" if path.is_dir() else path.suffix.removeprefix(".")


def _inspect_artifact(artifact: Artifact, image_size_px: int | None) -> dict[str, Any]:
    manifest = artifact.manifest
    facts = {
        "path": str(artifact.path),
        "format": manifest.format,
        "stage": manifest.stage,
        "name": manifest.name,
        "parent": manifest.parent,
        "input": {"shape": list(manifest.input.shape), "dtype": manifest.input.dtype, "layout": manifest.input.layout},
        "scores": manifest.scores,
    }
    if others := manifest.config.get("other_sizes_px"):
        facts["other_sizes_px"] = others
    if manifest.quantization is not None:
        facts["float_ops"] = manifest.float_ops
    if manifest.format == "keras":
        report = facts | _inspect_generator(artifact.path, None, image_size_px)
        if "file_bytes" in manifest.scores:
            # `compress quantize` has written the file, with what stays in float; that is better than a prediction.
            report["predicted_size_bytes"]["int8"] = manifest.scores["file_bytes"]
        return report
    cost = manifest.cost
    return facts | {"params": cost.params, "macs": cost.macs, "size_bytes": _size_on_disk(artifact.model_path)}


def _inspect_tflite(path: Path) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    if not path.is_file():
        raise UnusableModel(f"{path} does not exist; expected a .tflite file.")
    try:
        interpreter = Interpreter(model_path=str(path))
    except (ValueError, RuntimeError) as error:
        raise UnusableModel(f"{path} is no .tflite that LiteRT can load: {error}") from error
    (entry, *_), (end, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    # A file of several sizes has a signature for each.
    signatures = {
        name: taken["shape"].tolist()[1:]
        for name in filter(None, interpreter.get_signature_list())
        for taken in interpreter.get_signature_runner(name).get_input_details().values()
        if taken["shape"].tolist() != entry["shape"].tolist()
    }
    return {
        "path": str(path),
        "format": "tflite",
        "size_bytes": _size_on_disk(path),
        "input": {"shape": entry["shape"].tolist()[1:], "dtype": entry["dtype"].__name__, "layout": "NHWC"},
        "output": {"shape": end["shape"].tolist()[1:], "dtype": end["dtype"].__name__, "layout": "NHWC"},
        **({"other_signatures": signatures} if signatures else {}),
    }


def _inspect_mlpackage(path: Path) -> dict[str, Any]:
    if not (path / "Manifest.json").is_file():
        raise UnusableModel(f"{path} has no Manifest.json; expected a Core ML package, which is a folder.")
    return {"path": str(path), "format": "mlpackage", "size_bytes": _size_on_disk(path)}


def _inspect_generator(path: Path, lambda_layers: "LambdaLayers | None", image_size_px: int | None) -> dict[str, Any]:
    from compress import teachers

    description = teachers.describe(path, lambda_layers=lambda_layers)
    # Keras takes seconds to start: a file that cannot be used is refused before.
    from compress import cost
    from compress.teachers.build import build

    model = build(description)
    size = image_size_px or (DEFAULT_SIDE_PX if None in model.input_shape[1:3] else None)
    rows = cost.layer_costs(model, image_size_px=size)
    measured = cost.measure_cost(model, image_size_px=size)
    kinds = Counter(_kind(model, row) for row in rows if row.kind != "InputLayer")
    return {
        "source_format": description.source_format,
        "input_shape": list(description.input_shape),
        "params": measured.params,
        "macs": measured.macs,
        "macs_at_px": list(rows[-1].output_shape[:2]),
        "size_bytes": _size_on_disk(path),
        "predicted_size_bytes": {"fp32": measured.size_bytes, "int8": cost.predict_int8_bytes(rows)},
        "norm": _norm(kinds),
        "residual_blocks": kinds["Add"],
        "skip_connections": kinds["Concatenate"],
        "layers": dict(kinds.most_common()),
        "phone_issues": _phone_issues(kinds),
    }


def _kind(model: "keras.Model", row: "LayerCost") -> str:
    if row.kind != "UpSampling2D":
        return row.kind
    return f"UpSampling2D ({model.get_layer(row.name).interpolation})"


def _norm(kinds: Mapping[str, int]) -> str:
    found = sorted({_NORMS[kind] for kind in kinds if kind in _NORMS})
    return " and ".join(found) if found else "none"


def _phone_issues(kinds: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "count": kinds[kind], "why": why, "what_to_do": remedy}
        for kind, (why, remedy) in _ISSUES.items()
        if kinds.get(kind)
    ]


def _size_on_disk(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    if path.suffix != ".mlpackage" and is_artifact(path):
        return _size_on_disk(open_artifact(path).model_path)
    return sum(member.stat().st_size for member in path.rglob("*") if member.is_file())


def exported_model_of(path: Path) -> Path | None:
    """The `.tflite` file or `.mlpackage` behind a path that `inspect` took, where there is one."""
    # A package has a Manifest.json of its own, which is an artifact's manifest.json where case does not count.
    if path.suffix in _EXPORTED:
        return path
    model = open_artifact(path).model_path if is_artifact(path) else path
    return model if model.suffix in _EXPORTED else None


def require_no_fallback(report: Mapping[str, Any]) -> None:
    """Refuse what runs outside a phone's fast kernels.

    Args:
        report: Of `inspect`, with the `fallbacks` of an exported model.

    Raises:
        GateFailed: If operators of the file, or layers of the generator, fall back.
    """
    found = [f"{item['count']} {item['op']} ({item['dtype']})" for item in report.get("fallbacks", ())]
    found += [f"{item['count']} {item['kind']}" for item in report.get("phone_issues", ())]
    if found:
        raise GateFailed(f"{report['path']} falls back to slower kernels: {', '.join(found)}.")


def format_report(report: Mapping[str, Any]) -> str:
    """What people read of a report of `inspect`."""
    lines = [f"{label:<12} {value}" for label, value in _facts(report)]
    if "layers" in report:
        lines += ["", "layers", *(f"  {count:>4}  {kind}" for kind, count in report["layers"].items())]
        lines += ["", *_issue_lines(report["phone_issues"])]
    return "\n".join(lines)


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("model", str(report["path"])), ("format", str(report.get("source_format", report["format"])))]
    if "stage" in report:
        facts.append(("stage", report["stage"]))
    if "input_shape" in report:
        facts.append(("input", " x ".join("any" if side is None else str(side) for side in report["input_shape"])))
    elif "input" in report:
        shape = " x ".join(map(str, report["input"]["shape"]))
        also = "".join(f", or {side} x {side}" for side in report.get("other_sizes_px", ()))
        facts.append(("input", f"{shape} {report['input']['dtype']}{also}"))
        for name, taken in report.get("other_signatures", {}).items():
            facts.append(("", f"{' x '.join(map(str, taken))} as signature {name}"))
    if "params" in report:
        facts.append(("params", f"{report['params']:,}"))
    if report.get("macs") is not None:
        at = f" at {report['macs_at_px'][0]}x{report['macs_at_px'][1]}" if "macs_at_px" in report else ""
        facts.append(("macs", f"{_readable_macs(report['macs'])}{at}"))
    facts.append(("size", _readable(report["size_bytes"])))
    if report.get("float_ops"):
        facts.append(("in float", ", ".join(report["float_ops"])))
    if "predicted_size_bytes" in report:
        predicted = report["predicted_size_bytes"]
        facts.append(("as .tflite", f"{_readable(predicted['fp32'])} fp32, about {_readable(predicted['int8'])} int8"))
        facts.append(("norm", report["norm"]))
        facts.append(
            ("blocks", f"{report['residual_blocks']} residual, {report['skip_connections']} concatenated skips")
        )
    return facts


def _issue_lines(issues: Sequence[Mapping[str, Any]]) -> list[str]:
    if not issues:
        return ["every layer runs in a phone's int8 kernels"]
    lines = ["will not run in a phone's int8 kernels"]
    for issue in issues:
        lines += [f"  {issue['count']:>4}  {issue['kind']}: {issue['why']}", f"        -> {issue['what_to_do']}"]
    return lines


def _readable_macs(macs: int) -> str:
    return f"{macs / 1e9:.2f} G" if macs >= 1e8 else f"{macs / 1e6:.2f} M"


def _readable(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"
