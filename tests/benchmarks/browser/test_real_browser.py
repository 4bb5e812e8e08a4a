"""The page in a real browser, where one and LiteRT.js are in the cache or within reach."""

from pathlib import Path

import pytest

from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.stage import bench_browser
from benchmarks.browser.task import Task
from compress.errors import UnusableModel

TIME_LIMIT_S = 240


def test_a_browser_returns_the_pixels_of_the_host(real_browser: Path, student_files: dict[str, Path]) -> None:
    models = [student_files["uint8"], student_files["float"]]
    config = BrowserConfig(browser=real_browser, runs=2, warmup=1, threads=2, timeout_s=TIME_LIMIT_S)
    record = bench_browser(models, config)
    assert "Chrome" in record["browser"]["user_agent"]
    # The server's headers grant the page shared memory, without which there are no threads.
    assert record["browser"]["cross_origin_isolated"] is True
    assert record["threads"] == 2
    on_wasm = [entry for entry in record["entries"] if entry["accelerator"] == "wasm"]
    assert [entry["name"] for entry in on_wasm] == ["uint8_student", "float_student"]
    assert [entry["io_types"] for entry in on_wasm] == [["uint8"] * 2, ["float32"] * 2]
    for entry in on_wasm:
        # The same integers in the same kernels; a rounding may fall the other way where floats are scaled.
        assert entry["parity"]["share_within_1_255"] >= 0.99
        assert entry["latency_ms"]["min"] > 0


def test_a_model_that_the_browser_refuses_is_named(
    real_browser: Path, student_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Task.files
    monkeypatch.setattr(Task, "files", lambda task: whole(task) | {"models/0.tflite": b"torn"})
    config = BrowserConfig(browser=real_browser, timeout_s=TIME_LIMIT_S)
    with pytest.raises(UnusableModel, match=r"float_student does not run in the browser: \S+"):
        bench_browser([student_files["float"]], config)
