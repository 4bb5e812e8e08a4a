"""Facts that all kinds of models share: size on disk, and the lines that people read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifact import is_artifact, open_artifact
from compress.printable import printable_name


def size_on_disk(path: Path) -> int:
    """Return the bytes of a file, of a folder's files, or of an artifact's model."""
    if path.is_file():
        return path.stat().st_size
    if path.suffix != ".mlpackage" and is_artifact(path):
        return size_on_disk(open_artifact(path).model_path)
    return sum(member.stat().st_size for member in path.rglob("*") if member.is_file())


def format_facts(report: Mapping[str, Any]) -> str:
    """Format a report's facts, one to a line: format, input, cost, sizes."""
    return "\n".join(f"{label:<12} {value}" for label, value in _facts(report))


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = printable_name(str(report["path"]))
    facts = [("model", name), ("format", str(report.get("source_format", report["format"])))]
    if "stage" in report:
        facts.append(("stage", report["stage"]))
    facts += _input_facts(report)
    if "params" in report:
        facts.append(("params", f"{report['params']:,}"))
    if report.get("macs") is not None:
        at = f" at {report['macs_at_px'][0]}x{report['macs_at_px'][1]}" if "macs_at_px" in report else ""
        facts.append(("macs", f"{_readable_macs(report['macs'])}{at}"))
    facts.append(("size", _readable_bytes(report["size_bytes"])))
    if report.get("float_ops"):
        facts.append(("in float", ", ".join(report["float_ops"])))
    if "predicted_size_bytes" in report:
        predicted = {name: _readable_bytes(size) for name, size in report["predicted_size_bytes"].items()}
        facts.append(("as .tflite", f"{predicted['fp32']} fp32, about {predicted['int8']} int8"))
        facts.append(("norm", report["norm"]))
        facts.append(
            ("blocks", f"{report['residual_blocks']} residual, {report['skip_connections']} concatenated skips")
        )
    return facts


def _input_facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "input_shape" in report:
        return [("input", " x ".join("any" if side is None else str(side) for side in report["input_shape"]))]
    if "input" not in report:
        return []
    also = "".join(f", or {side} x {side}" for side in report.get("other_sizes_px", ()))
    facts = [("input", f"{_readable_tensor(report['input'])}{also}")]
    facts += [("", _readable_tensor(other)) for other in report.get("other_inputs", ())]
    for name, taken in report.get("other_signatures", {}).items():
        facts.append(("", f"{' x '.join(map(str, taken))} as signature {name}"))
    if "other_outputs" in report:
        facts += [("output", _readable_tensor(one)) for one in (report["output"], *report["other_outputs"])]
    return facts


def _readable_tensor(tensor: Mapping[str, Any]) -> str:
    shape = " x ".join("any" if side is None else str(side) for side in tensor["shape"])
    return f"{shape} {tensor['dtype']}" + (f", {tensor['batch']} at a time" if "batch" in tensor else "")


def _readable_macs(macs: int) -> str:
    return f"{macs / 1e9:.2f} G" if macs >= 1e8 else f"{macs / 1e6:.2f} M"


def _readable_bytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"
