"""Tables of the measurements of this machine, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.timing.noise import group_withheld
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_host`: its table, the speed-ups that it withholds and the conditions of the run."""
    head = ("model", "size", "latency (min - max)", "speed-up (range)")
    cost = ("GMAC/s (of peak)", "load + first", "peak memory")
    rows: list[tuple[str, ...]] = [(*head, *cost, "delegated", "partitions")]
    for entry in record["entries"]:
        rate, memory = f"{entry['gmacs_per_s']:.1f} ({entry['share_of_peak']:.0%})", entry["peak_memory_bytes"] / 1e6
        rows.append(
            (*format_measurement(entry), rate, format_start(entry), f"{memory:.1f} MB", *format_delegation(entry))
        )
    return "\n".join([*format_columns(rows), *_format_compiled(record["entries"]), *format_conditions(record)])


def _format_compiled(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format what CompiledModel and litert-benchmark say, a line for each model; none where nobody asked."""
    lines = []
    for entry in entries:
        if (compiled := entry.get("compiled_model")) is None:
            continue
        second, bits = compiled["litert_benchmark"], "the same bits" if compiled["bit_equal"] else "OTHER BITS"
        lines.append(
            f"{entry['name']} in CompiledModel: {compiled['latency_ms']['median']:.2f} ms, speed-up over Interpreter "
            f"{format_speedup(compiled)}, {bits}; litert-benchmark: {second['median_ms']:.2f} ms"
        )
    return lines


def format_measurement(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Format name, size, latency and speed-up of an entry of `bench_host`, a cell each."""
    latency, (slowest, fastest) = entry["latency_ms"], entry["speedup_range"]
    return (
        entry["name"],
        f"{entry['size_bytes'] / 1e3:.1f} kB",
        f"{latency['median']:.2f} ms ({latency['min']:.2f} - {latency['max']:.2f})",
        "too noisy" if entry["withheld"] else f"{entry['speedup']:.1f}x ({slowest:.1f} - {fastest:.1f})",
    )


def format_delegation(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Format the delegated operators and the partitions of an entry of `bench_host`, a cell each."""
    return f"{entry['ops_delegated']} of {entry['ops_total']}", str(entry["partitions"])


def format_start(entry: Mapping[str, Any]) -> str:
    """Format the time that a model of `bench_host` takes to load, and then for its first image."""
    return f"{entry['load_ms']:.1f} + {entry['first_inference_ms']:.1f} ms"


def format_speedup(measured: Mapping[str, Any]) -> str:
    """Format a speed-up with its 95 % interval.

    Args:
        measured: `speedup`, `noise` and `withheld`, as an entry of `bench_host` has them.
    """
    if measured["withheld"]:
        return "too noisy"
    if not measured["noise"]:
        # The baseline against itself; of a single round its noise is unknown.
        return f"{measured['speedup']:.3g}x"
    times, noise = measured["speedup"], 1 + measured["noise"]
    return f"{times:.3g}x ({times / noise:.3g} - {times * noise:.3g})"


def format_withheld(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format the names whose speed-ups are not quoted, a line for each reason."""
    return [f"no speed-up of {', '.join(names)}: {why}." for why, names in group_withheld(entries).items()]


def format_conditions(record: Mapping[str, Any]) -> list[str]:
    """Format what a record of `bench_host` withholds and the conditions of the run, a line each."""
    machine = record["machine"]
    threads = " and ".join(str(count) for count in dict.fromkeys(entry["threads"] for entry in record["entries"]))
    peaks = ", ".join(f"{rate:.0f} GMAC/s in {arithmetic}" for arithmetic, rate in record["peak_gmacs_per_s"].items())
    return [
        *format_withheld(record["entries"]),
        f"{record['runs']} interleaved rounds, {threads} thread(s), {machine['cpu']} "
        f"({machine['cores']} cores, load {machine['load_average']}), LiteRT {machine['litert']}",
        f"peak of 1x1 convolutions in the same rounds: {peaks}",
    ]
