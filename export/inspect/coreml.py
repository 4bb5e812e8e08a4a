"""A Core ML package as `compress inspect` reports it: what is known to leave the Neural Engine, and fixes.

The package is read, not run: what a device does with it is for the Swift package of `compress export coreml --swift`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.errors import UnusableModel
from compress.text_table import format_columns
from export.coreml.child import list_contents
from export.coreml.job import Contents, MilOperation
from export.inspect.facts import size_on_disk
from export.inspect.neural_engine import RULES, RUNS, find_rule, place_operation

SYSTEMS = {6: (15, 12), 7: (16, 13), 8: (17, 14), 9: (18, 15), 10: (26, 26)}
"""The oldest iOS and macOS that load each version of Core ML's format (`coremltools.target`)."""
_CHECKED = "public documents; nothing of it was measured here, where no Neural Engine runs"
_PADDED_TO_BYTES = 64


def read_package_facts(path: Path) -> dict[str, Any]:
    """Read the size of a package.

    Raises:
        UnusableModel: If it is no Core ML package.
    """
    if not (path / "Manifest.json").is_file():
        raise UnusableModel(f"{path} has no Manifest.json; expected a Core ML package, which is a folder.")
    return {"path": str(path), "format": "mlpackage", "size_bytes": size_on_disk(path)}


def inspect_package(package: Path) -> dict[str, Any]:
    """List a package's operations and name those that are known to leave the Neural Engine.

    Args:
        package: A `.mlpackage` with an ML program.

    Returns:
        JSON-ready: `operators`, each with its type, shape and `neural_engine` (a `Placement`); `fallbacks` and
        `possible_fallbacks`, each with `why`, `what_to_do`, `grounds` and `source`; `deployment_target`; `notes`;
        `sources`.

    Raises:
        UsageError: If coremltools is not installed.
        UnusableModel: If the package is missing, torn or no ML program.
    """
    contents = list_contents(package)
    found = [(operation, place_operation(operation)) for operation in contents.operations]
    return {
        "operators": [
            {
                "position": position,
                "code": operation.kind,
                "name": operation.name,
                "dtype": operation.output.dtype,
                "shape": list(operation.output.shape),
                "neural_engine": runs,
            }
            for position, (operation, runs) in enumerate(found)
        ],
        "fallbacks": _fallbacks([operation for operation, runs in found if runs == "leaves"]),
        "possible_fallbacks": _fallbacks([operation for operation, runs in found if runs == "may leave"]),
        "deployment_target": _deployment_target(contents),
        "notes": _notes(contents),
        "sources": {
            "neural_engine": _CHECKED,
            "rules": sorted({rule.source for rule in RULES}),
            "runs": sorted(set(RUNS.values())),
        },
    }


def _fallbacks(operations: Sequence[MilOperation]) -> list[dict[str, Any]]:
    groups = Counter((operation.kind, operation.output.dtype, find_rule(operation)) for operation in operations)
    return [
        {
            "op": kind,
            "dtype": dtype,
            "count": count,
            "why": rule.why,
            "what_to_do": rule.what_to_do,
            "grounds": rule.grounds,
            "source": rule.source,
        }
        for (kind, dtype, rule), count in groups.items()
        if rule is not None
    ]


def _deployment_target(contents: Contents) -> dict[str, Any]:
    demanding = sorted(
        {each.kind for each in contents.operations if each.oldest_specification == contents.specification}
    )
    systems = SYSTEMS.get(contents.specification)
    if demanding:
        why = f"its {', '.join(demanding)} came with it"
    else:
        why = "none of its operations is so new; it was written for that system, in that system's forms of them"
    return {
        "specification": contents.specification,
        "ios": None if systems is None else systems[0],
        "macos": None if systems is None else systems[1],
        "why": why,
    }


def _notes(contents: Contents) -> list[str]:
    notes = []
    kinds = {operation.kind for operation in contents.operations}
    if {"quantize", "dequantize"} & kinds:
        notes.append(
            "activations of int8 pay on the Neural Engine of an A17 Pro or M4 and newer; on a CPU they may cost time "
            "(coremltools guide, Quantization: Performance)"
        )
    if contents.sizes == "range":
        notes.append(
            "it takes a range of sizes, and may stay off the Neural Engine for that; enumerated sizes do not "
            "(coremltools guide, FAQs: Neural Engine With Flexible Input Shapes)"
        )
    if contents.enumerated_px:
        named = ", ".join(f"{height}x{width}" for height, width in contents.enumerated_px)
        notes.append(f"it takes pictures of {named} pixels; shapes that depend on which are listed without a number")
    padded = sum(_is_padded(operation) for operation in contents.operations)
    if padded:
        notes.append(
            f"{padded} results are narrower than {_PADDED_TO_BYTES} bytes a row and are padded to that in the Neural "
            "Engine's memory (Apple, Deploying Transformers on the Apple Neural Engine, 2022)"
        )
    return notes


def _is_padded(operation: MilOperation) -> bool:
    """Return whether the last axis of what it computes is shorter than what the Neural Engine aligns it to."""
    last = operation.output.shape[-1] if operation.output.shape else None
    width = 1 if "int8" in operation.output.dtype else 2
    return not operation.kind.startswith("constexpr_") and last is not None and last * width < _PADDED_TO_BYTES


def format_package(report: Mapping[str, Any]) -> str:
    """Format what `inspect_package` found for people: each kind of operation, then what leaves the Neural Engine."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for operator in report["operators"]:
        groups.setdefault((operator["code"], operator["dtype"]), Counter())[operator["neural_engine"]] += 1
    rows = [("count", "operation", "type", "neural engine")]
    rows += [(str(runs.total()), kind, dtype, _share(runs)) for (kind, dtype), runs in groups.items()]
    target = _target_line(report["deployment_target"])
    return "\n".join([*format_columns(rows), "", *_verdict_lines(report), "", target, *_rest(report)])


def _share(runs: Counter[str]) -> str:
    return next(iter(runs)) if len(runs) == 1 else ", ".join(f"{count} {each}" for each, count in runs.items())


def _verdict_lines(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, title in (
        ("fallbacks", "known to leave the Neural Engine"),
        ("possible_fallbacks", "reported to leave it, not by all"),
    ):
        if report[key]:
            lines.append(title)
            for each in report[key]:
                lines += [
                    f"  {each['count']:>4}  {each['op']} ({each['dtype']}): {each['why']}",
                    f"        -> {each['what_to_do']}",
                    f"        {each['grounds']}: {each['source']}",
                ]
    unknown = Counter(each["code"] for each in report["operators"] if each["neural_engine"] == "unknown")
    if not report["fallbacks"]:
        lines.insert(0, "nothing in it is known to leave the Neural Engine")
    if unknown:
        named = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
        lines.append(f"nothing is known here of {named}: a device says where it runs them (export coreml --swift)")
    return lines


def _target_line(target: Mapping[str, Any]) -> str:
    systems = "a system newer than any known here" if target["ios"] is None else _systems(target)
    return f"needs {systems} (Core ML format {target['specification']}): {target['why']}"


def _systems(target: Mapping[str, Any]) -> str:
    return f"iOS {target['ios']} or macOS {target['macos']}, or newer"


def _rest(report: Mapping[str, Any]) -> list[str]:
    return [*(f"note: {note}" for note in report["notes"]), f"sources: {report['sources']['neural_engine']}"]
