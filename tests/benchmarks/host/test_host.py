"""Timing models against each other: turns, ratios, names and what cannot be timed."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.host.compiled import CompiledRunner
from benchmarks.host.config import HostConfig
from benchmarks.host.stage import TURN_INVOKES, bench_host, find_models, time_rounds
from benchmarks.host.table import format_table
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.bench_record import parse_bench
from compress.errors import UnusableArtifact, UnusableModel, UsageError
from export.graph.operations import Activate, Graph
from export.interpreter.open_file import open_filled_file
from export.tflite.emitter import float_file


class Sleeper:
    """A model of a known latency that writes down when it ran."""

    def __init__(self, name: str, latency_ms: float, log: list[str]) -> None:
        self.name, self.latency_ms, self.log = name, latency_ms, log

    def invoke(self) -> None:
        self.log.append(self.name)
        time.sleep(self.latency_ms / 1e3)


def write_artifact(path: Path, model: Path, name: str) -> Path:
    path.mkdir()
    (path / "model.tflite").write_bytes(model.read_bytes())
    spec, cost = ImageSpec(shape=(32, 32, 3)), Cost(params=1, macs=1, size_bytes=model.stat().st_size)
    manifest = Manifest(name=name, format="tflite", stage="export", parent=None, input=spec, cost=cost)
    write_manifest(path, manifest)
    return path


def test_models_take_turns_in_an_order_that_rotates() -> None:
    log: list[str] = []
    time_rounds([Sleeper(name, 60, log) for name in "abc"], runs=3, warmup=1)
    assert "".join(log) == "abc" + "abc" + "bca" + "cab"


def test_a_fast_model_runs_several_times_in_a_turn_and_a_slow_one_once() -> None:
    log: list[str] = []
    time_rounds([Sleeper("slow", 60, log), Sleeper("fast", 0.1, log)], runs=2, warmup=0)
    assert (log.count("slow"), log.count("fast")) == (2, 2 * TURN_INVOKES)


def test_latency_is_the_time_of_one_invoke() -> None:
    rounds = time_rounds([Sleeper("slow", 20, []), Sleeper("fast", 2, [])], runs=3, warmup=0)
    for slow, fast in rounds:
        # A sleep never ends early; how late it ends is up to a busy machine.
        assert slow >= 20
        assert 2 <= fast < slow


def test_every_entry_has_latency_cold_start_rate_and_delegation(models: Path) -> None:
    paths = models / "wide.tflite", models / "narrow.tflite", models / "mirrored.tflite"
    record = bench_host(HostConfig(baseline=paths[0], candidate=paths[1:], runs=5, warmup=1))
    assert json.loads(json.dumps(record)) == record
    assert (record["threads"], record["runs"], record["interleaved"]) == (1, 5, True)
    assert record["machine"]["cpu"]
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["litert"]
    wide, narrow, mirrored = record["entries"]
    assert [entry["name"] for entry in record["entries"]] == ["wide", "narrow", "mirrored"]
    for entry, path in zip(record["entries"], paths, strict=True):
        assert entry["path"] == str(path)
        assert entry["size_bytes"] == path.stat().st_size
        assert 0 < entry["latency_ms"]["min"] <= entry["latency_ms"]["median"] <= entry["latency_ms"]["max"]
        assert entry["speedup_range"][0] <= entry["speedup"] <= entry["speedup_range"][1]
        assert entry["peak_memory_bytes"] > 0
        assert entry["load_ms"] > 0
        # Of a cold process; the fastest of warm rounds can hardly be slower, whatever else runs.
        assert entry["first_inference_ms"] > 0.5 * entry["latency_ms"]["min"]
        assert entry["gmacs_per_s"] == pytest.approx(entry["macs"]["fp32"] / entry["latency_ms"]["min"] / 1e6)
        # Of a peak that is itself measured, a little more than all can come out on a busy machine.
        assert 0 < entry["share_of_peak"] < 1.5
        assert entry["input_shape"] == [1, 32, 32, 3]
        assert entry["noise"] >= 0
    assert all(rate > 0 for rate in record["peak_gmacs_per_s"].values())
    assert (wide["speedup"], wide["speedup_range"]) == (1.0, [1.0, 1.0])
    assert (wide["noise"], wide["withheld"]) == (0.0, None)
    assert record["waiting"] is None or record["waiting"] >= 0
    # 1.4 GMACs against 0.3 MMACs.
    assert narrow["speedup"] > 10
    assert narrow["op_counts"] == {"CONV_2D": 3}
    assert (narrow["ops_total"], narrow["ops_delegated"], narrow["partitions"]) == (3, 3, 1)
    # The delegate leaves mirror pads behind, which cut the file into partitions.
    assert mirrored["op_counts"] == {"MIRROR_PAD": 3, "CONV_2D": 3}
    assert (mirrored["ops_total"], mirrored["ops_delegated"], mirrored["partitions"]) == (6, 3, 3)


def test_several_counts_of_threads_are_timed_in_the_same_rounds(models: Path) -> None:
    paths = models / "shallow.tflite", models / "deep.tflite"
    record = bench_host(HostConfig(baseline=paths[0], candidate=(paths[1],), threads=(1, 2), runs=3, warmup=0))
    assert json.loads(json.dumps(record)) == record
    assert (record["threads"], [entry["threads"] for entry in record["entries"]]) == (1, [1, 1, 2, 2])
    names = [entry["name"] for entry in record["entries"]]
    assert names == ["shallow", "deep", "shallow, 2 threads", "deep, 2 threads"]
    shallow, deep, shallow_on_2, deep_on_2 = record["entries"]
    # Each over the baseline on as many threads, and five times its work.
    assert shallow_on_2["speedup"] == 1
    assert shallow_on_2["withheld"] is None
    assert 0.05 < deep["speedup"] < 0.7
    assert 0.05 < deep_on_2["speedup"] < 0.7
    assert (shallow["over_first_threads"], deep["over_first_threads"]) == (None, None)
    gain = deep_on_2["over_first_threads"]
    least, most = gain["speedup_range"]
    assert 0 < least <= gain["speedup"] <= most
    # No round's ratio is beyond that of the extremes.
    assert deep["latency_ms"]["min"] / deep_on_2["latency_ms"]["max"] <= gain["speedup"]
    assert gain["speedup"] <= deep["latency_ms"]["max"] / deep_on_2["latency_ms"]["min"]


def test_unequal_inputs_are_pointed_out(models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    activate = Activate(inputs=("image",), output="out", shape=(8, 8, 3), function="tanh")
    graph = Graph(input="image", output="out", input_shape=(8, 8, 3), operations=(activate,))
    (tmp_path / "tiny.tflite").write_bytes(float_file(graph))
    config = HostConfig(baseline=models / "narrow.tflite", candidate=(tmp_path / "tiny.tflite",), runs=1, warmup=0)
    with caplog.at_level(logging.WARNING):
        bench_host(config)
    assert "tiny takes 8x8 pixels and narrow takes 32x32" in caplog.text


def test_an_artifact_is_called_by_its_manifest(models: Path, tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "folder", models / "narrow.tflite", "zebra student")
    (model,) = find_models([artifact])
    assert (model.name, model.path) == ("zebra student", artifact)
    assert model.file == artifact / "model.tflite"


def test_equal_names_are_told_apart(models: Path, tmp_path: Path) -> None:
    fp32 = write_artifact(tmp_path / "fp32", models / "narrow.tflite", "student")
    int8 = write_artifact(tmp_path / "int8", models / "narrow.tflite", "student")
    names = [model.name for model in find_models([models / "wide.tflite", fp32, int8, int8])]
    assert names == ["wide", "student (fp32)", "student (int8)", "student (int8) #2"]


def test_an_artifact_of_another_format_names_the_export(models: Path, tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "keras", models / "narrow.tflite", "student")
    manifest = artifact / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"tflite"', '"keras"'))
    (artifact / "model.keras").touch()
    with pytest.raises(UnusableArtifact, match=r"holds model\.keras.*run `compress export tflite`"):
        find_models([artifact])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"nothing\.tflite does not exist"):
        find_models([tmp_path / "nothing.tflite"])


@pytest.mark.parametrize(
    "change", [{"threads": (0,)}, {"threads": (1, 2, 1)}, {"threads": ()}, {"runs": 0}, {"warmup": -1}]
)
def test_numbers_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected at least"):
        HostConfig(baseline=Path("a"), candidate=(Path("b"),), **change)


def test_compiled_model_returns_the_same_bits_and_is_timed_beside(models: Path) -> None:
    paths = models / "narrow.tflite", models / "mirrored.tflite"
    config = HostConfig(baseline=paths[0], candidate=paths[1:], runs=2, warmup=0, compiled_model=True)
    record = bench_host(config)
    parse_bench(json.loads(json.dumps(record)))
    for entry in record["entries"]:
        compiled = entry["compiled_model"]
        assert compiled["bit_equal"] is True
        assert compiled["latency_ms"]["median"] > 0
        assert compiled["speedup"] > 0
        assert compiled["litert_benchmark"]["median_ms"] > 0
    fully = [entry["compiled_model"]["litert_benchmark"]["fully_accelerated"] for entry in record["entries"]]
    assert fully == [True, False]
    table = format_table(record)
    assert "narrow in CompiledModel" in table
    assert "the same bits" in table


def test_other_bits_of_compiled_model_would_show(models: Path) -> None:
    filled = open_filled_file(models / "narrow.tflite", threads=1)
    runner = CompiledRunner(models / "narrow.tflite", filled, threads=1)
    assert runner.equals(filled)
    detail = filled.get_input_details()[0]
    filled.set_tensor(detail["index"], filled.get_tensor(detail["index"]) + 1)
    assert not runner.equals(filled)
