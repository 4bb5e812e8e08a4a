"""`compress bench published` with students: its commands, the table of their numbers, and its refusals.

The commands themselves are tested where they belong; here they are read as the program reads them, and all but the
laying out of photos write made-up results.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from benchmarks.published.config import PublishedConfig
from benchmarks.students.config import StudentsConfig
from benchmarks.students.stage import bench_students
from benchmarks.students.table import format_table
from benchmarks.timing.baseline import read_benchmark
from compress import images
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.cli import app
from compress.data.photos import prepare_photos
from compress.errors import ParityError, UnusableArtifact, UnusableData, UnusableModel, UsageError
from compress.run import stages

SIDE = 16
KID, FD = "kid_efficientnet_lite0", "fd_efficientnet_lite0"
SIZES = {"teacher_fp32": 44_000_000, "teacher_dynamic": 11_000_000, "small_int8": 99_000, "large_int8": 236_976}
SPEEDUPS = {"teacher_fp32": 1.0, "teacher_dynamic": 2.5, "small_int8": 300.0, "large_int8": 150.0}
KIDS = {"inputs": 0.05, "teacher_fp32": 0.004, "small_int8": 0.0101, "large_int8": 0.0059}


def _artifact(path: Path, *, domain: str | None = "A", side: int | None = SIDE, form: str = "keras") -> Path:
    """A student without a net in it."""
    path.mkdir(parents=True)
    chosen: Literal["keras", "tflite"] = "tflite" if form == "tflite" else "keras"
    (path / f"model.{form}").write_text(path.name)
    manifest = Manifest(
        name=path.name,
        format=chosen,
        stage="distill",
        parent=None,
        input=ImageSpec(shape=(side, side, 3)),
        cost=Cost(params=169_536, macs=28_135_008, size_bytes=1),
        config={} if domain is None else {"domain": domain},
    )
    write_manifest(path, manifest)
    return path


@pytest.fixture
def data(photo_folders: Path, tmp_path: Path) -> Path:
    """Four test photos a domain; a test may add their truth."""
    return Path(shutil.copytree(photo_folders, tmp_path / "data"))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "g.h5"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [_artifact(tmp_path / name) for name in ("small", "large")]


@pytest.fixture
def config(teacher: Path) -> PublishedConfig:
    return PublishedConfig(teacher=teacher)


@pytest.fixture
def task(data: Path) -> StudentsConfig:
    return StudentsConfig(data=data)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines in the order they ran."""
    lines: list[list[str]] = []

    def pretend(command: list[str]) -> int:
        line = command[4:]
        lines.append(line)
        app.parse_args(line)
        out = Path(line[line.index("--out") + 1])
        {"data": _lay_out, "export": _export, "translate": _translate, "eval": _score, "bench": _bench}[line[0]](
            line, out
        )
        return 0

    monkeypatch.setattr(stages, "_run_to_end", pretend)
    return lines


def _flag(line: list[str], name: str) -> str:
    return line[line.index(name) + 1]


def _lay_out(line: list[str], out: Path) -> None:
    _, bound, *_ = app.parse_args(line)
    prepare_photos(Path(line[2]), bound.arguments["config"], out, overwrite=True)


def _export(line: list[str], out: Path) -> None:
    if out.exists():
        shutil.rmtree(out)
    _artifact(out, form="tflite")


def _translate(line: list[str], out: Path) -> None:
    """The float teacher's images are black, all others white."""
    out.mkdir(exist_ok=True)
    level = 0 if out.name == "teacher_fp32" else 255
    for path in images.list_images(Path(line[2])):
        images.write_png(out / path.name, np.full((SIDE, SIDE, 3), level, np.uint8))


