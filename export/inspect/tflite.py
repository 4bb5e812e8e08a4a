"""A `.tflite` file as `compress inspect` reports it: its input and output, where each operator runs, and fixes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.text_table import format_columns
from export.delegates.table import DELEGATES, DelegateName
from export.inspect.facts import size_on_disk
from export.inspect.operators import Operator, list_operators
from export.interpreter.checked_file import check_file
from export.interpreter.open_file import FREE
from export.tflite.differences import find_differences

_FIXES = {
    "MIRROR_PAD": "export with `compress export tflite`, which writes reflection as slices and concatenations",
    "SQUARED_DIFFERENCE": "keep InstanceNorm in float (--precision dynamic), or distil into a student without it",
    "RSQRT": "keep InstanceNorm in float (--precision dynamic), or distil into a student without it",
    "RESIZE_NEAREST_NEIGHBOR": "resize bilinearly or shuffle pixels, as the students do",
    "QUANTIZE": "let bytes travel over float (DEQUANTIZE, then QUANTIZE), as `compress export tflite` does",
    "TRANSPOSE_CONV": "store its kernel behind a DEQUANTIZE, as `compress export tflite --precision dynamic` does",
    "DEPTHWISE_CONV_2D": "store its kernel behind a DEQUANTIZE, as `compress export tflite --precision dynamic` does",
    "AVERAGE_POOL_2D": "use a strided convolution, or a mean over the whole image",
    "CONCATENATION": "join four tensors at a time; in int8, give all of them one scale",
    "ADD": "in int8, widen the range of the narrower addend: XNNPACK refuses scales under 1/1024 of the sum's",
}
_GENERAL_FIX = "build the net from operators that XNNPACK takes, as the students of `compress distill` are"


def read_tflite_facts(path: Path) -> dict[str, Any]:
    """Read size, input and output of a file, and the signatures of its other sizes.

    Args:
        path: A `.tflite` file.

    Returns:
        JSON-ready.

    Raises:
        UnusableModel: If it is missing or LiteRT cannot load it.
    """
    check_file(path)
    try:
        interpreter = Interpreter(model_content=path.read_bytes())
    except (ValueError, RuntimeError) as error:
        raise UnusableModel(f"{path} is no .tflite that LiteRT can load: {error}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if not inputs or not outputs:
        raise UnusableModel(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; expected one of each.")
    taken, returned = inputs[0], outputs[0]
    # A file of several sizes has a signature for each, of one input.
    signatures = {
        printable_name(name): details[0]["shape"].tolist()[1:]
        for name in filter(None, interpreter.get_signature_list())
        if len(details := list(interpreter.get_signature_runner(name).get_input_details().values())) == 1
        and details[0]["shape"].tolist() != taken["shape"].tolist()
    }
    return {
        "path": str(path),
        "format": "tflite",
        "size_bytes": size_on_disk(path),
        "input": _tensor_facts(taken),
        "output": _tensor_facts(returned),
        **({"other_inputs": [_tensor_facts(detail) for detail in inputs[1:]]} if inputs[1:] else {}),
        **({"other_outputs": [_tensor_facts(detail) for detail in outputs[1:]]} if outputs[1:] else {}),
        **({"other_signatures": signatures} if signatures else {}),
    }


def _tensor_facts(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tensor's facts: its shape without the batch, None for a free side; how many images, if several."""
    batch, *sides = detail["shape_signature"].tolist()
    facts: dict[str, Any] = {
        "shape": [None if side == FREE else side for side in sides],
        "dtype": detail["dtype"].__name__,
        "layout": "NHWC",
    }
    if batch > 1:
        facts["batch"] = batch
    scales, zero_points = (detail["quantization_parameters"][name].tolist() for name in ("scales", "zero_points"))
    if scales:
        facts |= {"scale": scales[0], "zero_point": zero_points[0]}
    return facts


