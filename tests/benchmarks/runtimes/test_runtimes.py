"""Files on the runtimes that CI has: LiteRT with XNNPACK, its own kernels, CompiledModel; what becomes of others."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.browser.posted import MalformedReport
from benchmarks.runtimes import environments
from benchmarks.runtimes.answers import run_cases
from benchmarks.runtimes.browser import BROWSER_RUNTIMES, OutputTask, run_in_browser
from benchmarks.runtimes.cases import Case, operator_cases, student_cases
from benchmarks.runtimes.config import RuntimesConfig
from benchmarks.runtimes.environments import RUNTIMES, Runtime, Unavailable, find_python
from benchmarks.runtimes.models import random_student
from benchmarks.runtimes.stage import choose_runtimes, compare_runtimes, least_size
from benchmarks.runtimes.table import format_summary, format_tables
from compress.errors import UsageError

LIMIT_S = 120
INT8_FORMS = 10
"""Forms of a student in int8 as `.tflite`, two of them of one file with two sizes."""


@pytest.fixture(scope="module")
def operators() -> list[Case]:
    return [case for case in operator_cases() if case.format == "tflite"]


@pytest.fixture(scope="module")
def student() -> list[Case]:
    cases = student_cases(random_student("separable", 32), "separable", 32)
    return [case for case in cases if case.format == "tflite"]


def _run(kind: str, cases: Sequence[Case], scratch: Path) -> list[dict[str, Any]]:
    return list(run_cases(Path(sys.executable), kind, cases, scratch, timeout_s=LIMIT_S))


def test_every_operator_is_exact_in_xnnpack(operators: list[Case], tmp_path: Path) -> None:
    rows = _run("ai_edge_litert:xnnpack", operators, tmp_path)
    assert {case.subject: row for case, row in zip(operators, rows, strict=True) if row["largest"] > 0.02} == {}
    left = {case.subject for case, row in zip(operators, rows, strict=True) if case.is_int8 and row["left"]}
    # What XNNPACK leaves alone computes the same integers.
    assert {"average pool 3x3", "resize nearest x2", "pad by reflection"} <= left


def test_own_kernels_are_a_step_off_but_for_resizes_that_drift(operators: list[Case], tmp_path: Path) -> None:
    rows = _run("ai_edge_litert:own", operators, tmp_path)
    beyond = {case.subject for case, row in zip(operators, rows, strict=True) if row["share_beyond_one"] > 0}
    assert beyond == {"resize bilinear x3", "resize bilinear x1.5", "resize bilinear to 50x37"}
    largest = max(row["largest"] for case, row in zip(operators, rows, strict=True) if case.subject not in beyond)
    assert largest == 1


def test_every_form_of_a_student_is_within_a_step_in_xnnpack_and_compiled_model(
    student: list[Case], tmp_path: Path
) -> None:
    assert sum(case.is_int8 for case in student) == INT8_FORMS
    for kind in ("ai_edge_litert:xnnpack", "compiled_model"):
        scratch = tmp_path / kind.split(":")[0]
        scratch.mkdir()
        rows = _run(kind, student, scratch)
        # Dynamic range rounds each image's activations, which no reference of ours does.
        held = [row for case, row in zip(student, rows, strict=True) if case.form != "dynamic"]
        assert all("error" not in row for row in rows)
        assert max(row["largest"] for row in held) <= 1
        assert max(row["share_beyond_one"] for row in held) == 0


def test_a_student_on_own_kernels_is_as_near_to_its_float_model(student: list[Case], tmp_path: Path) -> None:
    cases = [case for case in student if case.form == "int8, float ends"]
    (row,) = _run("ai_edge_litert:own", cases, tmp_path)
    # Other bytes, but no worse a picture: rounding noise of the same size.
    assert abs(row["psnr_db"] - row["expected_psnr_db"]) < 2


def test_steps_are_those_of_the_output(operators: list[Case]) -> None:
    case = next(each for each in operators if each.is_int8)
    moved = case.expected.copy()
    moved.flat[0] -= 3 * np.sign(int(moved.flat[0]) or 1)
    measured = case.measure(moved)
    assert (measured["largest"], measured["share_beyond_one"]) == (3, 1 / moved.size)
    assert case.measure(case.expected)["largest"] == 0
    in_float = next(each for each in operators if not each.is_int8)
    assert in_float.measure(in_float.expected + np.float32(2 * in_float.scale))["largest"] == pytest.approx(2, rel=1e-3)
    assert in_float.measure(np.full_like(in_float.expected, np.nan))["largest"] == 255
    with pytest.raises(ValueError, match=r"returned float32 .*expected int8"):
        case.measure(case.expected.astype(np.float32))


def test_a_runtime_that_ends_its_process_loses_one_file(operators: list[Case], tmp_path: Path) -> None:
    ending = tmp_path / "python"
    # It ends at the second file, and answers for all others.
    ending.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "job = json.loads(open(sys.argv[3]).read())\n"
        "for number in range(job['first'], len(job['files'])):\n"
        "    if number == 1: os._exit(7)\n"
        "    print(json.dumps({'number': number, 'error': 'refused'}), file=open(job['answers'], 'a'))\n"
    )
    ending.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rows = list(run_cases(ending, "anything", operators[:4], scratch, timeout_s=LIMIT_S))
    assert [row["error"] for row in rows] == ["refused", "its process ended with 7", "refused", "refused"]


def test_a_runtime_that_hangs_is_ended(operators: list[Case], tmp_path: Path) -> None:
    hanging = tmp_path / "python"
    hanging.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    hanging.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (row,) = run_cases(hanging, "anything", operators[:1], scratch, timeout_s=1)
    assert row["error"] == "its process was ended after 1 s"


def test_what_cannot_be_installed_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Runtime(name="of nobody", kind="nobody", package="of-nobody")
    monkeypatch.setattr("benchmarks.runtimes.stage.RUNTIMES", [RUNTIMES[0], missing])
    monkeypatch.setattr("benchmarks.runtimes.stage.BROWSER_RUNTIMES", [])
    monkeypatch.setattr("benchmarks.runtimes.stage.list_cases", lambda config: list(operator_cases())[:4])
    record = compare_runtimes(RuntimesConfig())
    assert [one["unavailable"] for one in record["runtimes"]] == [None, "the package of-nobody is not installed"]
    assert {row["runtime"] for row in record["rows"]} == {"LiteRT, XNNPACK"}
    assert "of nobody is left out: the package of-nobody is not installed." in format_summary(record)
    assert "of nobody is left out" in format_tables(record)
    json.dumps(record, allow_nan=False)


def test_an_environment_that_fails_is_not_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\nmkdir -p made/bin\necho no such release >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    runtime = Runtime(name="pinned", kind="pinned", package="pinned", pins=("pinned==1.0",))
    assert runtime.version == "1.0"
    for _ in range(2):
        with pytest.raises(Unavailable, match="could not be installed: no such release"):
            find_python(runtime, tmp_path / "environments")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environments, "find_checkout", lambda: None)
    with pytest.raises(Unavailable, match="uv, which makes its environment, is not on PATH"):
        find_python(runtime, tmp_path / "environments")


def test_a_finished_environment_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(name="pinned", kind="pinned", package="pinned", pins=("pinned==1.0", "numpy<2"))
    environment = tmp_path / "pinned-1.0-numpy-before-2"
    environment.mkdir()
    (environment / "installed").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python(runtime, tmp_path) == environment / "bin" / "python"


def test_runtimes_are_chosen_by_a_part_of_their_name() -> None:
    assert [each.name for each in choose_runtimes(["openvino"])] == ["OpenVINO, .tflite", "OpenVINO, .onnx"]
    assert len(choose_runtimes([])) >= 10
    with pytest.raises(UsageError, match=r"runtime = tensorrt is in no runtime's name, expected a part of one of"):
        choose_runtimes(["litert", "tensorrt"])


def test_sizes_are_those_that_a_family_takes() -> None:
    assert [least_size(family, 1026) for family in ("unet", "separable")] == [1032, 1028]
    with pytest.raises(UsageError, match="image_size_px"):
        RuntimesConfig(image_size_px=())


def test_runtimes_that_agree_share_a_column(operators: list[Case]) -> None:
    about = {"group": "operators", "format": "tflite", "is_int8": True, "size_bytes": 1, "left": None}
    equal = {"largest": 0.0, "mean": 0.0, "share_beyond_one": 0.0}
    rows = [
        {"runtime": runtime, "subject": subject, "form": "int8", **about, **equal}
        for runtime in ("one", "other", "third")
        for subject in ("add", "mean")
    ]
    rows[-1] |= {"largest": 7.0, "share_beyond_one": 0.25}
    machine = {"cpu": "a processor", "cores": 2, "os": "Linux"}
    runtimes = [
        {"name": name, "version": "1", "took_s": 1.0, "unavailable": None} for name in ("one", "other", "third")
    ]
    text = format_tables({"machine": machine, "runtimes": runtimes, "rows": rows})
    assert "**A** one = other; **B** third." in text
    assert "| mean, int8 | 0 | 7 (25.0%) |" in text
    assert "Equal wherever it runs: add, int8." in text


def test_the_command_writes_both_tables(command: Any, tmp_path: Path) -> None:
    arguments = [
        "--out",
        tmp_path / "out",
        "--runtime",
        "reference kernels",
        "--image-size-px",
        "16",
        "--students-only",
    ]
    done = command(*arguments, module="benchmarks.runtimes")
    assert done.returncode == 0, done.stderr
    assert "LiteRT, reference kernels" in done.stdout
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    assert {row["runtime"] for row in record["rows"]} == {"LiteRT, reference kernels"}
    assert len({row["subject"] for row in record["rows"]}) == 4
    assert "DEPTH_TO_SPACE" in (tmp_path / "out" / "table.md").read_text()
    assert command(*arguments, module="benchmarks.runtimes").returncode == 2


def test_a_browser_posts_outputs_that_are_measured(operators: list[Case]) -> None:
    cases = [case for case in operators if BROWSER_RUNTIMES[0].takes(case)][:3]
    task = OutputTask(BROWSER_RUNTIMES[0], cases)
    files = task.files()
    assert files["models/1.tflite"] == cases[1].content
    assert files["inputs/2.bin"] == cases[2].input.tobytes()
    assert json.loads(files["cases.json"])["cases"][1] == {"dtype": "int8", "shape": [1, 24, 20, 16], "signature": None}
    assert task.output_bytes(0) == cases[0].expected.nbytes
    task.compare(0, cases[0].expected.tobytes())
    with pytest.raises(MalformedReport, match="are no output of file 2"):
        task.compare(2, b"short")
    with pytest.raises(MalformedReport, match="there is no file 3"):
        task.output_bytes(3)
    told = [{"error": None}, {"error": "INT8 is not supported"}, {"error": None}]
    report = {"told": told, "gpu": None, "relaxed_simd": True, "user_agent": "a browser"}
    first, second, third = task.build_record(json.dumps(report).encode())["measured"]
    assert (first["largest"], second["error"], third["error"]) == (0, "INT8 is not supported", "it returned nothing")
    with pytest.raises(MalformedReport, match="2 answers to 3 files"):
        task.build_record(json.dumps(report | {"told": told[:2]}).encode())


def test_without_a_browser_its_rows_say_so(operators: list[Case], tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is no program that can be started"):
        run_in_browser(BROWSER_RUNTIMES[0], operators[:1], tmp_path / "none", timeout_s=1)


def test_int8_files_are_kept_from_runtimes_that_read_none(operators: list[Case]) -> None:
    floats = replace(RUNTIMES[0], integers=False)
    assert [floats.takes(case) for case in operators[:2]] == [True, False]
