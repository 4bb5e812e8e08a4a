"""Reader of the text that `benchmark_model` prints.

Source: tensorflow/lite/tools/benchmark/benchmark_model.cc, benchmark_tflite_model.cc and profiling_listener.cc,
tensorflow/core/util/stats_calculator.cc, and tensorflow/lite/core/subgraph.cc for delegation.
"""

import re
from dataclasses import dataclass

from benchmarks.android.config import Backend

_NUMBER = r"([-+.\deE]+)"
"""Pattern of a number; C++ streams print a million and more as 1.23457e+06."""
_DELEGATES: dict[Backend, tuple[str, str]] = {
    "cpu": ("TfLiteXNNPackDelegate", "XNNPACK"),
    "gpu": ("TfLiteGpuDelegateV2", "GPU"),
    "nnapi": ("TfLiteNnapiDelegate", "NNAPI"),
}
"""Names of each backend's delegate: its node in the graph, and its provider."""
_SIGNALS = {132: "an illegal instruction", 134: "an abort", 135: "a bus error", 137: "a kill, as for want of memory"}
_SIGNALS |= {139: "a segmentation fault"}
_FIRST_SIGNAL = 128
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Timings of one process, milliseconds; one inference is one image."""

    invokes: int
    init_ms: float
    first_inference_ms: float
    warmup_ms: float
    """Mean of the inferences before the measured ones."""
    mean_ms: float
    std_ms: float
    min_ms: float
    max_ms: float
    median_ms: float | None
    """None from older binaries, which do not print it; so is `p95_ms`."""
    p95_ms: float | None

    @property
    def typical_ms(self) -> float:
        """The median, or the mean where there is none."""
        return self.mean_ms if self.median_ms is None else self.median_ms


@dataclass(frozen=True, kw_only=True)
class Delegation:
    """The part of a graph that a delegate runs."""

    extent: str
    """One of completely, partially and not."""
    nodes: int | None
    nodes_total: int | None
    partitions: int | None
    unsupported: tuple[str, ...]
    """Messages of the GPU delegate on operators that it leaves to the CPU."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Growth of the process, bytes."""

    init_bytes: int
    overall_bytes: int
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class ProfiledNode:
    """One node of the graph as it ran."""

    type: str
    name: str
    mean_ms: float


def read_timings(text: str) -> Timings:
    """Read the timings.

    Raises:
        ValueError: If there are none.
    """
    numbers = rf"Init: {_NUMBER}, First inference: {_NUMBER}, Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
    summary = re.search(rf"Inference timings in us: {numbers}", text)
    if summary is None:
        raise ValueError("benchmark_model printed no timings")
    init, first, warmup, mean = (float(number) / 1e3 for number in summary.groups())
    # Two such lines come before the summary, warm-up and measurement; an op profile has some of its own after it.
    lines = re.findall(r"^(?:\w+: )?(count=\d.*)$", text[: summary.start()], re.MULTILINE)
    if not lines:
        raise ValueError("benchmark_model printed no statistics")
    found = {key: float(number) for key, number in re.findall(rf"(\w+)={_NUMBER}", lines[-1])}
    # A single value, or only equal ones, are printed as that value alone.
    same = found.get("curr", mean * 1e3)
    in_us = {key: found.get(key, same) for key in ("min", "max")}
    return Timings(
        invokes=int(found["count"]),
        init_ms=init,
        first_inference_ms=first,
        warmup_ms=warmup,
        mean_ms=mean,
        std_ms=found.get("std", 0.0) / 1e3,
        min_ms=in_us["min"] / 1e3,
        max_ms=in_us["max"] / 1e3,
        median_ms=found["median"] / 1e3 if "median" in found else None,
        p95_ms=found["p95"] / 1e3 if "p95" in found else None,
    )


def read_delegation(text: str, backend: Backend) -> Delegation:
    """Read the delegation of a backend; where the text says nothing of it, nothing was delegated."""
    node, provider = _DELEGATES[backend]
    applied = re.search(
        rf"Explicitly applied {provider} delegate, and the model graph will be (completely|partially)", text
    )
    # Older releases leave the total out. The first line is that of the graph itself.
    replaced = re.search(
        rf"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \({node}\) node, yielding (\d+)", text
    )
    counts = [None if number is None else int(number) for number in replaced.groups()] if replaced else [None] * 3
    return Delegation(
        extent=applied[1] if applied else "not",
        nodes=counts[0],
        nodes_total=counts[1],
        partitions=counts[2],
        unsupported=_unsupported(text),
    )


def read_memory(text: str) -> Memory | None:
    """Read the memory footprint; None where the phone does not tell it."""
    grown = re.search(
        rf"Memory footprint delta from the start of the tool \(MB\): init={_NUMBER} overall={_NUMBER}", text
    )
    if grown is None:
        return None
    peak = re.search(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}", text)
    init, overall = (round(float(number) * _MEBIBYTE) for number in grown.groups())
    return Memory(
        init_bytes=init, overall_bytes=overall, peak_bytes=round(float(peak[1]) * _MEBIBYTE) if peak else None
    )


def read_profile(text: str) -> list[ProfiledNode]:
    """Read the operators' times, in the order in which they ran; empty where they were not asked for."""
    regular = text.partition("Operator-wise Profiling Info for Regular Benchmark Runs:")[2]
    table = regular.partition(" Run Order ")[2].partition(" Top by ")[0]
    header, *rows = table.partition("\n")[2].splitlines() or [""]
    columns = re.findall(r"\[([^\]]+)\]", header)
    nodes = []
    for row in rows:
        cells = [cell.strip() for cell in row.strip().split("\t")]
        if len(cells) == len(columns):
            named = dict(zip(columns, cells, strict=True))
            nodes.append(ProfiledNode(type=named["node type"], name=named["Name"], mean_ms=float(named["avg ms"])))
    return nodes


def find_failure_reason(text: str, exit_code: int) -> str:
    """Find the reason why a process failed, one line of its output."""
    complaints = re.findall(r"^(?:ERROR|FATAL): (.+)$", text, re.MULTILINE)
    messages = [line for line in complaints if not line.startswith(("Benchmarking failed", "Following operations"))]
    if exit_code > _FIRST_SIGNAL:
        signal = _SIGNALS.get(exit_code, f"signal {exit_code - _FIRST_SIGNAL}")
        return f"benchmark_model died of {signal}" + (f", after: {messages[-1]}" if messages else "")
    if messages:
        # The first one is the cause; what follows is what came of it.
        return messages[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else f"benchmark_model ended with exit code {exit_code} and said nothing"


def find_refusal_reason(text: str, backend: Backend) -> str:
    """Find the reason why a backend's delegate took nothing though the process ended well, on the CPU instead."""
    hints = re.findall(r"^(?:ERROR|WARN|WARNING): (.+)$", text, re.MULTILINE)
    hints += re.findall(r"^(?:INFO: )?(.*unsupported on this platform.*)$", text, re.MULTILINE)
    reason = next((hint for hint in hints if not hint.startswith("Following operations")), None)
    unsupported = _unsupported(text)
    reason = reason or (unsupported[0] if unsupported else "benchmark_model does not say why")
    return f"{_DELEGATES[backend][1]}'s delegate took nothing: {reason}"


def _unsupported(text: str) -> tuple[str, ...]:
    listed = re.search(
        r"Following operations are not supported by GPU delegate:\n(.*?)\n[^\n]*operations will run on the",
        text,
        re.DOTALL,
    )
    return tuple(line.strip() for line in listed[1].splitlines() if line.strip()) if listed else ()
