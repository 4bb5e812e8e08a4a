"""From the command's flags to its record, with programs that stand in for a browser."""

import importlib.util
import json
import logging
import os
import re
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from benchmarks.browser import stage
from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.server import BenchServer
from benchmarks.browser.table import format_table
from benchmarks.browser.task import Task
from compress.errors import UnusableInput, UnusableModel, UsageError
from compress.images import to_uint8, write_png


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_library", lambda: {"@litertjs/core/dist/index.js": b"export {};"})


@pytest.fixture(scope="module")
def fake_page():
    spec = importlib.util.spec_from_file_location("fake_page", Path(__file__).with_name("fake_page.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def served(tanh_file: Path):
    """The address of two models' page, and their task."""
    task = Task([tanh_file, tanh_file], BrowserConfig(runs=4))
    with BenchServer(task, task.files()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.page_address(), task
        server.shutdown()


def test_a_browser_that_measures_makes_a_record(tanh_file: Path, fake_browser) -> None:
    config = BrowserConfig(browser=fake_browser("measures"), runs=3, timeout_s=60)
    record = stage.bench_browser([tanh_file, tanh_file], config)
    assert json.loads(json.dumps(record)) == record
    assert (record["runs"], record["threads"], record["browser"]) == (3, 1, {"user_agent": "fake"})
    first, second = record["entries"]
    assert (first["name"], second["name"]) == ("tanh (tanh.tflite)", "tanh (tanh.tflite) #2")
    assert (first["accelerator"], first["io_types"]) == ("wasm", ["float32", "float32"])
    assert second["latency_ms"] == {"min": 2.0, "median": 2.0, "p95": 2.0, "max": 2.0}
    assert (first["speedup"], second["speedup"], second["speedup_range"]) == (1.0, 0.5, [0.5, 0.5])
    assert first["size_bytes"] == tanh_file.stat().st_size
    # NumPy's tanh and XNNPACK's are a few units in the last place apart.
    assert first["parity"]["share_within_1_255"] == 1.0
    assert first["parity"]["largest_difference"] < 0.01
    assert "tanh (tanh.tflite) on webgpu: there is none" in format_table(record)


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("fails", UnusableModel, r"tanh does not run in the browser: no such operator\n.*\nwarn: Gelu is unknown"),
        ("exits", UnusableInput, r'ended with 7 before the page was done; it said:\n.*"no shared memory"'),
    ],
)
def test_what_goes_wrong_in_a_browser_is_told(
    tanh_file: Path, fake_browser, behaviour: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        stage.bench_browser([tanh_file], BrowserConfig(browser=fake_browser(behaviour), timeout_s=60))


def test_a_browser_that_hangs_is_ended(tanh_file: Path, tmp_path: Path) -> None:
    hanging = tmp_path / "hanging"
    hanging.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/pid"; echo no display >&2; exec sleep 60\n')
    hanging.chmod(0o755)
    with pytest.raises(UnusableInput, match=r"not done within 2 s.*--timeout-s(.|\n)*no display"):
        stage.bench_browser([tanh_file], BrowserConfig(browser=hanging, timeout_s=2))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_of_no_known_format_is_refused(tanh_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\x00")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(UsageError, match=r"text cannot be started: .*--browser"):
        stage.bench_browser([tanh_file], BrowserConfig(browser=tmp_path / "text"))


def test_without_a_browser_the_ways_out_are_named(
    tanh_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.browser.chromium._MAC", tmp_path / "none")
    with pytest.raises(UsageError, match=r"chromium.*is on PATH(.|\n)*--browser PATH(.|\n)*--serve"):
        stage.bench_browser([tanh_file], BrowserConfig())
    with pytest.raises(UsageError, match="missing is no program"):
        stage.bench_browser([tanh_file], BrowserConfig(browser=tmp_path / "missing"))


def test_an_int8_input_names_the_export_flag(student_files: dict[str, Path]) -> None:
    with pytest.raises(UnusableModel, match=r"int8_student\.tflite takes int8.*--io-type uint8` or `--io-type float"):
        Task([student_files["int8"]], BrowserConfig())


def test_a_differing_output_shows_in_parity(served, fake_page, caplog: pytest.LogCaptureFixture) -> None:
    address, _ = served
    # A quarter of the values is 5 steps of 1/255 off: the range from black to white is 2.
    with caplog.at_level(logging.WARNING):
        record = fake_page.measure(address, shift=10 / 255)
    parity = record["entries"][0]["parity"]
    assert parity["share_within_1_255"] == 0.75
    assert parity["largest_difference"] == pytest.approx(5, abs=0.01)
    assert "only 75.0 % of its values are within 1/255" in caplog.text


def test_a_speed_up_that_is_too_noisy_is_withheld(served, fake_page) -> None:
    address, _ = served
    quiet, noisy = (fake_page.measure(address, unrest=unrest) for unrest in (0.0, 0.5))
    assert [entry["withheld"] for entry in quiet["entries"]] == [None, None]
    assert "0.5x (0.5 - 0.5)" in format_table(quiet)
    first, second = noisy["entries"]
    assert first["withheld"] is None
    assert "at most 10% is allowed" in second["withheld"]
    assert f"no speed-up of {second['name']}: {second['withheld']}." in format_table(noisy)
    assert "0.333" not in format_table(noisy)


def test_values_that_are_no_numbers_are_no_parity(served) -> None:
    _, task = served
    output = np.full((16, 16, 3), np.nan, "<f4").tobytes()
    assert task.compare(0, output) == {"share_within_1_255": 0.0, "largest_difference": 255.0}


def test_the_page_gets_the_io_types_and_the_bytes_of_the_photo(student_files: dict[str, Path], tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    write_png(tmp_path / "photo.png", photo)
    files = Task([student_files["uint8"], student_files["float"]], BrowserConfig(image=tmp_path / "photo.png")).files()
    described = json.loads(files["task.json"])
    first, second = (model["input"] for model in described["models"])
    assert (first["dtype"], first["shape"], first["zero_point"]) == ("uint8", [1, 16, 16, 3], 128)
    assert first["scale"] == pytest.approx(1 / 127.5)
    assert (second["dtype"], second["scale"]) == ("float32", 0.0)
    assert files["inputs/0.bin"] == photo.tobytes()
    given = np.frombuffer(files["inputs/1.bin"], "<f4").reshape(16, 16, 3)
    np.testing.assert_array_equal(to_uint8(given), photo)
    assert files["models/0.tflite"] == student_files["uint8"].read_bytes()


def test_the_server_isolates_its_page_and_knows_nothing_else(served) -> None:
    address, _ = served
    with urlopen(address) as answer:
        assert b"importmap" in answer.read()
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    for path in ("../../../etc/passwd", "models/2.tflite", "stage.py"):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{address}{path}")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("output/0", b"too short"),
        ("output/2", b""),
        ("report", b"{"),
        ("report", b"[]"),
        ("report", b'{"entries": [], "rounds": []}'),
        ("report", b'{"entries": [{"model": 0, "accelerator": "wasm"}], "rounds": [[0]]}'),
        ("elsewhere", b"{}"),
    ],
)
def test_what_no_page_posts_is_refused(served, path: str, body: bytes) -> None:
    address, _ = served
    with pytest.raises(HTTPError, match="400"):
        urlopen(f"{address}{path}", body)


def test_a_post_that_would_fill_the_memory_is_refused(served) -> None:
    address, _ = served
    with pytest.raises(HTTPError, match="413"):
        urlopen(Request(f"{address}report", b"{}", {"Content-Length": str(1 << 40)}))


def test_serving_goes_on_after_a_page_failed(tanh_file: Path, fake_page, caplog: pytest.LogCaptureFixture) -> None:
    records = stage.serve([tanh_file], BrowserConfig(runs=2))
    found = []
    with caplog.at_level(logging.INFO):
        waiting = threading.Thread(target=lambda: found.extend([next(records), next(records)]))
        waiting.start()
        address = _await_address(caplog)
        fake_page.measure(address)
        urlopen(f"{address}error", b'{"model": null, "message": "out of memory"}')
        fake_page.measure(address)
        waiting.join(60)
    records.close()
    assert [record["runs"] for record in found] == [2, 2]
    assert "the page failed: out of memory" in caplog.text


def _await_address(caplog: pytest.LogCaptureFixture) -> str:
    for _ in range(600):
        if found := re.search(r"open (http://127.0.0.1:\d+/[\w-]{16}/) in a browser", caplog.text):
            return found[1]
        threading.Event().wait(0.1)
    pytest.fail("no address was told")


@pytest.mark.parametrize("change", [{"threads": 0}, {"runs": 0}, {"warmup": -1}, {"timeout_s": 0}])
def test_numbers_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected at least"):
        BrowserConfig(**change)
