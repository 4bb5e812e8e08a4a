"""The phone: its choice, whether it is ready, its files, what it can run; the client is adbutils itself."""

import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest

from benchmarks.android.binary import device_command, read_binary
from benchmarks.android.device import find_phone, require_adbutils
from benchmarks.android.facts import core_mask, find_fastest_cores, read_phone, read_thermal_state
from compress.errors import PocketGANError, UnusableDevice, UnusableModel, UsageError

SERIAL = "38021FDJH000AB"
ANOTHER = "emulator-5554          device product:sdk model:Emulator device:emu transport_id:4\n"


@pytest.mark.parametrize(
    ("listed", "serial", "error", "message"),
    [
        ("", None, UnusableDevice, "no phone is connected"),
        (None, "nobody", UsageError, r"no such phone; connected are 38021FDJH000AB \(Pixel 8\)"),
        (f"{SERIAL}         unauthorized usb:1-2 transport_id:3\n", None, UnusableDevice, "confirm the question"),
        (f"{SERIAL}         offline usb:1-2 transport_id:3\n", None, UnusableDevice, "does not answer"),
        (f"{SERIAL}         no permissions (missing udev rules?); see usb:1-2\n", None, UnusableDevice, "udev"),
        (f"{SERIAL}         recovery usb:1-2 transport_id:3\n", None, UnusableDevice, "'recovery', expected 'device'"),
    ],
    ids=["none", "unknown serial", "unauthorised", "offline", "no permissions", "recovery"],
)
def test_a_phone_that_is_not_ready_is_named(
    phone: Any, listed: str | None, serial: str | None, error: type[PocketGANError], message: str
) -> None:
    phone.listed = phone.listed if listed is None else listed
    with pytest.raises(error, match=message):
        find_phone(serial)


def test_two_phones_are_named_and_one_must_be_chosen(phone: Any) -> None:
    phone.listed += ANOTHER
    named = r"2 phones are connected: 38021FDJH000AB \(Pixel 8\), emulator-5554 \(Emulator\)\. .*--serial"
    with pytest.raises(UsageError, match=named):
        find_phone(None)
    assert find_phone(SERIAL).name == "38021FDJH000AB (Pixel 8)"


def test_without_adbutils_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--extra android"):
        require_adbutils()


def test_files_arrive_whole_and_come_back(phone: Any) -> None:
    content = bytes(range(256)) * 1000
    device = find_phone(None)
    with device.scratch_folder() as folder:
        device.push(content, f"{folder}/file")
        assert phone.files[f"{folder}/file"] == content
        assert device.fetch(f"{folder}/file") == content
        assert device.fetch(f"{folder}/nothing") is None
    assert (phone.files, phone.folders) == ({}, set())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_pushed_goes_again_after_an_error(phone: Any, error: type[BaseException]) -> None:
    device = find_phone(None)

    def fail() -> None:
        with device.scratch_folder() as folder:
            device.push(b"content", f"{folder}/file")
            raise error

    with pytest.raises(error):
        fail()
    assert (phone.files, phone.folders) == ({}, set())


def test_a_folder_that_is_gone_is_no_full_phone(phone: Any) -> None:
    with pytest.raises(UnusableDevice, match="did not take /data/local/tmp/elsewhere/file"):
        find_phone(None).push(b"content", "/data/local/tmp/elsewhere/file")


@pytest.mark.parametrize(
    ("count", "cores"),
    [(1, [8]), (2, [4, 5, 6, 7, 8]), (5, [4, 5, 6, 7, 8]), (6, list(range(9))), (99, list(range(9)))],
)
def test_the_fastest_cores_are_chosen_in_whole_kinds(phone: Any, count: int, cores: list[int]) -> None:
    assert find_fastest_cores(find_phone(None), count=count) == cores


def test_cores_are_written_as_taskset_reads_them() -> None:
    assert (core_mask([8]), core_mask([4, 5, 6, 7, 8]), core_mask([0])) == ("100", "1f0", "1")


def test_model_and_versions_of_a_phone_are_read(phone: Any) -> None:
    found = read_phone(find_phone(None))
    assert found["name"] == "38021FDJH000AB (Pixel 8)"
    assert (found["model"], found["soc"]) == ("Google Pixel 8", "Google Tensor G3")
    assert (found["android"], found["sdk"], found["abi"]) == ("15", "35", "arm64-v8a")


def test_heat_is_read_as_it_is_now_without_absent_sensors(phone: Any) -> None:
    device = find_phone(None)
    assert read_thermal_state(device) == {"status": "none", "celsius": {"BIG": 35.0, "VIRTUAL-SKIN": 28.4}}
    assert read_thermal_state(device) == {"status": "moderate", "celsius": {"BIG": 78.5, "VIRTUAL-SKIN": 41.2}}


def _program(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"#!/bin/sh\n", "no program for Android"),
        (_program(62), "built for x86_64, but the phone runs arm64-v8a"),
    ],
    ids=["missing", "a script", "another processor's"],
)
def test_a_binary_that_the_phone_cannot_run_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "binary").write_bytes(content)
    with pytest.raises(UnusableModel, match=message):
        read_binary(tmp_path / "binary", abi="arm64-v8a")


@pytest.mark.parametrize(("machine", "abi"), [(183, "arm64-v8a"), (40, "arm64-v8a"), (62, "x86_64"), (183, None)])
def test_a_binary_for_the_phone_is_taken(machine: int, abi: str | None, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(_program(machine))
    assert read_binary(tmp_path / "binary", abi=abi) == _program(machine)


def test_the_command_line_is_that_of_benchmark_model() -> None:
    flags = {"graph": "/f/model0.tflite", "num_runs": 20, "enable_op_profiling": True}
    assert device_command("/f", "gpu", flags, cores=[7]) == [
        "taskset", "80", "/f/benchmark_model", "--use_gpu=true", "--graph=/f/model0.tflite", "--num_runs=20",
        "--enable_op_profiling=true",
    ]  # fmt: skip
    assert device_command("/f", "cpu", {}, cores=[]) == ["/f/benchmark_model", "--use_xnnpack=true"]
