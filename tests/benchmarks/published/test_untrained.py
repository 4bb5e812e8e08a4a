"""`compress bench published --shapes` over nets of a few channels: its rows, its files and its refusals."""

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.published.config import PublishedConfig
from benchmarks.published.untrained import nets, plots, stage
from benchmarks.published.untrained.config import ShapesConfig, plan_rounds
from benchmarks.published.untrained.model_files import ModelFile, export_net, time_files
from benchmarks.published.untrained.stage import bench_shapes, compare_students, shapes_command, write_shapes
from compress.errors import UnusableModel, UsageError
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.pocket.config import PocketConfig

SIDE = 32
NARROW = MobileResnetConfig(down=(4, 4, 8), inner=(8,), up=(4, 4))
CONFIG = PublishedConfig(image_size_px=SIDE, runs=2)
SWEEPS = ShapesConfig(sweep_size_px=(64, SIDE), sweep_width=(8, 12), warmup=0)
# The TF converter says of every conversion that it has no statistics of inputs, which the photos give it.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning")


@pytest.fixture(scope="module")
def small_nets() -> Iterator[pytest.MonkeyPatch]:
    """The table's nets as they are, but few of them, and narrow."""
    with pytest.MonkeyPatch.context() as patch:
        make = nets.build_teacher
        patch.setattr(nets, "ResnetConfig", partial(nets.ResnetConfig, blocks=1))
        patch.setattr(nets, "TEACHER_WIDTH", 16)
        patch.setattr(nets, "build_teacher", lambda width=16: make(width))
        patch.setattr(nets, "FAMILIES", ("space_to_depth",))
        patch.setattr(stage, "PEERS", {"Narrow": NARROW})
        yield patch


@pytest.fixture(scope="module")
def out(small_nets: pytest.MonkeyPatch, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, with `narrow.tflite` as a student of the user's."""
    folder = tmp_path_factory.mktemp("runs") / "table"
    write_shapes([models / "narrow.tflite"], CONFIG, SWEEPS, folder)
    return folder


@pytest.fixture(scope="module")
def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "table.json").read_text())


def test_one_run_holds_teacher_students_and_peers(record: dict[str, Any]) -> None:
    entries = record["table"]["entries"]
    assert [(entry["name"], entry["kind"]) for entry in entries] == [
        ("teacher, fp32", "teacher"),
        ("teacher, fp16", "teacher"),
        ("teacher, dynamic range", "teacher"),
        ("teacher, int8", "teacher"),
        ("narrow", "student"),
        ("space_to_depth, int8", "student"),
        ("Narrow as published, fp32", "peer"),
        ("Narrow as published, int8", "peer"),
        ("Narrow made deployable, int8", "peer"),
    ]
    assert (record["table"]["runs"], record["table"]["interleaved"], record["weights"]) == (2, True, "random")
    assert {tuple(entry["input_shape"][1:3]) for entry in entries} == {(SIDE, SIDE)}
    for entry in entries:
        assert entry["times_smaller"] == entries[0]["size_bytes"] / entry["size_bytes"]
        assert entry["peak_memory_bytes"] > 0
        assert entry["first_inference_ms"] > 0
        assert 0 < entry["share_of_peak"] < 1.5
    whole = [entry for entry in entries if entry["name"] in ("space_to_depth, int8", "Narrow made deployable, int8")]
    assert all((entry["partitions"], entry["ops_delegated"]) == (1, entry["ops_total"]) for entry in whole)
    assert entries[4]["cost"] == {"params": None, "macs": None}


def test_int8_that_our_export_refuses_is_written_by_the_converter_and_says_so(record: dict[str, Any]) -> None:
    notes = {entry["name"]: entry["note"] for entry in record["table"]["entries"] if entry["note"]}
    assert notes.keys() == {"teacher, int8", "Narrow as published, int8"}
    for note in notes.values():
        assert "TF converter" in note
        assert "does not survive int8 activations" in note
    entries = (record["table"]["entries"][index] for index in (3, 7))
    assert all(entry["macs"]["int8"] > 0 == entry["macs"]["fp32"] for entry in entries)


