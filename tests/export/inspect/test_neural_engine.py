"""Each rule on both sides of its limit, and what a package's report makes of them."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress import console
from compress.cli import app
from export.coreml.child import list_contents
from export.coreml.job import Contents, MilOperation, MilValue
from export.inspect import coreml
from export.inspect.neural_engine import RULES, RUNS, find_rule, place_operation

IMAGE = MilValue(dtype="fp16", shape=(1, 8, 64, 64))


def setting(value: Any) -> MilValue:
    return MilValue(dtype="int32", shape=(), is_constant=True, constant=value)


def operation(kind: str, *, output: MilValue = IMAGE, **inputs: MilValue) -> MilOperation:
    return MilOperation(kind=kind, name="made", inputs={"x": IMAGE} | inputs, output=output, oldest_specification=4)


def weight(side: int, dtype: str = "fp16") -> MilValue:
    return MilValue(dtype=dtype, shape=(8, 8, 3, side), is_constant=True)


def sized(*shape: int | None, dtype: str = "fp16") -> MilValue:
    return MilValue(dtype=dtype, shape=shape)


@pytest.mark.parametrize(
    ("fits", "does_not", "message", "expected"),
    [
        (operation("conv"), operation("conv", output=sized(1, 8, 64, 64, dtype="fp32")), "float32", "leaves"),
        (operation("conv", weight=weight(3, "fp32")), operation("conv", x=sized(1, dtype="fp32")), "float32", "leaves"),
        (operation("relu"), operation("lstm"), "recurrent", "leaves"),
        (
            operation("relu", output=sized(1, 1, 1, 16384)),
            operation("relu", output=sized(1, 1, 1, 16385)),
            "16384",
            "leaves",
        ),
        (
            operation("avg_pool", kernel_sizes=setting([13, 13])),
            operation("avg_pool", kernel_sizes=setting([2, 14])),
            "13 pixels",
            "leaves",
        ),
        (
            operation("max_pool", strides=setting([2, 2])),
            operation("max_pool", strides=setting([3, 1])),
            "over 2",
            "leaves",
        ),
        (
            operation("upsample_bilinear", scale_factor_height=setting(2.0)),
            operation("upsample_bilinear", scale_factor_height=setting(4.0)),
            "more than 2",
            "leaves",
        ),
        (operation("concat"), operation("gather"), "on the CPU", "leaves"),
        (
            operation("conv", dilations=setting([1, 1])),
            operation("conv", dilations=setting([1, 2])),
            "dilated",
            "may leave",
        ),
        (operation("conv", weight=weight(15)), operation("conv", weight=weight(16)), "wider than 15", "may leave"),
        (
            operation("conv_transpose", strides=setting([4, 4])),
            operation("conv_transpose", strides=setting([8, 1])),
            "over 4",
            "may leave",
        ),
        (
            operation("upsample_bilinear", half_pixel_centers=setting(False)),
            operation("upsample_bilinear", half_pixel_centers=setting(True)),
            "centres",
            "may leave",
        ),
        (operation("mul", y=setting(2.0)), operation("mul", y=sized(1, 8, 1, 1)), "spreads", "may leave"),
        (operation("add", y=IMAGE), operation("add", y=sized(1, 1, 64, 64)), "spreads", "may leave"),
        (
            operation("relu", output=sized(1, 1, 1, 1, 1)),
            operation("relu", output=sized(1, 1, 1, 1, 1, 1)),
            "5 axes",
            "may leave",
        ),
    ],
)
def test_a_rule_applies_beyond_its_limit_and_not_before(
    fits: MilOperation, does_not: MilOperation, message: str, expected: str
) -> None:
    assert place_operation(fits) == "seen"
    rule = find_rule(does_not)
    assert rule is not None
    assert message in rule.why
    assert place_operation(does_not) == expected


def test_what_nobody_told_of_is_unknown_and_constants_are_computed_at_load() -> None:
    assert place_operation(operation("instance_norm")) == "unknown"
    unpacked = operation("constexpr_affine_dequantize", output=sized(8, 8, 3, 3, dtype="fp32"))
    assert place_operation(unpacked) == "at load"
    assert place_operation(operation("cast", output=sized(1, 3, 64, 64, dtype="fp32"))) == "seen"
    assert place_operation(operation("relu", output=sized(1, 8, None, None))) == "seen"


def test_the_firmest_reason_is_given() -> None:
    both = operation("mul", y=sized(1, 8, 1, 1), output=sized(1, 8, 64, 64, dtype="fp32"))
    rule = find_rule(both)
    assert rule is not None
    assert rule.grounds == "documented"


def test_every_rule_names_its_source_and_a_way_out() -> None:
    for rule in RULES:
        assert any(name in rule.source for name in ("/", "coremltools guide")), rule
        assert rule.what_to_do
    assert all("#" in source or "hollance" in source for source in RUNS.values())


CONTENTS = Contents(
    specification=8,
    sizes="fixed",
    operations=(
        operation("cast"),
        replace(operation("quantize", output=sized(1, 8, 64, 64, dtype="int8")), oldest_specification=8),
        operation("conv", output=sized(1, 8, 64, 64, dtype="fp32")),
        operation("conv", output=sized(1, 8, 64, 64, dtype="fp32")),
        operation("conv"),
        operation("mul", y=sized(1, 8, 1, 1)),
        operation("reduce_mean", output=sized(1, 8, 1, 1)),
        operation("instance_norm"),
        operation("constexpr_lut_to_dense", output=sized(8, 8, 3, 3)),
    ),
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for a package, whose contents are `CONTENTS`."""
    path = tmp_path / "model.mlpackage"
    path.mkdir()
    (path / "Manifest.json").write_text("{}")
    monkeypatch.setattr(coreml, "list_contents", lambda _: CONTENTS)
    return path


def test_report_counts_what_leaves_and_what_may(package: Path) -> None:
    report = coreml.inspect_package(package)
    (left,), (maybe,) = report["fallbacks"], report["possible_fallbacks"]
    assert (left["op"], left["dtype"], left["count"], left["grounds"]) == ("conv", "fp32", 2, "documented")
    assert (maybe["op"], maybe["count"], maybe["grounds"]) == ("mul", 1, "reported")
    assert [each["neural_engine"] for each in report["operators"]].count("unknown") == 2
    assert report["operators"][2]["shape"] == [1, 8, 64, 64]
    assert report["deployment_target"] == {
        "specification": 8,
        "ios": 17,
        "macos": 14,
        "why": "its quantize came with it",
    }
    assert any("A17 Pro" in note for note in report["notes"])
    assert any(note.startswith("1 results are narrower than 64 bytes") for note in report["notes"])
    assert json.loads(json.dumps(report)) == report


def test_text_shows_each_kind_its_reason_and_what_is_not_known(package: Path) -> None:
    text = coreml.format_package(coreml.inspect_package(package))
    lines = text.splitlines()
    assert next(line for line in lines if "mul" in line).split() == ["1", "mul", "fp16", "may", "leave"]
    assert "known to leave the Neural Engine" in lines
    assert "        documented: coremltools guide, Typed Execution" in text
    assert "nothing is known here of 1 quantize, 1 instance_norm: a device says" in text
    assert "needs iOS 17 or macOS 14, or newer (Core ML format 8): its quantize came with it" in lines
    assert lines[-1].endswith("no Neural Engine runs")


def test_a_package_with_nothing_against_it_says_so(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Contents(specification=7, sizes="range", operations=(operation("conv"), operation("relu")))
    monkeypatch.setattr(coreml, "list_contents", lambda _: plain)
    report = coreml.inspect_package(package)
    text = coreml.format_package(report)
    assert (report["fallbacks"], report["possible_fallbacks"]) == ([], [])
    assert "nothing in it is known to leave the Neural Engine" in text
    assert "iOS 16 or macOS 13, or newer (Core ML format 7): none of its operations is so new" in text
    assert "note: it takes a range of sizes" in text
    newer = replace(plain, specification=99)
    monkeypatch.setattr(coreml, "list_contents", lambda _: newer)
    assert "needs a system newer than any known here" in coreml.format_package(coreml.inspect_package(package))


def test_command_fails_on_what_is_known_to_leave_and_only_on_that(package: Path, capsys, monkeypatch) -> None:
    assert console.run(app, ["inspect", str(package), "--fail-on", "fallback", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["fallbacks"][0]["op"] == "conv"
    assert "2 conv (fp32)" in printed.err
    possible = replace(CONTENTS, operations=CONTENTS.operations[4:])
    monkeypatch.setattr(coreml, "list_contents", lambda _: possible)
    assert console.run(app, ["inspect", str(package), "--fail-on", "fallback"]) == 0
    assert "reported to leave it, not by all" in capsys.readouterr().out


def test_command_refuses_what_is_no_package_and_timing_one(package: Path, tmp_path: Path, capsys) -> None:
    empty = tmp_path / "empty.mlpackage"
    empty.mkdir()
    assert console.run(app, ["inspect", str(empty)]) == 3
    assert console.run(app, ["inspect", str(tmp_path / "missing.mlpackage")]) == 3
    assert console.run(app, ["inspect", str(package), "--time-operators"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("has no Manifest.json") == 2
    assert "is no .tflite" in errors


def test_without_coremltools_the_facts_are_shown_and_the_gate_refuses(package: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(coreml, "list_contents", list_contents)
    monkeypatch.setitem(sys.modules, "coremltools", None)
    assert console.run(app, ["inspect", str(package)]) == 0
    printed = capsys.readouterr().out
    assert "size" in printed
    assert "its operations are not listed" in printed
    assert console.run(app, ["inspect", str(package), "--fail-on", "fallback"]) == 2
    assert "--extra coreml" in capsys.readouterr().err
