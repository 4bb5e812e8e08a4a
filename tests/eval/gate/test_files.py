"""Files that a gate writes, and its exit."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from compress.errors import GateFailed, UsageError
from compress.images import read_image
from compress.images.sheet import LABEL_PX
from eval.config import GateConfig
from eval.gate.checks import Unchecked, make_checks
from eval.gate.collector import WorstImage
from eval.gate.files import format_summary, format_text, write_files
from eval.gate.limits import parse_limits
from eval.gate.measurement import Measurement
from eval.gate.outcome import Outcome

Measured = Callable[..., Measurement]
Drawer = Callable[..., Path]

CANDIDATES: dict[str, dict[str, Any]] = {
    "pass": {"fid": 50.0},
    "regression": {"fid": 80.0},
    "inconclusive": {"fid": 52.0, "noise": 2.0},
}


@pytest.fixture
def outcome(measured: Measured) -> Callable[..., Outcome]:
    """`outcome("regression")` and so on, with PSNR, bytes and one check left out."""

    def make(verdict: str, worst: Sequence[Any] = (), **settings: Any) -> Outcome:
        config = GateConfig(
            candidate=Path("new"), baseline=Path("old.json"), data=Path("data"), max_bytes=250_000, **settings
        )
        candidate = measured(**CANDIDATES[verdict], size_bytes=200_000, psnr_db=30.0)
        return Outcome(
            config=config,
            candidate=candidate,
            checks=tuple(make_checks(parse_limits(config), measured(psnr_db=30.0), candidate, None)),
            unchecked=(Unchecked(name="min_psnr", why="nobody asked"),),
            worst=tuple(worst),
        )

    return make


@pytest.mark.parametrize("verdict", list(CANDIDATES))
def test_json_holds_verdict_and_checks(tmp_path: Path, outcome: Callable[..., Outcome], verdict: str) -> None:
    write_files(outcome(verdict), tmp_path / "gate")
    record = json.loads((tmp_path / "gate" / "gate.json").read_text())
    assert (record["verdict"], record["passed"]) == (verdict, verdict != "regression")
    by_name = {check["name"]: check for check in record["checks"]}
    assert by_name["max_fid_increase"]["verdict"] == verdict
    assert by_name["max_fid_increase"]["interval"].keys() == {"low", "high"}
    assert by_name["max_bytes"]["interval"] is None
    assert record["not_checked"] == [{"name": "min_psnr", "why": "nobody asked"}]
    assert record["config"]["max_fid_increase"] == "5%"
    assert record["key"]["inputs_sha256"] == "c" * 64


def test_summary_begins_with_the_verdict_and_has_a_row_for_each_check(outcome: Callable[..., Outcome]) -> None:
    found = outcome("regression")
    lines = format_summary(found).splitlines()
    assert lines[0] == "## Regression: the candidate is worse than its limits allow"
    rows = [line for line in lines if line.startswith("| max_")]
    assert [row.split(" | ")[0] for row in rows] == [f"| {check.name}" for check in found.checks]
    assert {line.count("|") for line in lines if line.startswith("|")} == {10}
    fid = next(row for row in rows if "max_fid_increase" in row)
    assert "| 50 | 80 | +30 | +30 to +30 | +2.5 (5%) |" in fid
    assert fid.endswith("| regression |")
    assert "not checked: min_psnr: nobody asked." in format_summary(found)
    assert "seed 0" in format_summary(found)


def test_summary_says_what_these_images_can_show(outcome: Callable[..., Outcome]) -> None:
    # 2.8 standard errors of 2.
    found = format_summary(outcome("inconclusive"))
    assert "with these 40 images, fid (max_fid_increase): a true change that goes 5." in found
    assert "% of the baseline's) beyond the limit is found in 4 of 5 cases" in found


def test_terminal_shows_the_same_cells(outcome: Callable[..., Outcome]) -> None:
    lines = format_text(outcome("regression")).splitlines()
    assert lines[0].startswith("Regression")
    assert lines[1].split()[:2] == ["check", "metric"]
    assert any(line.startswith("max_bytes") and line.endswith("pass") for line in lines)


@pytest.mark.parametrize(
    ("verdict", "inconclusive", "kinds", "passed"),
    [
        ("pass", "pass", [], True),
        ("pass", "fail", [], True),
        ("inconclusive", "pass", ["skipped"], True),
        ("inconclusive", "fail", ["failure"], False),
        ("regression", "pass", ["failure"], False),
        ("regression", "fail", ["failure"], False),
    ],
)
def test_junit_and_exit_follow_the_verdict_and_the_setting(
    tmp_path: Path, outcome: Callable[..., Outcome], verdict: str, inconclusive: str, kinds: list[str], passed: bool
) -> None:
    found = outcome(verdict, inconclusive=inconclusive)
    write_files(found, tmp_path / "gate")
    suite = ElementTree.parse(tmp_path / "gate" / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases["max_fid_increase"] == kinds
    assert [tag for tags in cases.values() for tag in tags] == kinds
    assert (suite.get("tests"), suite.get("failures")) == (str(len(found.checks)), str(kinds.count("failure")))
    assert found.passed is passed
    if passed:
        found.raise_if_failed()
    else:
        with pytest.raises(GateFailed, match=r"fid went from 50 to .*--max-fid-increase 5% allows \+2\.5"):
            found.raise_if_failed()


def test_failure_says_which_check_by_how_much_and_what_was_allowed(outcome: Callable[..., Outcome]) -> None:
    with pytest.raises(GateFailed) as failed:
        outcome("regression").raise_if_failed()
    assert str(failed.value) == (
        "regression: fid went from 50 to 80, by +30 (95 % interval +30 to +30); --max-fid-increase 5% allows +2.5."
    )


def test_worst_images_are_drawn_beside_input_and_reference(
    tmp_path: Path, draw: Drawer, outcome: Callable[..., Outcome]
) -> None:
    inputs = draw(tmp_path / "inputs", 3, size_px=80)
    reference, candidate = draw(tmp_path / "old", 3), draw(tmp_path / "new", 3, blur_px=2.0)
    worst = [
        WorstImage(
            stem=stem,
            psnr_db=decibels,
            input=inputs / f"{stem}.png",
            reference=read_image(reference / f"{stem}.png"),
            candidate=read_image(candidate / f"{stem}.png"),
        )
        for stem, decibels in (("001", 20.0), ("002", 21.0), ("000", 22.0))
    ]
    write_files(outcome("pass", worst), tmp_path / "gate")
    pictures = sorted((tmp_path / "gate" / "worst").iterdir())
    assert [picture.name for picture in pictures] == ["1.png", "2.png", "3.png"]
    drawn = read_image(pictures[0])
    # Three images of 64 px with 4 px of white around each, their names above; the last one is the candidate's.
    assert drawn.shape == (LABEL_PX + 72, 208, 3)
    labels, drawn = drawn[:LABEL_PX], drawn[LABEL_PX:]
    assert all((labels[:, 4 + 68 * place : 68 + 68 * place] < 128).any() for place in range(3))
    assert np.array_equal(drawn[4:68, 140:204], read_image(candidate / "001.png"))
    assert np.array_equal(drawn[4:68, 72:136], read_image(reference / "001.png"))
    assert np.array_equal(drawn[4:68, 4:68], read_image(inputs / "001.png", 64))
    assert "1. `001`: 20 dB" in (tmp_path / "gate" / "summary.md").read_text()


def test_without_images_to_compare_with_there_are_no_pictures(tmp_path: Path, outcome: Callable[..., Outcome]) -> None:
    write_files(outcome("pass"), tmp_path / "gate")
    assert sorted(path.name for path in (tmp_path / "gate").glob("[!.]*")) == ["gate.json", "junit.xml", "summary.md"]


def test_files_are_not_overwritten_unasked(tmp_path: Path, outcome: Callable[..., Outcome]) -> None:
    write_files(outcome("pass"), tmp_path / "gate")
    with pytest.raises(UsageError, match="--overwrite"):
        write_files(outcome("regression"), tmp_path / "gate")
    write_files(outcome("regression"), tmp_path / "gate", overwrite=True)
    assert json.loads((tmp_path / "gate" / "gate.json").read_text())["verdict"] == "regression"
