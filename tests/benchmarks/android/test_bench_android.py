"""`compress bench android` as a user runs it, against adb's server with a phone that replays transcripts."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.images import read_image
from export.interpreter.litert import TfliteGenerator

Command = Callable[..., subprocess.CompletedProcess[str]]


def entries(finished: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, Any]]:
    assert finished.returncode == 0, finished.stderr
    return {(entry["name"], entry["backend"]): entry for entry in json.loads(finished.stdout)["entries"]}


def left_on(phone: Any) -> list[str]:
    return [*phone.files, *phone.folders]


def test_two_models_are_measured_on_three_backends(bench: Command, phone: Any, models: Path, tmp_path: Path) -> None:
    phone.broken["nnapi", "teacher"] = (1, "nnapi_refused.txt")
    finished = bench("--runs", 3, "--out", tmp_path / "phone.json", "--json")
    found = entries(finished)
    record = json.loads(finished.stdout)
    assert json.loads((tmp_path / "phone.json").read_text()) == record
    assert record["device"]["model"] == "Google Pixel 8"
    assert (record["device"]["soc"], record["device"]["android"]) == ("Google Tensor G3", "15")
    assert record["pinned_cores"] == [8]
    assert record["thermal"]["before"] == {"status": "none", "celsius": {"BIG": 35.0, "VIRTUAL-SKIN": 28.4}}
    assert record["thermal"]["after"]["status"] == "moderate"
    student = found["narrow", "cpu"]
    assert student["size_bytes"] == (models / "narrow.tflite").stat().st_size
    assert student["latency_ms"] == {"min": 6.07, "median": 6.07, "max": 6.07}
    assert (student["init_ms"], student["first_inference_ms"]) == (4.102, 7.011)
    assert student["speedup"] == pytest.approx(1098.01 / 6.07)
    assert (student["noise"], student["withheld"]) == (0.0, None)
    assert student["delegation"]["extent"] == "completely"
    # The peak and the profile are those of the run before the timed ones.
    assert student["memory"]["peak_bytes"] == round(9.5 * 2**20)
    assert len(student["profile"]) == 3
    assert student["parity"] is None
    assert found["shallow", "gpu"]["delegation"]["nodes"] == 350
    # Over the first model on the same backend, or not at all.
    assert found["narrow", "gpu"]["speedup"] == pytest.approx(150.870 / 4.731)
    assert found["narrow", "nnapi"]["speedup"] is None
    assert "shallow did not run on nnapi" in found["narrow", "nnapi"]["withheld"]
    assert "ANEURALNETWORKS_BAD_DATA" in found["shallow", "nnapi"]["error"]
    assert left_on(phone) == []


def test_models_take_turns_on_the_fastest_cores_and_nothing_disturbs_a_timed_turn(bench: Command, phone: Any) -> None:
    entries(bench("--runs", 3, "--backend", "cpu", "--threads", 2, "--invokes", 7, "--json"))
    # Two threads: the fastest core alone is not enough, the four of the next kind join it.
    assert all(line.startswith("taskset 1f0 ") for line in phone.benchmarks)
    assert all("--num_threads=2 --num_runs=7" in line and "--use_xnnpack=true" in line for line in phone.benchmarks)
    examined, timed = phone.benchmarks[:2], phone.benchmarks[2:]
    assert all("--enable_op_profiling=true --report_peak_memory_footprint=true" in line for line in examined)
    assert not any("profil" in line or "peak" in line for line in timed)
    assert [line.partition("model0")[1] == "" for line in timed] == [False, True, True, False, False, True]


def test_the_table_says_what_ran_what_did_not_and_on_what(bench: Command, phone: Any) -> None:
    phone.broken["gpu", "student"] = (1, "gpu_refused.txt")
    phone.broken["nnapi", "teacher"] = (1, "nnapi_refused.txt")
    finished = bench("--runs", 2)
    assert finished.returncode == 0, finished.stderr
    printed = finished.stdout
    assert "180.9x" in printed
    assert "340 of 359, 20 partition(s)" in printed
    assert "narrow on gpu did not run: TfLiteGpuDelegate Init: TRANSPOSE_CONV" in printed
    assert "2 interleaved rounds, 1 thread(s) on core(s) 8, Google Pixel 8 (Google Tensor G3), Android 15" in printed
    assert "throttling for heat: none before, moderate after" in printed
    assert "no speed-up of narrow on nnapi: shallow did not run on nnapi" in printed


@pytest.mark.parametrize("transcript", ["gpu_fell_back.txt", "gpu_missing.txt"])
def test_a_gpu_that_took_nothing_is_not_timed_as_one(bench: Command, phone: Any, transcript: str) -> None:
    phone.broken["gpu", "student"] = (0, transcript)
    found = entries(bench("--runs", 2, "--backend", "cpu", "--backend", "gpu", "--json"))
    assert "GPU's delegate took nothing" in found["narrow", "gpu"]["error"]
    assert "latency_ms" not in found["narrow", "gpu"]
    assert found["narrow", "cpu"]["error"] is None
    assert left_on(phone) == []


def test_a_crash_on_one_backend_leaves_the_others(bench: Command, phone: Any) -> None:
    phone.broken["cpu", "student"] = (139, "crashed.txt")
    found = entries(bench("--runs", 2, "--backend", "cpu", "--backend", "gpu", "--json"))
    assert "died of a segmentation fault" in found["narrow", "cpu"]["error"]
    assert found["narrow", "gpu"]["speedup"] > 1
    assert left_on(phone) == []


def test_where_nothing_runs_the_command_fails_and_says_why(bench: Command, phone: Any, tmp_path: Path) -> None:
    phone.broken |= {("cpu", "teacher"): (139, "crashed.txt"), ("cpu", "student"): (139, "crashed.txt")}
    finished = bench("--backend", "cpu", "--out", tmp_path / "phone.json")
    assert finished.returncode == 3
    assert "narrow on cpu: benchmark_model died of a segmentation fault" in finished.stderr
    assert list(tmp_path.iterdir()) == []
    assert left_on(phone) == []


def test_the_phones_picture_is_compared_with_this_machines(
    bench: Command, phone: Any, models: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(photo)
    outputs = {}
    for model, name in (("teacher", "shallow"), ("student", "narrow")):
        generator = TfliteGenerator.open(models / f"{name}.tflite")
        outputs[model] = generator.run(read_image(photo, generator.size))
    # A tenth of a level everywhere; the student's first value of 3072 is three levels off.
    phone.outputs["teacher"] = (outputs["teacher"] + np.float32(0.1 / 127.5)).tobytes()
    outputs["student"][0, 0, 0] += 3 / 127.5
    phone.outputs["student"] = outputs["student"].tobytes()
    found = entries(bench("--runs", 2, "--backend", "cpu", "--check", photo, "--json"))
    teacher, student = found["shallow", "cpu"]["parity"], found["narrow", "cpu"]["parity"]
    assert teacher == {"largest_step": pytest.approx(0.1, rel=0.01), "share_within_a_step": 1.0}
    assert student == {"largest_step": pytest.approx(3, rel=0.01), "share_within_a_step": pytest.approx(3071 / 3072)}
    assert left_on(phone) == []


def test_a_binary_that_writes_no_output_is_named(bench: Command, phone: Any, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    phone.outputs["student"] = b"short"
    found = entries(bench("--runs", 2, "--backend", "cpu", "--check", tmp_path / "photo.png", "--json"))
    assert "--output_filepath" in found["shallow", "cpu"]["parity"]["error"]
    assert "5 bytes, expected 12288" in found["narrow", "cpu"]["parity"]["error"]


def test_a_full_phone_says_how_much_is_missing_and_keeps_nothing(bench: Command, phone: Any) -> None:
    phone.free_bytes = 100_000
    finished = bench()
    assert finished.returncode == 3
    assert "has 0.1 MB left in /data/local/tmp, but model0.tflite takes 1.4 MB" in finished.stderr
    assert left_on(phone) == []


def test_a_phone_that_is_unplugged_ends_the_command_and_names_what_may_be_left(bench: Command, phone: Any) -> None:
    phone.answers = 3
    finished = bench("--backend", "cpu")
    assert finished.returncode == 3
    assert "stopped answering" in finished.stderr
    assert "could not be removed from 38021FDJH000AB (Pixel 8)" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_without_an_adb_server_the_platform_tools_are_named(
    bench: Command, phone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    # Or adbutils would start a server of its own, which stays.
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/bin/false")
    finished = bench()
    assert finished.returncode == 3
    assert f"no adb server answers at 127.0.0.1:{port}" in finished.stderr
    assert "adb start-server" in finished.stderr


def test_a_phone_that_must_be_chosen_fails_the_command(bench: Command, phone: Any) -> None:
    phone.listed += "emulator-5554          device product:sdk model:Emulator device:emu transport_id:4\n"
    finished = bench()
    assert finished.returncode == 2
    assert "Choose one with --serial" in finished.stderr


def test_cores_that_cannot_be_chosen_are_said(bench: Command, phone: Any) -> None:
    phone.pinnable = False
    finished = bench("--backend", "cpu", "--runs", 2, "--json")
    assert json.loads(finished.stdout)["pinned_cores"] == []
    assert "does not let its fast cores be chosen" in finished.stderr
    assert not any("taskset" in line for line in phone.benchmarks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.tflite",), "android_aarch64_benchmark_model"),
        (("--benchmark-binary", "b"), "no model was given"),
        (("a.tflite", "--benchmark-binary", "b", "--runs", "0"), "runs = 0"),
        (("a.tflite", "--benchmark-binary", "b", "--backend", "npu"), "npu"),
    ],
    ids=["no binary: its place is named", "no model", "no rounds", "unknown backend"],
)
def test_wrong_flags_are_named(command: Command, phone: Any, arguments: tuple[str, ...], message: str) -> None:
    finished = command("android", *arguments, module="benchmarks")
    assert finished.returncode == 2
    assert message in finished.stderr


def test_help_loads_no_runtime_and_says_that_no_phone_was_tried() -> None:
    heavy = "{'ai_edge_litert', 'tensorflow', 'adbutils', 'numpy'}"
    code = f"import sys; from benchmarks.cli import app; app(['android', '--help']); print({heavy} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Experimental: no device has run it yet." in " ".join(finished.stdout.split())
    assert finished.stdout.splitlines()[-1] == "set()"
