"""`compress bench published` with students: its commands, and the table of their numbers."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.published.config import PublishedConfig
from benchmarks.students.config import StudentsConfig
from benchmarks.students.scores import read_scores, read_timings
from benchmarks.students.stage import bench_students
from benchmarks.students.table import format_table
from benchmarks.timing.baseline import read_benchmark
from compress import images
from compress.errors import ParityError, UnusableData, UnusableModel
from compress.images.sheet import LABEL_PX
from compress.run import stages
from compress.strict_json import SEAL

SIDE = 16
KID, FD = "kid_efficientnet_lite0", "fd_efficientnet_lite0"
LARGE_SPEEDUP = 150.0


def _flag(line: list[str], name: str) -> str:
    return line[line.index(name) + 1]


def _outputs(lines: list[list[str]], out: Path) -> list[str]:
    return [str(Path(_flag(line, "--out")).relative_to(out)) for line in lines]


def _rows(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in record["rows"]}


def test_every_model_is_exported_translated_and_scored_and_all_are_timed_at_once(
    ran: list[list[str]],
    artifact: Callable[..., Path],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
) -> None:
    peer = artifact(tmp_path / "omgd", domain=None)
    config = replace(config, lambda_layers="reflection_pad")
    task = replace(task, peer=(peer,), io_type="uint8", calibration_images=3)
    out = tmp_path / "out"
    bench_students(pair, config, task, out)
    keys = ["teacher_fp32", "small_int8", "small_fp32", "large_int8", "large_fp32", "omgd_fp32", "teacher_dynamic"]
    expected = ["images/inputs", "images/real"]
    for key in keys:
        expected += [f"exports/{key}", f"images/{key}"]
        expected += ["scores/inputs.json"] * (key == "teacher_fp32") + [f"scores/{key}.json"]
    assert _outputs(ran, out) == [*expected, "bench.json"]
    exports = {Path(_flag(line, "--out")).name: line for line in ran if line[0] == "export"}
    assert {key for key, line in exports.items() if "--lambda-layers" in line} == {"teacher_fp32", "teacher_dynamic"}
    assert {_flag(line, "--image-size-px") for line in exports.values()} == {str(SIDE)}
    assert _flag(exports["teacher_dynamic"], "--precision") == "dynamic"
    int8 = exports["large_int8"]
    assert [_flag(int8, f"--{name}") for name in ("io-type", "calibration-images")] == ["uint8", "3"]
    assert {_flag(line, "--data") for line in exports.values()} == {str(task.data)}
    timed = ran[-1]
    assert _flag(timed, "--baseline") == str(out / "exports/teacher_fp32")
    assert [word for word in timed if word.startswith("--cand")] == [
        f"--candidate={out / 'exports' / key}" for key in ["teacher_dynamic", *keys[1:-1]]
    ]
    scored = [line for line in ran if line[0] == "eval"]
    assert {_flag(line, "--real") for line in scored} == {str(out / "images/real")}
    assert {_flag(line, "--teacher") for line in scored} == {str(out / "images/teacher_fp32")}


def test_the_table_holds_every_measure_of_every_model(
    ran: list[list[str]],
    artifact: Callable[..., Path],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
) -> None:
    record = bench_students(pair, config, replace(task, peer=(artifact(tmp_path / "omgd"),)), tmp_path / "out")
    rows = _rows(record)
    assert list(rows) == [
        "inputs", "teacher float", "teacher dynamic range",
        "small int8", "small float", "large int8", "large float", "omgd float",
    ]  # fmt: skip
    large = rows["large int8"]
    assert (large["kind"], large["size_bytes"], large["params"]) == ("student", 236_976, 169_536)
    assert large["times_smaller"] == pytest.approx(185.67, abs=0.01)
    assert large[KID] == pytest.approx({"mean": 0.0059, "low": 0.0039, "high": 0.0079})
    assert large[FD] == {"value": 32.44, "low": 30.0, "high": 35.0}
    assert (large["teacher_psnr_db"], large["teacher_ssim"]) == (24.125, 0.884)
    assert "teacher_psnr_db" not in rows["teacher float"]
    assert "size_bytes" not in rows["inputs"]
    assert rows["inputs"][KID]["mean"] == 0.05
    assert record["metrics"] == [KID, FD]
    assert (record["domain"], record["target"], record["images"], record["image_size_px"]) == ("A", "B", 4, SIDE)
    assert json.loads((tmp_path / "out/table.json").read_text())["rows"] == record["rows"]


def test_a_line_says_where_each_int8_student_stands(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    record = bench_students(pair, config, task, tmp_path / "out")
    small, large = record["verdicts"]
    assert (small["kid"], small["speedup"], small["within_bytes"]) == ("above", 300.0, {"250000": True, "100000": True})
    assert (large["kid"], large["within_bytes"]) == ("within", {"250000": True, "100000": False})
    lines = format_table(record).splitlines()
    assert (
        f"large int8: {KID} within its teacher's 95 % interval, 0.0020 to 0.0060; 150x as fast as the teacher in "
        "float; 237.0 kB, within 250 kB, above 100 kB"
    ) in lines


def test_markdown_shows_the_rows_the_conditions_and_the_columns_of_the_picture(
    ran: list[list[str]],
    artifact: Callable[..., Path],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
) -> None:
    peer, out = artifact(tmp_path / "omgd"), tmp_path / "out"
    record = bench_students(pair, replace(config, runs=7), replace(task, peer=(peer,)), out)
    text = (out / "table.md").read_text()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert len({row.count(" | ") for row in rows.values()}) == 1
    assert (
        "| 237.0 kB | 186x | 169,536 | 28.1 | 1.50 ms | 150x (143 - 158) | 0.0059 (0.0039 - 0.0079) | 32.4 (30.0 - "
        "35.0) | 24.12 dB | 0.8840 |" in rows["large int8"]
    )
    assert "too noisy" in rows["large float"]
    assert "PSNR to the truth" not in text
    for message in (
        "A processor",
        "1 thread(s)",
        "the 4 test photos of domain B",
        "efficientnet-lite0",
        "peers are timed",
    ):
        assert message in text
    assert f"compress bench published {pair[0]} {pair[1]} --teacher" in text
    assert "--runs 7" in text
    assert record["samples"] == ["inputs", "teacher float", "small int8", "large int8", "omgd float"]
    assert "*Columns: inputs, teacher float, small int8, large int8, omgd float.*" in text
    # Four photos, five columns, and 4 pixels of white between them.
    sheet = images.read_image(out / "samples.png")
    assert sheet.shape == (LABEL_PX + 4 * (SIDE + 4) + 4, 5 * (SIDE + 4) + 4, 3)
    middle = 4 + SIDE // 2
    assert [int(sheet[LABEL_PX + middle, middle + column * (SIDE + 4), 0]) for column in (1, 2, 4)] == [0, 255, 255]


def test_where_the_truth_is_known_every_model_is_compared_with_it(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    shutil.copytree(task.data / "testA", task.data / "testA_paired")
    record = bench_students(pair, config, task, tmp_path / "out")
    assert all(row["truth_psnr_db"] == 28.08 for row in record["rows"])
    assert "PSNR to the truth" in format_table(record).splitlines()[0]


def test_against_the_teachers_images_it_is_not_scored_itself(
    ran: list[list[str]], artifact: Callable[..., Path], tmp_path: Path, config: PublishedConfig, task: StudentsConfig
) -> None:
    both = artifact(tmp_path / "both", domain="both")
    record = bench_students([both], config, replace(task, reference="teacher"), tmp_path / "out")
    outputs = _outputs(ran, tmp_path / "out")
    assert not {"images/real", "scores/teacher_fp32.json"} & set(outputs)
    assert (record["target"], record["images"]) == (None, 8)
    assert KID not in _rows(record)["teacher float"]
    assert record["verdicts"][0]["kid"] is None
    assert f"both int8: {KID} not compared with its teacher's" in format_table(record)


def test_what_is_there_is_not_made_again_unless_its_student_was_trained_anew(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bench_students(pair[:1], config, task, out)
    ran.clear()
    bench_students(pair, config, task, out)
    assert _outputs(ran, out)[0] == "exports/large_int8"
    ran.clear()
    bench_students(pair, config, task, out)
    assert ran == []
    (pair[1] / "model.keras").write_text("trained anew")
    bench_students(pair, config, task, out)
    assert _outputs(ran, out)[0] == "exports/large_int8"
    assert _outputs(ran, out)[-1] == "bench.json"


def test_a_teacher_that_does_not_survive_dynamic_range_is_left_out_with_a_note(
    ran: list[list[str]],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, code = stages._run_to_end, ParityError.exit_code
    monkeypatch.setattr(stages, "_run_to_end", lambda line: code if "dynamic" in line else run(line))
    record = bench_students(pair, config, task, tmp_path / "out")
    assert list(_rows(record)) == ["inputs", "teacher float", "small int8", "small float", "large int8", "large float"]
    assert "left out: the teacher in dynamic range" in (tmp_path / "out/table.md").read_text()
    ran.clear()
    bench_students(pair, config, task, tmp_path / "out")
    assert _outputs(ran, tmp_path / "out") == []


def test_a_peer_named_by_its_method_is_trained_beside_the_first_student(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    out, config = tmp_path / "out", replace(config, lambda_layers="reflection_pad")
    record = bench_students(pair, config, replace(task, peer=("omgd_losses",)), out)
    outputs = _outputs(ran, out)
    assert outputs[:4] == ["images/inputs", "images/real", "peers/omgd_losses/student", "exports/teacher_fp32"]
    trained = ran[2]
    assert trained[:3] == ["bench", "train-peer", "omgd_losses"]
    flags = {"like": pair[0], "teacher": config.teacher, "data": task.data, "lambda-layers": "reflection_pad"}
    assert {name: _flag(trained, f"--{name}") for name in flags} == {name: str(value) for name, value in flags.items()}
    (exported,) = (line for line in ran if "exports/omgd_losses_fp32" in line[line.index("--out") + 1])
    assert exported[2] == str(out / "peers/omgd_losses/student")
    assert _rows(record)["omgd_losses float"]["kind"] == "peer"
    assert "--peer omgd_losses" in record["command"]


def test_a_trained_peer_is_kept_whoever_joins_unless_its_student_was_trained_anew(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bench_students(pair[:1], config, replace(task, peer=("omgd",)), out)
    ran.clear()
    bench_students(pair, config, replace(task, peer=("narrow", "omgd")), out)
    assert [output for output in _outputs(ran, out) if output.startswith("peers")] == ["peers/narrow/student"]
    ran.clear()
    (pair[0] / "model.keras").write_text("trained anew")
    bench_students(pair, config, replace(task, peer=("narrow", "omgd")), out)
    assert _outputs(ran, out)[:2] == ["peers/narrow/student", "peers/omgd/student"]
    assert {"exports/small_int8", "exports/omgd_fp32"} <= set(_outputs(ran, out))


def test_the_table_can_be_accepted_and_checked_as_a_benchmark(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    bench_students(pair, config, task, tmp_path / "out")
    table = tmp_path / "out/table.json"
    measured = read_benchmark(table)
    assert measured.models["large int8"].speedup == LARGE_SPEEDUP
    assert measured.withheld == {"large float": "the ratio may be off by 34%"}
    assert SEAL in json.loads(table.read_text())
    table.write_text(table.read_text().replace(str(LARGE_SPEEDUP), "151.0"))
    with pytest.raises(UnusableData, match=SEAL):
        read_benchmark(table)


@pytest.mark.parametrize("refused", ["int8", "dynamic"])
def test_any_other_failure_ends_it_with_the_exit_code_of_its_command(
    ran: list[list[str]],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
) -> None:
    run, code = stages._run_to_end, {"int8": ParityError.exit_code, "dynamic": UnusableModel.exit_code}[refused]
    monkeypatch.setattr(stages, "_run_to_end", lambda line: code if refused in line else run(line))
    with pytest.raises(stages.StageFailed, match=f"stopped at exports/.*_{refused}") as failure:
        bench_students(pair, config, task, tmp_path / "out")
    assert failure.value.exit_code == code
    assert not (tmp_path / "out/table.json").exists()


def test_a_score_in_a_sisters_features_says_so_beside_the_number(
    ran: list[list[str]],
    pair: list[Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "†" not in format_table(bench_students(pair, config, task, tmp_path / "out"))
    pretend = stages._run_to_end

    def score_in_a_sister(command: list[str]) -> int:
        code, path = pretend(command), Path(command[command.index("--out") + 1])
        if path.name == "small_int8.json":
            path.write_text(json.dumps(json.loads(path.read_text()) | {"sister": "efficientnet-lite2"}))
        return code

    monkeypatch.setattr(stages, "_run_to_end", score_in_a_sister)
    lines = format_table(bench_students(pair, config, task, tmp_path / "anew")).splitlines()
    (row,) = [line for line in lines if line.startswith("small int8 ")]
    assert row.count(")†") == 2
    said = "†: trained with efficientnet-lite2, of which efficientnet-lite0 is a sister, so these distances flatter it"
    assert said in lines
    assert sum("†" in line for line in lines) == 2


def _changed(record: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    raw = json.loads(record.read_text())
    change(raw)
    record.write_text(json.dumps(raw))
    return record


@pytest.fixture
def compared(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> Path:
    """A comparison's folder."""
    bench_students(pair, config, task, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(extra=1), "unknown key 'extra'"),
        (lambda raw: raw.pop(FD), f"no '{FD}'"),
        (lambda raw: raw.update({FD: "32"}), f"its '{FD}' is '32', expected a number"),
        (lambda raw: raw.update({FD: float("nan")}), "NaN is no number"),
        (lambda raw: raw[KID].update(mean=None), f"its '{KID}.mean' is None"),
        (lambda raw: raw["intervals"][FD].update(low=36.0), "reaches from 36 down to 35"),
        (lambda raw: raw["key"].update(fake_images=0), "its 'key.fake_images' is 0"),
        (lambda raw: raw.update(notes="none"), "its 'notes' is 'none', expected a list"),
        (lambda raw: raw["similarity"]["ssim"].update(mean="high"), "its 'similarity.ssim' is 'high'"),
        (lambda raw: raw.update({SEAL: "0" * 64}), "does not belong to its content"),
    ],
)
def test_scores_that_were_changed_or_torn_are_refused(
    compared: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    scores = _changed(compared / "scores/large_int8.json", change)
    with pytest.raises(UnusableData, match=re.escape(message)) as refused:
        read_scores(scores)
    assert "large_int8.json is not what `compress eval score` writes" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["entries"][0].update(speedup="fast"), "its 'entries[0].speedup' is 'fast'"),
        (lambda raw: raw.update(runs=0), "its 'runs' is 0"),
        (lambda raw: raw.pop("machine"), "no 'machine'"),
    ],
)
def test_timings_that_were_changed_are_refused(
    compared: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    timings = _changed(compared / "bench.json", change)
    with pytest.raises(UnusableData, match=re.escape(message)) as refused:
        read_timings(timings)
    assert "bench.json is not what `compress bench host` writes" in str(refused.value)