def _score(line: list[str], out: Path) -> None:
    fakes = len(images.list_images(Path(_flag(line, "--fake"))))
    reals = len(images.list_images(Path(_flag(line, "--real"))))
    kid = KIDS.get(out.stem, 0.008)
    record: dict[str, Any] = {
        "key": {"real_images": reals, "fake_images": fakes, "network": "efficientnet-lite0"},
        FD: 32.44,
        KID: {"mean": kid, "spread": 0.001},
        "intervals": {FD: {"low": 30.0, "high": 35.0}, KID: {"low": kid - 0.002, "high": kid + 0.002}},
        "similarity": {"psnr_db": None if out.stem == "teacher_fp32" else {"mean": 24.125}, "ssim": {"mean": 0.884}},
        "notes": [f"{KID}: over subsets", "intervals: of resamples", "precision and recall: not shown here"],
    }
    if "--truth" in line:
        assert len(images.list_images(Path(_flag(line, "--truth")))) == fakes
        record["truth"] = {"psnr_db": {"mean": 28.08}}
    out.write_text(json.dumps(record))


def _bench(line: list[str], out: Path) -> None:
    if line[1] == "train-peer":
        _train_peer(line, out)
    else:
        _time(line, out)


def _train_peer(line: list[str], out: Path) -> None:
    """Write a peer that differs whenever its student does."""
    if out.exists():
        shutil.rmtree(out)
    _artifact(out)
    (out / "model.keras").write_text((Path(_flag(line, "--like")) / "model.keras").read_text())


def _time(line: list[str], out: Path) -> None:
    paths = [Path(_flag(line, "--baseline"))]
    paths += [Path(word.removeprefix("--candidate=")) for word in line if word.startswith("--candidate=")]
    assert all(path.is_dir() for path in paths)
    entries = [_entry(path.name) for path in paths]
    machine = {"cpu": "A processor", "isa": ["avx2"], "cores": 2, "load_average": 0.1, "litert": "2.3.0"}
    record = {"machine": machine, "threads": 1, "runs": 20, "peak_gmacs_per_s": {"int8": 300.0}, "entries": entries}
    out.write_text(json.dumps(record))


def _entry(key: str) -> dict[str, Any]:
    noisy = "the ratio may be off by 34%" if key == "large_fp32" else None
    return {
        "name": key,
        "threads": 1,
        "size_bytes": SIZES.get(key, 800_000),
        "input_shape": [1, SIDE, SIDE, 3],
        "latency_ms": {"min": 1.0, "median": 1.5, "p95": 2.0, "max": 2.0},
        "speedup": SPEEDUPS.get(key, 40.0),
        "noise": 0.0 if key == "teacher_fp32" else 0.05,
        "withheld": noisy,
    }


def _outputs(lines: list[list[str]], out: Path) -> list[str]:
    return [str(Path(_flag(line, "--out")).relative_to(out)) for line in lines]


def _rows(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in record["rows"]}


