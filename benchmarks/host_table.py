"""This machine's measurements as people read them."""

from collections.abc import Mapping
from typing import Any

from benchmarks.noise import withheld_by_reason
from benchmarks.table import aligned


def describe(record: Mapping[str, Any]) -> str:
    """The table of a record of `bench_host`, the speed-ups that it withholds, and under what it was measured."""
    head = ("model", "size", "latency (min - max)", "speed-up (range)")
    rows: list[tuple[str, ...]] = [(*head, "GMAC/s (of peak)", "peak memory", "delegated", "partitions")]
    for entry in record["entries"]:
        rate, memory = f"{entry['gmacs_per_s']:.1f} ({entry['share_of_peak']:.0%})", entry["peak_memory_bytes"] / 1e6
        rows.append((*_speed(entry), rate, f"{memory:.1f} MB", *_delegation(entry)))
    return "\n".join([*aligned(rows), *conditions(record)])


def describe_oracles(record: Mapping[str, Any]) -> str:
    """The table of a record of `compare_oracles`: what each quantiser made of a student."""
    head = ("file", "size", "latency (min - max)", "speed-up (range)")
    rows: list[tuple[str, ...]] = [(*head, "PSNR to the student", "delegated", "partitions")]
    for entry in record["entries"]:
        rows.append((*_speed(entry), f"{entry['psnr_db']:.2f} dB", *_delegation(entry)))
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    photos = f"Ranges from {record['calibration_images']} photos, PSNR over {record['images']} others; {versions}"
    return "\n".join([*aligned(rows), photos, *conditions(record)])


def _speed(entry: Mapping[str, Any]) -> tuple[str, ...]:
    latency, (slowest, fastest) = entry["latency_ms"], entry["speedup_range"]
    return (
        entry["name"],
        f"{entry['size_bytes'] / 1e3:.1f} kB",
        f"{latency['median']:.2f} ms ({latency['min']:.2f} - {latency['max']:.2f})",
        "too noisy" if entry["withheld"] else f"{entry['speedup']:.1f}x ({slowest:.1f} - {fastest:.1f})",
    )


def _delegation(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return f"{entry['ops_delegated']} of {entry['ops_total']}", str(entry["partitions"])


def conditions(record: Mapping[str, Any]) -> list[str]:
    """The speed-ups that a record of `bench_host` withholds, and under what it was measured, a line each."""
    machine = record["machine"]
    threads = " and ".join(str(count) for count in dict.fromkeys(entry["threads"] for entry in record["entries"]))
    peaks = ", ".join(f"{rate:.0f} GMAC/s in {arithmetic}" for arithmetic, rate in record["peak_gmacs_per_s"].items())
    return [
        *(f"no speed-up of {', '.join(names)}: {why}." for why, names in withheld_by_reason(record["entries"]).items()),
        f"{record['runs']} interleaved rounds, {threads} thread(s), {machine['cpu']} "
        f"({machine['cores']} cores, load {machine['load_average']}), LiteRT {machine['litert']}",
        f"peak of 1x1 convolutions in the same rounds: {peaks}",
    ]
