"""The table of a browser's measurements, for people."""

from collections.abc import Mapping
from typing import Any

from benchmarks.host.table import format_withheld
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `Task.build_record`: its table, the failures and the conditions of the run."""
    rows = [("model", "on", "size", "latency (min - p95)", "speed-up (range)", "load", "first", "within 1/255 of host")]
    rows += [_row(entry) for entry in record["entries"]]
    lines = format_columns(rows)
    lines += format_withheld(record["entries"])
    lines += [f"{failure['name']} on {failure['accelerator']}: {failure['why']}" for failure in record["failures"]]
    lines.append(
        f"{record['runs']} interleaved rounds, {record['threads']} thread(s), LiteRT.js {record['litert_js']}, "
        f"{record['browser'].get('user_agent', 'unknown browser')}"
    )
    return "\n".join(lines)


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    latency, (slowest, fastest), parity = entry["latency_ms"], entry["speedup_range"], entry["parity"]
    return (
        entry["name"],
        entry["accelerator"] if entry["fully_accelerated"] else f"{entry['accelerator']}, in part",
        f"{entry['size_bytes'] / 1e3:.1f} kB",
        f"{latency['median']:.2f} ms ({latency['min']:.2f} - {latency['p95']:.2f})",
        "too noisy" if entry["withheld"] else f"{entry['speedup']:.3g}x ({slowest:.3g} - {fastest:.3g})",
        f"{entry['load_ms']:.1f} ms",
        f"{entry['first_ms']:.1f} ms",
        f"{parity['share_within_1_255']:.2%}, at most {parity['largest_difference']:.1f}/255 off",
    )