def inspect_tflite(model: Path, *, timed: bool = False, target: DelegateName | None = None) -> dict[str, Any]:
    """List a file's operators and name those that XNNPACK leaves to LiteRT's own kernels, or another delegate.

    Args:
        model: A `.tflite` file.
        timed: Whether to time each operator by itself, in milliseconds on one thread.
        target: The delegate whose fallbacks are named; XNNPACK if None.

    Returns:
        JSON-ready: `operators`, each with its type, shape, `runs_in` by delegate and `refused_by`; `target`;
        `fallbacks`, each with `why` and `what_to_do`; `differences`, what runtimes compute otherwise, see
        `find_differences`; the delegates' `sources`.

    Raises:
        UnusableModel: If LiteRT cannot load the file.
    """
    check_file(model)
    try:
        content = model.read_bytes()
        operators = list_operators(content, timed=timed)
    except (ValueError, RuntimeError) as error:
        raise UnusableModel(f"{model} cannot be opened and run by LiteRT: {error}") from error
    return {
        "operators": [{**asdict(operator), "shape": list(operator.shape)} for operator in operators],
        "target": target or "xnnpack",
        "fallbacks": _fallbacks(operators) if target is None else _refusals(operators, target),
        "differences": find_differences(content),
        "sources": {"xnnpack": "measured on this machine"} | {each.name: each.source for each in DELEGATES},
    }


def _fallbacks(operators: Sequence[Operator]) -> list[dict[str, Any]]:
    counts = Counter((operator.code, operator.dtype) for operator in operators if not operator.runs_in["xnnpack"])
    return [
        {
            "op": code,
            "dtype": dtype,
            "count": count,
            "why": f"XNNPACK leaves {dtype} {code} to a slower kernel and the file falls into parts around it",
            "what_to_do": _FIXES.get(code, _GENERAL_FIX),
        }
        for (code, dtype), count in counts.items()
    ]


def _refusals(operators: Sequence[Operator], target: DelegateName) -> list[dict[str, Any]]:
    """Group what a delegate of a table does not take, by operator, type and reason."""
    counts = Counter(
        (operator.code, operator.dtype, operator.refused_by[target])
        for operator in operators
        if target in operator.refused_by
    )
    instead = "export coreml" if target == "coreml" else f"export tflite --target {target}"
    return [
        {
            "op": code,
            "dtype": dtype,
            "count": count,
            "why": f"{target}: {reason}",
            "what_to_do": f"write the file with `compress {instead}`",
        }
        for (code, dtype, reason), count in counts.items()
    ]


def format_tflite(report: Mapping[str, Any]) -> str:
    """Format what `inspect_tflite` found for people: one line for each kind of operator, then what falls back."""
    names = ["xnnpack", *(each.name for each in DELEGATES)]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for operator in report["operators"]:
        groups.setdefault((operator["code"], operator["dtype"]), []).append(operator)
    is_timed = any(operator["latency_ms"] is not None for operator in report["operators"])
    rows = [("count", "operator", "type", *names, *(["ms"] if is_timed else []))]
    for (code, dtype), members in groups.items():
        runs = [_share(members, name) for name in names]
        spent = sum(operator["latency_ms"] or 0.0 for operator in members)
        rows.append((str(len(members)), code, dtype, *runs, *([f"{spent:.3f}"] if is_timed else [])))
    fallbacks = _fallback_lines(report["fallbacks"], report["target"])
    return "\n".join([*format_columns(rows), "", *fallbacks, *_difference_lines(report["differences"])])


def _share(members: Sequence[Mapping[str, Any]], delegate: str) -> str:
    count = sum(operator["runs_in"][delegate] for operator in members)
    return "yes" if count == len(members) else "no" if count == 0 else f"{count} of {len(members)}"


def _fallback_lines(fallbacks: Sequence[Mapping[str, Any]], target: str) -> list[str]:
    if not fallbacks:
        return [
            "XNNPACK runs every operator" if target == "xnnpack" else f"{target} runs every operator by its sources"
        ]
    lines = ["left to slower kernels"]
    for fallback in fallbacks:
        lines += [
            f"  {fallback['count']:>4}  {fallback['op']}: {fallback['why']}",
            f"        -> {fallback['what_to_do']}",
        ]
    return lines


def _difference_lines(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["otherwise on some runtimes"] if differences else []
    for difference in differences:
        lines += [
            f"  {difference['count']:>4}  {difference['op']}, {difference['runtime']}: {difference['why']}",
            f"        -> {difference['what_to_do']}",
        ]
    return lines