def test_every_student_is_compared_with_every_other_model(record: dict[str, Any]) -> None:
    pairs = {(ratio["model"], ratio["over"]) for ratio in record["ratios"]}
    assert len(pairs) == len(record["ratios"]) == 2 * 7
    assert ("space_to_depth, int8", "Narrow as published, int8") in pairs


def test_sweeps_hold_every_size_and_every_width(record: dict[str, Any]) -> None:
    sizes = [(point["model"], point["image_size_px"], point["width"]) for point in record["by_size"]]
    assert sizes == [
        (model, side, width)
        for side in (32, 64)
        for model, width in (("teacher, fp32", 16), ("space_to_depth, int8", 48))
    ]
    widths = [(point["model"], point["image_size_px"], point["width"]) for point in record["by_width"]]
    assert widths == [(model, SIDE, width) for width in (12, 8) for model in ("teacher, fp32", "space_to_depth, int8")]
    small, large = (point for point in record["by_size"] if point["model"] == "teacher, fp32")
    assert large["macs"]["fp32"] == 4 * small["macs"]["fp32"]
    wide, narrow = (point for point in record["by_width"] if point["model"] == "teacher, fp32")
    assert wide["cost"]["params"] > 2 * narrow["cost"]["params"]
    assert wide["size_bytes"] > narrow["size_bytes"]


def test_the_folder_holds_everything_and_markdown_shows_the_rows(out: Path, record: dict[str, Any]) -> None:
    assert {path.name for path in out.glob("[!.]*")} == {"table.json", "table.md", "by_size.png", "by_width.png"}
    for name in ("by_size.png", "by_width.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    text = (out / "table.md").read_text()
    lines = text.splitlines()
    for entry in record["table"]["entries"]:
        row = next(line for line in lines if line.startswith(f"| {entry['name']} |"))
        assert f"{entry['size_bytes'] / 1e3:,.1f} kB" in row
        assert row.count("|") == 12
    assert "![by size](by_size.png)" in text
    assert record["command"] in text
    with pytest.raises(UsageError, match="--overwrite"):
        write_shapes([], CONFIG, SWEEPS, out)


def test_a_file_that_cannot_run_leaves_nothing_behind(small_nets: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torn = tmp_path / "torn.tflite"
    torn.write_bytes(b"TFL3")
    with pytest.raises(UnusableModel, match=r"torn\.tflite: it is no \.tflite file"):
        write_shapes([torn], CONFIG, SWEEPS, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["torn.tflite"]
    with pytest.raises(UnusableModel, match="missing does not exist"):
        bench_shapes([], PublishedConfig(teacher=tmp_path / "missing"), SWEEPS)


def test_a_student_is_timed_under_the_name_and_cost_that_are_known(models: Path) -> None:
    paths = models / "wide.tflite", models / "narrow.tflite"
    files = [ModelFile(path=path, kind="student", params=7, macs=9) for path in paths]
    wide, narrow = time_files(files, threads=1, runs=1, warmup=0)["entries"]
    assert (narrow["name"], narrow["cost"], narrow["kind"]) == ("narrow", {"params": 7, "macs": 9}, "student")
    assert narrow["times_smaller"] == wide["size_bytes"] / narrow["size_bytes"] > 100
    assert "path" not in narrow


def test_params_are_those_that_are_learnt_and_shipped(tmp_path: Path) -> None:
    """A norm without gain and offset has none, a folded BatchNorm is its convolution's bias."""
    bare = nets.build_peer(NARROW, SIDE)
    (published,) = export_net(bare, "bare", "peer", ("fp32",), SIDE, tmp_path)
    assert published.params == bare.count_params()
    (folded,) = export_net(
        nets.build_peer(stage.make_deployable(NARROW), SIDE), "folded", "peer", ("fp32",), SIDE, tmp_path
    )
    assert folded.params == published.params
    assert folded.macs == published.macs


def test_random_weights_leave_no_gain_that_is_all_ones_or_zeros() -> None:
    net = nets.build_untrained_student(PocketConfig(image_size_px=SIDE, width=8, blocks=2))
    assert all(float(abs(variable.numpy() - variable.numpy().mean()).max()) > 0 for variable in net.weights)


def _entry(name: str, kind: str, speedup: float, noise: float | None, withheld: str | None = None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "speedup": speedup, "noise": noise, "withheld": withheld}


def test_a_ratio_between_two_models_is_that_of_their_speedups_with_the_noise_of_both() -> None:
    entries = [
        _entry("teacher", "teacher", 1.0, 0.0),
        _entry("ours", "student", 200.0, 0.03),
        _entry("theirs", "peer", 50.0, 0.04),
        _entry("unsteady", "peer", 50.0, 0.099),
        _entry("lost", "peer", 50.0, None, "one round says nothing of its own noise"),
    ]
    over_teacher, over_peer, over_unsteady, over_lost = compare_students(entries)
    assert (over_teacher["over"], over_teacher["speedup"]) == ("teacher", 200.0)
    assert over_teacher["noise"] == pytest.approx(0.03)
    assert over_peer["speedup"] == 4.0
    # Logarithms of 3 and 4 % add as the sides of a right angle.
    assert over_peer["noise"] == pytest.approx(0.05, abs=5e-4)
    assert over_peer["withheld"] is None
    assert "at most 10%" in over_unsteady["withheld"]
    assert (over_lost["noise"], over_lost["withheld"]) == (None, "one round says nothing of its own noise")


def _point(model: str, side: int, latency_ms: float, *, waiting: float | None = 0.0) -> dict[str, Any]:
    latency = {"min": 0.9 * latency_ms, "median": latency_ms, "max": 1.2 * latency_ms}
    return {
        "model": model,
        "image_size_px": side,
        "latency_ms": latency,
        "peak_memory_bytes": side * 10**6,
        "waiting": waiting,
    }


def test_a_plot_has_log_axes_and_the_measured_values() -> None:
    points = [_point(model, side, factor * side) for side in (64, 128) for model, factor in (("a", 1.0), ("b", 0.1))]
    figure = plots.draw_points(points, "image_size_px", "pixels")
    latency, memory = figure.axes
    assert {axes.get_xscale() for axes in figure.axes} == {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert [np.asarray(line.get_ydata()).tolist() for line in memory.lines] == [[64.0, 128.0]] * 2
    # The caps of the bars are lines without a label of their own.
    measured = [
        line for line in latency.lines if len(np.unique(line.get_xdata())) == 2 and line.get_linestyle() != "None"
    ]
    assert [np.asarray(line.get_ydata()).tolist() for line in measured] == [[64.0, 128.0], [6.4, 12.8]]
    assert figure.get_suptitle() == ""


def test_a_plot_of_a_disturbed_run_says_so() -> None:
    points = [_point("a", 64, 1.0, waiting=None), _point("a", 128, 2.0, waiting=0.4)]
    assert "40%" in plots.draw_points(points, "image_size_px", "pixels").get_suptitle()


def test_large_images_get_fewer_rounds_but_never_more_than_asked_for() -> None:
    rounds = plan_rounds(PublishedConfig(), ShapesConfig())
    assert (rounds.image_size_px, rounds.runs) == (256, 12)
    assert [rounds.runs_at(side) for side in ShapesConfig().sweep_size_px] == [12, 12, 12, 3, 3]
    assert plan_rounds(PublishedConfig(runs=2), ShapesConfig()).runs_at(1024) == 2


def test_the_record_tells_the_command_that_makes_it_again() -> None:
    assert shapes_command([], PublishedConfig(), ShapesConfig()) == "compress bench published --shapes"
    told = shapes_command([Path("a b"), Path("c")], PublishedConfig(runs=3), ShapesConfig(warmup=2))
    assert told == "compress bench published 'a b' c --shapes --runs 3 --warmup 2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image-size-px", "30"), "30 pixels"),
        (("--sweep-size-px", "0"), "0 pixels"),
        (("--sweep-width", "6"), "width 6"),
        (("--runs", "0"), "runs = 0"),
        (("--out", "."), "--overwrite"),
        (("--data", "sets"), "--data and --peer belong to the comparison of students"),
        (("--out", ".", "--overwrite", "runs/mine.tflite"), "was not written by this tool"),
    ],
)
def test_flags_that_cannot_be_meant_end_with_2(
    command: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...], message: str
) -> None:
    out = () if "--out" in arguments else ("--out", "runs/table")
    finished = command("published", "--shapes", *arguments, *out, module="benchmarks")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
