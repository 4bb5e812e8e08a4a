"""This machine's measurements as people read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.timing.noise import withheld_by_reason
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """The table of a record of `bench_host`, the speed-ups that it withholds, and under what it was measured."""
    head = ("model", "size", "latency (min - max)", "speed-up (range)")
    cost = ("GMAC/s (of peak)", "load + first", "peak memory")
    rows: list[tuple[str, ...]] = [(*head, *cost, "delegated", "partitions")]
    for entry in record["entries"]:
        rate, memory = f"{entry['gmacs_per_s']:.1f} ({entry['share_of_peak']:.0%})", entry["peak_memory_bytes"] / 1e6
        rows.append((*_speed(entry), rate, start_of(entry), f"{memory:.1f} MB", *_delegation(entry)))
    return "\n".join([*format_columns(rows), *conditions(record)])


def format_quantizers(record: Mapping[str, Any]) -> str:
    """The table of a record of `compare_oracles`: what each quantiser made of a student."""
    columns = {"psnr_db": "PSNR to the student", "teacher_psnr_db": "to the teacher"}
    columns = {key: title for key, title in columns.items() if key in record["entries"][0]}
    head = ("file", "size", "latency (min - max)", "speed-up (range)")
    rows: list[tuple[str, ...]] = [(*head, *columns.values(), "delegated", "partitions")]
    for entry in record["entries"]:
        rows.append((*_speed(entry), *(f"{entry[key]:.2f} dB" for key in columns), *_delegation(entry)))
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    photos = f"Ranges from {record['calibration_images']} photos, PSNR over {record['images']} others; {versions}"
    return "\n".join([*format_columns(rows), photos, *_floats(record), *_trainings(record), *conditions(record)])


def _floats(record: Mapping[str, Any]) -> list[str]:
    """Of each int8 file, what computes in float all the same."""
    return [
        f"float within {entry['name']}: {_counted(entry['float_operators'])}"
        for entry in record["entries"][1:]
        if entry["float_operators"]
    ]


def _trainings(record: Mapping[str, Any]) -> list[str]:
    trainings = record["trainings"]
    if trainings is None:
        return []
    config = trainings["config"]
    return [
        f"trained by {config['steps']} steps of {config['batch_size']} of {trainings['training_photos']} photos, "
        f"learning rate {config['learning_rate']:g}",
        *(
            f"{row}: a copy in tf_keras, within {facts['copy_difference']:.1e} of the student in float; "
            f"annotated by hand: {_counted(facts['annotated_by_hand'])}; {facts['step_s']:.2f} s a step"
            for row, facts in trainings["tfmot"].items()
        ),
    ]


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items()) or "nothing"


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


def start_of(entry: Mapping[str, Any]) -> str:
    """How long a model of `bench_host` takes to load, and then for its first image."""
    return f"{entry['load_ms']:.1f} + {entry['first_inference_ms']:.1f} ms"


def times_faster(measured: Mapping[str, Any]) -> str:
    """A speed-up with its 95 % interval.

    Args:
        measured: `speedup`, `noise` and `withheld`, as an entry of `bench_host` has them.
    """
    if measured["withheld"]:
        return "too noisy"
    if measured["noise"] == 0:
        # The baseline against itself.
        return f"{measured['speedup']:.3g}x"
    times, noise = measured["speedup"], 1 + measured["noise"]
    return f"{times:.3g}x ({times / noise:.3g} - {times * noise:.3g})"


def withheld_speedups(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whose speed-ups are not quoted, and why, a line for each reason."""
    return [f"no speed-up of {', '.join(names)}: {why}." for why, names in withheld_by_reason(entries).items()]


def conditions(record: Mapping[str, Any]) -> list[str]:
    """The speed-ups that a record of `bench_host` withholds, and under what it was measured, a line each."""
    machine = record["machine"]
    threads = " and ".join(str(count) for count in dict.fromkeys(entry["threads"] for entry in record["entries"]))
    peaks = ", ".join(f"{rate:.0f} GMAC/s in {arithmetic}" for arithmetic, rate in record["peak_gmacs_per_s"].items())
    return [
        *withheld_speedups(record["entries"]),
        f"{record['runs']} interleaved rounds, {threads} thread(s), {machine['cpu']} "
        f"({machine['cores']} cores, load {machine['load_average']}), LiteRT {machine['litert']}",
        f"peak of 1x1 convolutions in the same rounds: {peaks}",
    ]