def test_every_model_is_exported_translated_and_scored_and_all_are_timed_at_once(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    peer = _artifact(tmp_path / "omgd", domain=None)
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
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    record = bench_students(pair, config, replace(task, peer=(_artifact(tmp_path / "omgd"),)), tmp_path / "out")
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
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    peer, out = _artifact(tmp_path / "omgd"), tmp_path / "out"
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
    for said in (
        "A processor",
        "1 thread(s)",
        "the 4 test photos of domain B",
        "efficientnet-lite0",
        "peers are timed",
    ):
        assert said in text
    assert f"compress bench published {pair[0]} {pair[1]} --teacher" in text
    assert "--runs 7" in text
    assert record["samples"] == ["inputs", "teacher float", "small int8", "large int8", "omgd float"]
    assert "*Columns: inputs, teacher float, small int8, large int8, omgd float.*" in text
    # Four photos, five columns, and 4 pixels of white between them.
    sheet = images.read_image(out / "samples.png")
    assert sheet.shape == (4 * (SIDE + 4) + 4, 5 * (SIDE + 4) + 4, 3)
    middle = 4 + SIDE // 2
    assert [int(sheet[middle, middle + column * (SIDE + 4), 0]) for column in (1, 2, 4)] == [0, 255, 255]


def test_where_the_truth_is_known_every_model_is_compared_with_it(
    ran: list[list[str]], pair: list[Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    shutil.copytree(task.data / "testA", task.data / "testA_paired")
    record = bench_students(pair, config, task, tmp_path / "out")
    assert all(row["truth_psnr_db"] == 28.08 for row in record["rows"])
    assert "PSNR to the truth" in format_table(record).splitlines()[0]


def test_against_the_teachers_images_it_is_not_scored_itself(
    ran: list[list[str]], tmp_path: Path, config: PublishedConfig, task: StudentsConfig
) -> None:
    both = _artifact(tmp_path / "both", domain="both")
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
    assert _outputs(ran, tmp_path / "out") == ["bench.json"]


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
    measured = read_benchmark(tmp_path / "out/table.json")
    assert measured.models["large int8"].speedup == SPEEDUPS["large_int8"]
    assert measured.withheld == {"large float": "the ratio may be off by 34%"}


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


@pytest.mark.parametrize(
    ("others", "changes", "error", "said"),
    [
        ([], {"peer": ("elsewhere/small",)}, UsageError, "are both called small"),
        ([], {"peer": ("omgd", "omgd")}, UsageError, "are both called omgd"),
        (["teacher"], {}, UsageError, "the baseline are both called teacher"),
        (["reversed"], {}, UsageError, "domain A, but .*reversed domain B"),
        (["larger"], {}, UsageError, "larger takes 32x32 images, expected 16x16 as of .*small"),
        ([], {"image_size_px": 64}, UsageError, "small takes 16x16 images, expected 64x64 as of --image-size-px"),
        (["exported"], {}, UnusableArtifact, "exported is an export already"),
        (["missing"], {}, UnusableArtifact, "missing does not exist"),
        ([], {"teacher": Path("missing.h5")}, UnusableModel, r"missing\.h5 does not exist"),
        ([], {"data": Path("missing")}, UnusableData, "missing is no folder"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(
    ran: list[list[str]],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
    others: list[str],
    changes: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    small = _artifact(tmp_path / "small")
    _artifact(tmp_path / "elsewhere/small")
    _artifact(tmp_path / "teacher")
    _artifact(tmp_path / "reversed", domain="B")
    _artifact(tmp_path / "larger", side=32)
    _artifact(tmp_path / "exported", form="tflite")
    if "peer" in changes:
        changes = {"peer": tuple(tmp_path / name if "/" in name else name for name in changes["peer"])}
    with pytest.raises(error, match=said):
        bench_students(
            [small, *(tmp_path / name for name in others)],
            replace(config, **{name: value for name, value in changes.items() if name not in ("data", "peer")}),
            replace(task, **{name: value for name, value in changes.items() if name in ("data", "peer")}),
            tmp_path / "out",
        )
    assert ran == []
    assert not (tmp_path / "out").exists()


def test_students_of_any_size_need_one_and_both_domains_have_no_real_reference(
    ran: list[list[str]], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    anywhere = _artifact(tmp_path / "anywhere", side=None)
    with pytest.raises(UsageError, match="--image-size-px"):
        bench_students([anywhere], config, task, tmp_path / "out")
    with pytest.raises(UsageError, match="--reference teacher"):
        bench_students([_artifact(tmp_path / "both", domain="both")], config, task, tmp_path / "out")
    assert (
        bench_students([anywhere], replace(config, image_size_px=SIDE), task, tmp_path / "out")["image_size_px"] == SIDE
    )


def test_a_student_of_the_other_direction_is_compared_with_the_photos_of_a(
    ran: list[list[str]], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    record = bench_students([_artifact(tmp_path / "back", domain="B")], config, task, tmp_path / "out")
    assert (record["domain"], record["target"]) == ("B", "A")
    assert [_flag(line, "--domain") for line in ran if line[0] == "data"] == ["B", "A"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--data", "photos"), 2, "no student was given"),
        (("student",), 2, "--data is missing"),
        (("student", "--data", "photos", "--overwrite"), 2, "belong to --shapes"),
        (("student", "--data", "photos", "--sweep-width", "8"), 2, "belong to --shapes"),
        (("student", "--data", "photos", "--runs", "0"), 2, "runs = 0"),
        (("student", "--data", "photos"), 3, "g.h5 does not exist"),
    ],
)
def test_faults_end_with_their_exit_code_and_a_line(
    command: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    finished = command("published", *arguments, "--teacher", "g.h5", "--out", "runs/out", module="benchmarks")
    assert (finished.returncode, finished.stdout) == (exit_code, "")
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr
