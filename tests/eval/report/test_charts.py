"""Charts: what is drawn of which numbers, and that a name from outside cannot spoil one."""

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from eval.confidence import Interval
from eval.gate.verdict import LimitCheck
from eval.report.curves import draw_curve
from eval.report.forest import draw_forest_of_distances, draw_forest_of_gates
from eval.report.gates import GateResult
from eval.report.scatter import draw_scatter_of_models
from eval.report.sources import Sources
from eval.report.trainings import Curve, Line
from eval.similarity import FolderSimilarity, ImageSimilarity


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter("text")]


def sources(**given: Any) -> Sources:
    models = ("pictures", "similarity", "effects", "manifests", "scores", "entries", "gates", "curves")
    nothing: dict[str, Any] = {name: {} for name in ("worst", "typical", "bench", *models)}
    return Sources(**(nothing | {"names": [], "baseline": "teacher", "student": "student"} | given))


def entries(**sizes: int) -> dict[str, dict[str, Any]]:
    return {name: {"name": name, "size_bytes": size} for name, size in sizes.items()}


def check(name: str, metric: str, unit: str = "", **values: Any) -> LimitCheck:
    known: dict[str, Any] = {
        "baseline": 50.0,
        "candidate": 51.0,
        "difference": 1.0,
        "interval": Interval(low=0.5, high=1.5),
        "limit": 2.5,
        "limit_text": "5%",
        "worse": "higher",
        "smallest_visible": 0.7,
        "verdict": "pass",
    }
    return LimitCheck(name=name, metric=metric, unit=unit, **(known | values))


def gate(*checks: LimitCheck) -> GateResult:
    return GateResult(verdict="pass", passed=True, checks=checks, not_checked=())


def test_each_unit_has_a_plot_and_each_distance_and_each_value_without_baseline_its_own() -> None:
    alone: dict[str, Any] = {"baseline": None, "difference": None}
    found = draw_forest_of_gates(
        {
            "one": gate(
                check("max_fid_increase", "fid"),
                check("max_kid_increase", "kid"),
                check("max_psnr_drop", "psnr_db", "dB"),
                check("min_psnr", "psnr_db", "dB", **alone),
                check("max_bytes", "size_bytes", "B", **alone, interval=None, smallest_visible=None),
            )
        }
    )
    assert [next(text for text in texts(svg) if text.startswith("candidate")) for svg in found] == [
        "candidate minus baseline, FID",
        "candidate minus baseline, KID",
        "candidate minus baseline, dB",
        "candidate, dB",
        "candidate, B",
    ]


def test_gates_of_several_models_share_a_plot_and_name_their_rows() -> None:
    (svg,) = draw_forest_of_gates(
        {
            "small": gate(check("max_fid_increase", "fid")),
            "tiny": gate(check("max_fid_increase", "fid", verdict="inconclusive")),
        }
    )
    assert {"small: max fid increase", "tiny: max fid increase", "pass", "inconclusive"} <= set(texts(svg))


def test_a_verdict_is_told_by_word_marker_and_colour() -> None:
    drawn = {
        verdict: draw_forest_of_gates({"one": gate(check("max_fid_increase", "fid", verdict=verdict))})[0]
        for verdict in ("pass", "regression", "inconclusive")
    }
    for verdict, variable in (("pass", "accent"), ("regression", "alarm"), ("inconclusive", "doubt")):
        assert verdict in texts(drawn[verdict])
        assert f"var(--{variable})" in drawn[verdict]
    markers = {re.findall(r'<defs>\s*<path id="[^"]*" d="([^"]*)"', svg)[-1] for svg in drawn.values()}
    assert len(markers) == 3


def test_kernel_distance_keeps_its_sign_below_zero() -> None:
    interval = {"low": -0.0049, "high": 0.0029}
    record = {"kid": {"mean": -0.001, "spread": 0.002}, "intervals": {"kid": interval}}
    (svg,) = draw_forest_of_distances(sources(scores={"student": record}))
    assert "student: -0.0010 (-0.0049 to 0.0029)." in svg


def test_without_scores_there_is_no_forest() -> None:
    assert draw_forest_of_distances(sources(scores={})) == []


def test_size_is_drawn_against_kid_before_the_frechet_distance() -> None:
    records = {
        "a": {"fid": 30.0, "kid": {"mean": 0.01, "spread": 0.001}},
        "b": {"fid": 40.0, "kid": {"mean": 0.02, "spread": 0.001}},
    }
    svg = draw_scatter_of_models(sources(names=["a", "b"], scores=records, entries=entries(a=180_000, b=45_600_000)))
    assert svg is not None
    assert "file size against KID, lower is better. a: 180 kB, 0.01. b: 45.6 MB, 0.02." in svg
    assert {"a", "b", "1 MB", "10 MB"} <= set(texts(svg))


def test_size_is_drawn_against_psnr_where_no_two_models_were_scored() -> None:
    image = ImageSimilarity(psnr_db=25.0, ssim=None, ms_ssim=None, colour_offset=(0.0, 0.0, 0.0))
    similarity = {name: FolderSimilarity({"0": image}) for name in ("a", "b")}
    svg = draw_scatter_of_models(
        sources(scores={"a": {"fid": 3.0}}, similarity=similarity, entries=entries(a=180_000, b=190_000))
    )
    assert svg is not None
    assert "PSNR to the teacher (dB), higher is better. a: 180 kB, 25. b: 190 kB, 25." in svg


def test_one_model_or_an_unknown_size_draws_no_scatter() -> None:
    records = {"a": {"fid": 30.0}, "b": {"fid": 40.0}}
    assert draw_scatter_of_models(sources(scores=records, entries=entries(a=180_000))) is None
    assert draw_scatter_of_models(sources(scores={"a": {"fid": 30.0}}, entries=entries(a=180_000, b=1000))) is None


def test_names_of_points_that_lie_on_each_other_do_not_overlap() -> None:
    records = {name: {"fid": 30.0} for name in ("first", "second", "third")} | {"far": {"fid": 90.0}}
    svg = draw_scatter_of_models(
        sources(scores=records, entries=entries(first=100_000, second=101_000, third=102_000, far=9_000_000))
    )
    assert svg is not None
    heights = []
    for element in ElementTree.fromstring(svg).iter("text"):
        if "".join(element.itertext()).strip() in ("first", "second", "third"):
            heights.append(_height(element))
    heights.sort()
    assert len(heights) == 3
    assert min(later - earlier for earlier, later in pairwise(heights)) > 9


def _height(element: ElementTree.Element) -> float:
    found = re.search(r"translate\([-\d.]+ ([-\d.]+)\)", element.get("transform", ""))
    return float(found.group(1)) if found else float(element.get("y", "nan"))


@pytest.mark.parametrize("name", ["$x^2$", "_hidden", "<b>&\"'", "学生", "a\x07b\nc", "long" * 40])
def test_any_name_can_stand_in_a_chart(name: str) -> None:
    curve = Curve(metric="held_back_psnr_db", lines=[Line(name="", steps=[1, 2], values=[3.0, 4.0])])
    records = {name: {"fid": 30.0}, "b": {"fid": 40.0}}
    sized = {one: {"name": one, "size_bytes": 1000} for one in records}
    points = draw_scatter_of_models(sources(scores=records, entries=sized))
    assert points is not None
    plain = "".join(character for character in name if character.isprintable())[:20]
    assert any(plain in text for text in texts(points))
    rows = draw_forest_of_distances(
        sources(scores={name: {"fid": 30.0, "intervals": {"fid": {"low": 29, "high": 31}}}})
    )
    assert any(plain in text for text in texts(rows[0]))
    assert any(plain in text for text in texts(draw_curve(name, curve)))


def test_a_teachers_curve_says_its_directions_and_the_control() -> None:
    lines = [
        Line(name="A→B", steps=[100, 200], values=[0.3, 0.1], spreads=[0.01, 0.01], control=0.5),
        Line(name="B→A", steps=[100], values=[0.4], spreads=[0.01]),
    ]
    svg = draw_curve("teacher", Curve(metric="kid_efficientnet_lite0", lines=lines))
    assert {"A→B", "B→A", "teacher: KID (EfficientNet-Lite0), lower is better"} <= set(texts(svg))
    assert "untouched inputs 0.5" in svg


@pytest.mark.parametrize(
    ("metric", "least"), [("held_back_psnr_db", 1.0), ("kid_efficientnet_lite0", 0.01), ("fid", 5.0)]
)
def test_a_difference_that_nobody_sees_is_not_drawn_as_one(metric: str, least: float) -> None:
    flat = draw_curve("student", Curve(metric=metric, lines=[Line(name="", steps=[1, 2], values=[22.0, 22.0001])]))
    shown = [float(text) for text in texts(flat) if re.fullmatch(r"\d+\.?\d*", text) and float(text) > 10]
    assert max(shown) - min(shown) >= least / 2
    steep = draw_curve("student", Curve(metric=metric, lines=[Line(name="", steps=[1, 2], values=[20.0, 40.0])]))
    assert max(float(text) for text in texts(steep) if re.fullmatch(r"\d+\.?\d*", text)) >= 35
