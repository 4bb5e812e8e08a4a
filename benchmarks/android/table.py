"""The table of the measurements of a phone, for people."""

from collections.abc import Mapping
from typing import Any

from compress.text_table import format_columns

_HEADINGS = ("model", "on", "size", "latency (min - max)", "first image", "speed-up (range)", "memory", "delegated")
_NONE = "-"


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_android`: its table, the failures and the conditions of the run."""
    rows = [_HEADINGS, *(_row(entry) for entry in record["entries"] if entry["error"] is None)]
    lines = format_columns(rows)
    for entry in record["entries"]:
        lines += _remarks(entry)
    return "\n".join([*lines, *_conditions(record)])


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    latency, memory = entry["latency_ms"], entry["memory"]
    return (
        entry["name"],
        entry["backend"],
        f"{entry['size_bytes'] / 1e3:.1f} kB",
        f"{latency['median']:.2f} ms ({latency['min']:.2f} - {latency['max']:.2f})",
        f"{entry['first_inference_ms']:.2f} ms",
        _speedup(entry),
        _NONE if memory is None else f"{(memory['peak_bytes'] or memory['overall_bytes']) / 1e6:.1f} MB",
        _delegated(entry["delegation"]),
    )


def _speedup(entry: Mapping[str, Any]) -> str:
    if entry["speedup"] is None:
        return _NONE
    if entry["withheld"]:
        return "too noisy"
    slowest, fastest = entry["speedup_range"]
    return f"{entry['speedup']:.1f}x ({slowest:.1f} - {fastest:.1f})"


def _delegated(delegation: Mapping[str, Any]) -> str:
    if delegation["nodes"] is None:
        return delegation["extent"]
    of = "" if delegation["nodes_total"] is None else f" of {delegation['nodes_total']}"
    return f"{delegation['nodes']}{of}, {delegation['partitions']} partition(s)"


def _remarks(entry: Mapping[str, Any]) -> list[str]:
    called = f"{entry['name']} on {entry['backend']}"
    if entry["error"] is not None:
        return [f"{called} did not run: {entry['error']}."]
    remarks = [f"no speed-up of {called}: {entry['withheld']}."] if entry["withheld"] else []
    parity = entry["parity"]
    if parity is not None and "error" in parity:
        remarks.append(f"{called} was not compared with this machine's output: {parity['error']}.")
    elif parity is not None:
        largest = "no number" if parity["largest_step"] is None else f"{parity['largest_step']:.3g} step(s)"
        remarks.append(
            f"{called} differs from this machine's output by {largest} at most; "
            f"{parity['share_within_a_step']:.2%} of the values by at most one."
        )
    return remarks


def _conditions(record: Mapping[str, Any]) -> list[str]:
    device, thermal = record["device"], record["thermal"]
    cores = ",".join(map(str, record["pinned_cores"])) or "any"
    lines = [
        f"{record['runs']} interleaved rounds, {record['threads']} thread(s) on core(s) {cores}, {device['model']} "
        f"({device['soc']}), Android {device['android']}"
    ]
    known = {when: state for when, state in thermal.items() if state["status"] is not None}
    if known:
        states = ", ".join(f"{state['status']} {when}" for when, state in known.items())
        lines.append(f"throttling for heat: {states}")
    return lines
