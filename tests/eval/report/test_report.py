"""The page: every picture and number it was given, nothing it was not, and nothing from outside."""

import base64
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.errors import UnusableData, UsageError
from compress.images import read_image
from eval.config import ReportConfig
from eval.report import cautions as cautions_module
from eval.report.page import render_page
from eval.report.sources import read_sources
from eval.similarity import compare_folders

Drawer = Callable[..., Path]

KEY = {
    "real_sha256": "a" * 64,
    "real_images": 9,
    "fake_images": 9,
    "image_size_px": [64, 64],
    "network": "efficientnet-lite0",
    "layer": "1280",
    "weights_sha256": "b" * 64,
    "reader": "as it is",
    "resizer": "none",
    "kid_subsets": 100,
    "kid_subset_size": 4,
    "seed": 0,
    "versions": {"torch": "2.15"},
}
BENCH = {
    "machine": {"cpu": "A <fast> CPU"},
    "threads": 1,
    "runs": 50,
    "interleaved": True,
    "entries": [
        {
            "name": "teacher",
            "path": "run/teacher-fp32/model.tflite",
            "size_bytes": 45_600_123,
            "latency_ms": {"min": 700.0, "median": 715.25, "max": 730.0},
            "speedup": 1.0,
            "load_ms": 35.5,
            "first_inference_ms": 812.5,
            "peak_memory_bytes": 310_000_000,
            "ops_total": 200,
            "ops_delegated": 180,
            "partitions": 12,
        },
        {
            "name": "student int8",
            "path": "run/student-int8/model.tflite",
            "size_bytes": 175_612,
            "latency_ms": {"min": 2.25, "median": 2.5, "max": 2.75},
            "speedup": 286.1,
            "peak_memory_bytes": None,
            "ops_total": 20,
            "ops_delegated": 20,
            "partitions": 1,
        },
    ],
}


def distances(kid: float, frechet: float) -> dict[str, Any]:
    return {
        "kid_efficientnet_lite0": {"mean": kid, "spread": 0.0123},
        "fd_efficientnet_lite0": frechet,
        "intervals": {
            "kid_efficientnet_lite0": {"low": kid - 0.0241, "high": kid + 0.0241},
            "fd_efficientnet_lite0": {"low": frechet - 2.5, "high": frechet + 2.5},
        },
    }


def scores(mean: float, distance: float) -> dict[str, Any]:
    return {
        "schema": 2,
        "key": KEY,
        **distances(mean, distance),
        "similarity": {"ssim": {"mean": 0.9123, "min": 0.8001}},
        "control": distances(0.5, 333.3),
        "notes": ["read with care"],
    }


EFFECT = {
    "verdict": "almost nothing",
    "share": 0.09,
    "interval": {"low": 0.04, "high": 0.13},
    "goal": "the teacher",
    "distance_fell_by": None,
    "text": "does almost nothing",
}


class Elements(HTMLParser):
    """Elements of the page's markup; complains of tags that are not closed."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def images(self) -> list[tuple[str, np.ndarray]]:
        """The alternative text and the pixels of each picture."""
        return [
            (attributes["alt"] or "", _pixels(attributes["src"] or ""))
            for tag, attributes in self.found
            if tag == "img"
        ]


def _pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> ReportConfig:
    """Nine images; the float student is near the teacher, the int8 student farther off with each image."""
    root = tmp_path_factory.mktemp("report")
    draw(root / "inputs", 9, seed=1, size_px=96)
    teacher = draw(root / "teacher", 9, seed=2)
    draw(root / "float", 9, seed=2, blur_px=0.4)
    (root / "int8").mkdir()
    for index, path in enumerate(sorted(teacher.iterdir())):
        darker = np.clip(read_image(path).astype(int) - 3 * (index + 1), 0, 255).astype(np.uint8)
        Image.fromarray(darker).save(root / "int8" / path.name)
    (root / "bench.json").write_text(json.dumps(BENCH))
    (root / "int8.json").write_text(json.dumps(scores(0.2468, 135.7)))
    (root / "artifact").mkdir()
    (root / "artifact" / "model.tflite").write_bytes(b"model")
    manifest = Manifest(
        name="student",
        format="tflite",
        stage="export",
        parent=None,
        input=ImageSpec(shape=(64, 64, 3)),
        cost=Cost(params=157_123, macs=701_000_000, size_bytes=175_612),
        config={"precision": "int8"},
    )
    write_manifest(root / "artifact", manifest)
    return ReportConfig(
        inputs=root / "inputs",
        teacher=teacher,
        column=(f"student float={root / 'float'}", f"student int8={root / 'int8'}"),
        scores=(f"student int8={root / 'int8.json'}",),
        bench=root / "bench.json",
        manifest=(f"student int8={root / 'artifact'}",),
        title="Vintage <photos> & more",
    )


@pytest.fixture(scope="module")
def page(config: ReportConfig) -> str:
    return render_page(config)


def without_extras(config: ReportConfig) -> ReportConfig:
    return replace(config, scores=(), bench=None, manifest=())


@pytest.mark.parametrize(
    "text",
    [
        "45.6 MB", "45,600,123 bytes", "175.6 kB", "260x", "286x", "157,123", "0.701 G", "int8", "715.25 ms",
        "2.25 to 2.75", "310.0 MB", "35.50 ms", "812.50 ms", "20 of 20 ops", "partitions: 12",
        "student-int8", "0.9123", "worst 0.8001",
        "0.2468", "0.2227 to 0.2709", "135.7", "133.2 to 138.2", "333.3", "untouched photos",
        "KID (EfficientNet-Lite0)", "FD (EfficientNet-Lite0)", "read with care", "cpu A &lt;fast&gt; CPU", "a" * 64,
    ],
)  # fmt: skip
def test_page_shows_each_number_it_was_given(page: str, text: str) -> None:
    assert f">{text}<" in page


def test_page_shows_the_mean_and_the_worst_psnr_of_each_column(page: str, config: ReportConfig) -> None:
    for column in config.column:
        decibels = compare_folders(Path(column.partition("=")[2]), config.teacher).psnr_db
        assert re.search(
            rf">{np.mean(decibels):.2f} dB<small>[\d.]+ to [\d.]+; worst {min(decibels):.2f}</small>", page
        )


def test_page_says_under_a_distance_that_a_sister_of_the_network_trained_the_model(
    config: ReportConfig, tmp_path: Path
) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(scores(0.2468, 135.7) | {"sister": "efficientnet-lite2"}))
    page = render_page(replace(config, scores=(f"student int8={tmp_path / 'scores.json'}",)))
    assert "0.2468<small>0.2227 to 0.2709; trained with efficientnet-lite2, a sister</small>" in page
    assert "135.7<small>133.2 to 138.2; trained with efficientnet-lite2, a sister</small>" in page
    # Of the untouched photos nothing was trained.
    assert "333.3<small>330.8 to 335.8</small>" in page


def test_page_shows_worst_and_typical_cases_unchanged(page: str, config: ReportConfig) -> None:
    # Image 008 was darkened most, so it is worst; the median of nine is 004.
    images = dict(Elements(page).images())
    stems = ["003", "004", "005", "008", "007", "006"]
    names = ["photo", "teacher", "student float", "student int8", "difference, 4x"]
    assert {f"{stem}, {name}" for stem in stems for name in names} == images.keys()
    assert page.index("008, teacher") < page.index("Typical images") < page.index("004, teacher")
    for stem in stems:
        for name, folder in (("teacher", "teacher"), ("student float", "float"), ("student int8", "int8")):
            original = read_image(config.teacher.parent / folder / f"{stem}.png")
            assert np.array_equal(images[f"{stem}, {name}"], original)
        assert images[f"{stem}, photo"].shape == (64, 64, 3)
        student, teacher = (images[f"{stem}, {name}"].astype(int) for name in ("student int8", "teacher"))
        brighter = np.minimum(4 * np.abs(student - teacher).max(axis=-1), 255)
        assert np.array_equal(images[f"{stem}, difference, 4x"], brighter)


def test_paths_are_held_of_the_images_that_are_shown_alone(config: ReportConfig) -> None:
    """Those of all were most of the memory of a report on 20,000 photos."""
    assert sorted(read_sources(config).pictures) == ["003", "004", "005", "006", "007", "008"]


def test_page_fetches_nothing(page: str) -> None:
    outside = [
        value
        for _, attributes in Elements(page).found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset")
        # A chart's markers refer to shapes of the same page.
        and not (value or "").startswith(("data:image/png;base64,", "#"))
    ]
    assert outside == []
    assert not re.search(r"https?://|url\((?!#)|@import|<script\s|fetch\(|innerHTML|eval\(", page)
    # One script, and the browser runs no other: its hash stands in the policy.
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_page_escapes_what_it_is_given(page: str) -> None:
    assert "<title>Vintage &lt;photos&gt; &amp; more</title>" in page
    assert "<photos>" not in page
    assert "<fast>" not in page


def test_pictures_come_first_then_one_table_then_cautions_then_the_rest(with_all: ReportConfig) -> None:
    full = render_page(with_all)
    headings = re.findall(r"<h2>(.*?)</h2>", full)
    assert headings == [
        "The worst images", "What was lost, what was gained", "Read with care", "Held against its baseline",
        "Training", "Typical images", "Further measures", "How this was measured",
    ]  # fmt: skip
    assert full.index('class="verdict') < full.index("<h2>")


def cells(page: str, row: str) -> dict[str, str]:
    """The cells of a model's row in the first table, by their headings; small print after a bar."""
    table = page[page.index("<table>") : page.index("</table>")]
    (line,) = re.findall(rf'<th scope="row">{re.escape(row)}</th>(.*?)</tr>', table)
    found = re.findall(r'<td data-measure="([^"]*)"[^>]*><div>(.*?)</div></td>', line)
    return {heading: text.replace("<small>", "|").removesuffix("</small>") for heading, text in found}


def test_the_untouched_photos_have_every_column_of_images_and_come_first(
    with_all: ReportConfig, tmp_path: Path
) -> None:
    record = json.loads(Path(with_all.scores[1].partition("=")[2]).read_text())
    record["control"] |= {"similarity": record["similarity"]}
    (tmp_path / "int8.json").write_text(json.dumps(record))
    page = render_page(replace(with_all, scores=(f"student int8={tmp_path / 'int8.json'}",)))
    assert re.search(r'<tbody><tr><th scope="row">untouched photos</th>', page)
    control, student = cells(page, "untouched photos"), cells(page, "student int8")
    files = {"Size", "Smaller", "Latency, median", "Faster"}
    assert control.keys() == student.keys() - files
    assert control["Of the way from photo to teacher"] == "0 %"
    assert cells(page, "teacher")["Of the way from photo to teacher"] == "100 %"


def test_a_student_that_does_almost_nothing_is_headed_so(config: ReportConfig, tmp_path: Path, draw: Drawer) -> None:
    photos = draw(tmp_path / "photos", 9, seed=1)
    (tmp_path / "idle").mkdir()
    for path in photos.iterdir():
        # A twentieth of the way from the photo to the teacher's image, in every pixel.
        photo, teacher = (read_image(folder / path.name).astype(float) for folder in (photos, config.teacher))
        Image.fromarray((0.95 * photo + 0.05 * teacher).round().astype(np.uint8)).save(tmp_path / "idle" / path.name)
    bare = replace(without_extras(config), inputs=photos, column=(f"<i>dle={tmp_path / 'idle'}",))
    page = render_page(bare)
    headed = '<p class="verdict alarm"><strong>&lt;i&gt;dle does almost nothing</strong>: it goes 10 % of the way'
    assert headed in page
    assert re.search(r'<td data-measure="Of the way from photo to teacher" class="alarm"><div>10 %<small>', page)
    assert "Under a quarter is almost nothing" in page
    assert '<p class="verdict good"><strong>student int8 goes ' in render_page(config)


def test_a_teacher_that_leaves_photos_as_they_are_is_said_to(config: ReportConfig) -> None:
    page = render_page(replace(without_extras(config), inputs=config.teacher))
    assert "student int8: the teacher leaves these photos as they are." in page


def test_every_picture_and_chart_is_labelled(page: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) == 6 * 5
    assert all(re.search(r"<figcaption>\S", figure) for figure in figures)
    # The photo's own likeness to the teacher's image stands under it, too.
    assert re.search(r"<figcaption>photo <span>[\d.]+ dB</span>", page)


def test_the_title_is_of_what_is_known(config: ReportConfig) -> None:
    page = render_page(replace(config, title=None))
    assert "<title>student int8 beside its teacher</title>" in page
    assert "<h1>student int8 beside its teacher</h1>" in page


def test_a_model_has_one_row_however_it_was_named(config: ReportConfig, tmp_path: Path) -> None:
    bench = json.loads(json.dumps(BENCH))
    bench["entries"][0]["name"], bench["entries"][1]["name"] = "teacher_fp32", "Student-INT8"
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    artifact, scores = (one[0].partition("=")[2] for one in (config.manifest, config.scores))
    page = render_page(
        replace(
            config,
            bench=tmp_path / "bench.json",
            manifest=(f"student_int8={artifact}",),
            scores=(f"student.int8={scores}", f"inputs={scores}"),
        )
    )
    rows = re.findall(r'<th scope="row">(.*?)</th>', page[page.index("<table>") : page.index("</table>")])
    assert rows == ["untouched photos", "teacher", "student float", "student int8"]
    row = cells(page, "student int8")
    assert (row["Latency, median"], row["Faster"], row["FD (EfficientNet-Lite0)"]) == (
        "2.50 ms|2.25 to 2.75", "286x", "135.7|133.2 to 138.2",
    )  # fmt: skip


def test_what_the_console_warns_of_stands_on_the_page(config: ReportConfig, tmp_path: Path) -> None:
    bench = json.loads(json.dumps(BENCH))
    bench["entries"][1] |= {"withheld": "the ratio may be off by <34%>", "input_shape": [1, 64, 64, 3]}
    bench["entries"][0]["input_shape"] = [1, 96, 96, 3]
    (tmp_path / "bench.json").write_text(json.dumps(bench | {"interleaved": False}))
    record = {name: value for name, value in scores(0.2, 20.0).items() if name != "control"}
    (tmp_path / "scores.json").write_text(json.dumps(record | {"sister": "efficientnet-lite2"}))
    shutil.copytree(config.manifest[0].partition("=")[2], tmp_path / "artifact")
    manifest = json.loads((tmp_path / "artifact" / "manifest.json").read_text())
    conventions = [
        {"topic": "value range in", "value": "-1..1", "basis": "assumed"},
        {"topic": "norm", "value": "instance", "basis": "file"},
    ]
    manifest["config"]["teacher_reading"] = {"said": {}, "conventions": conventions}
    (tmp_path / "artifact" / "manifest.json").write_text(json.dumps(manifest))
    page = render_page(
        replace(
            config,
            bench=tmp_path / "bench.json",
            scores=(f"student int8={tmp_path / 'scores.json'}",),
            manifest=(f"student int8={tmp_path / 'artifact'}",),
        )
    )
    cautions = re.findall(r"<li>(.*?)</li>", page[page.index("Read with care") :].partition("</ul>")[0])
    assert [caution.partition(":")[0] for caution in cautions] == [
        "Only 9 test images",
        "No FID",
        "The distances have no control",
        "The distances flatter student int8",
        "No speed-up of student int8",
        "student int8 takes 64x64 pixels, teacher 96x96 pixels",
        "The models were timed one after the other",
        "Assumed of the teacher&#x27;s file, which does not say so (student int8)",
    ]
    assert "the ratio may be off by &lt;34%&gt;." in page
    assert cautions[-1].partition(": ")[2].startswith("value range in: -1..1. A wrong one shows")
    assert cells(page, "student int8")["Faster"] == "too noisy"


def test_a_page_without_anything_to_warn_of_warns_of_nothing(config: ReportConfig, monkeypatch) -> None:
    monkeypatch.setattr(cautions_module, "FEW_IMAGES", 9)
    assert "Read with care" not in render_page(without_extras(config))


def test_a_page_is_hardly_larger_than_its_pictures(page: str) -> None:
    pictures = sum(len(attributes["src"] or "") for tag, attributes in Elements(page).found if tag == "img")
    assert len(page) - pictures < 60_000


def test_page_reads_on_a_phone_and_in_the_dark(page: str) -> None:
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in Elements(page).found
    assert "prefers-color-scheme: dark" in page


def test_what_is_not_given_has_no_column(config: ReportConfig) -> None:
    bare = render_page(without_extras(config))
    headings = re.findall(r'<th scope="col">([^<]*)</th>', bare)
    assert headings == ["Model", "Of the way from photo to teacher", "PSNR to the teacher"]
    assert "How this was measured" not in bare
    assert "faster" not in bare


def test_fid_is_called_fid_only_where_it_is_one(config: ReportConfig, page: str, tmp_path: Path) -> None:
    said = "No FID: the distances are in the features of efficientnet-lite0"
    assert said in page
    assert not re.search(r"\bFID\b", re.sub("No FID: .*?</li>", "", page))
    inception = tmp_path / "inception.json"
    inception.write_text(
        json.dumps(
            {
                "schema": 2,
                "key": KEY | {"network": "inception"},
                "fid": 61.53,
                "kid": {"mean": 1, "spread": 2},
                "intervals": {name: {"low": 0, "high": 99} for name in ("fid", "kid")},
                "notes": [],
            }
        )
    )
    headings = re.findall(
        r'<th scope="col">([^<]*)</th>',
        of_inception := render_page(replace(without_extras(config), scores=(f"student int8={inception}",))),
    )
    assert headings[-2:] == ["FID", "KID"]
    assert said not in of_inception


GATE = {
    "schema": 1,
    "verdict": "regression",
    "passed": False,
    "checks": [
        {
            "name": "max_psnr_drop", "metric": "psnr_db", "unit": "dB", "baseline": 26.5, "candidate": 25.75,
            "difference": -0.75, "interval": {"low": -0.9, "high": -0.6}, "limit": -0.3, "limit_text": "0.3",
            "worse": "lower", "smallest_visible": 0.2, "verdict": "regression",
        },
    ],
    "not_checked": [{"name": "max_bytes", "why": "no <model>"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def with_all(config: ReportConfig, tmp_path_factory: pytest.TempPathFactory) -> ReportConfig:
    """The page's configuration with a gate, a student's training and what newer scores hold."""
    folder = tmp_path_factory.mktemp("all")
    (folder / "gate.json").write_text(json.dumps(GATE))
    history = [{"step": 10, "held_back_psnr_db": 20.5}, {"step": 20, "held_back_psnr_db": 22.25}]
    (folder / "training.json").write_text(json.dumps({"history": history}))
    summary = {"mean": 0.9512, "min": 0.9001, "max": 0.9901}
    more = {
        "similarity": {
            "ssim": {"mean": 0.9123, "min": 0.8001},
            "ms_ssim": summary,
            "perceptual_efficientnet_lite0": {"mean": 0.0456, "min": 0.01, "max": 0.1789},
        },
        "truth": {"psnr_db": {"mean": 21.5, "min": 15.25}},
        "precision_efficientnet_lite0": 0.875,
        "recall_efficientnet_lite0": 0.625,
    }
    for name, (mean, distance) in {"float": (0.2, 120.5), "int8": (0.2468, 135.7)}.items():
        (folder / f"{name}.json").write_text(json.dumps(scores(mean, distance) | more))
    return replace(
        config,
        scores=tuple(f"student {name}={folder / name}.json" for name in ("float", "int8")),
        gate=(f"student int8={folder / 'gate.json'}",),
        training=(f"$1 <student>={folder}", f"old={config.manifest[0].partition('=')[2]}"),
    )


def test_new_measures_have_their_columns_and_ms_ssim_stands_for_ssim(with_all: ReportConfig) -> None:
    full = render_page(with_all)
    for text in (
        "0.9512",
        "worst 0.9001",
        "0.0456",
        "worst 0.1789",
        "21.50 dB",
        "worst 15.25",
        "87.5%",
        "recall 62.5%",
    ):
        assert f">{text}<" in full
    headings = re.findall(r'<th scope="col">([^<]*)</th>', full)
    assert "MS-SSIM to the teacher" in headings
    assert "Perceptual distance to the teacher (EfficientNet-Lite0)" in headings
    assert "SSIM to the teacher" not in headings


def test_a_gate_is_said_in_words_and_drawn(with_all: ReportConfig) -> None:
    full = render_page(with_all)
    assert "<strong>regression</strong>" in full
    sentence = "psnr_db went from 26.5 to 25.75 dB, by -0.75 (95 % interval -0.9 to -0.6)"
    assert f"<li>regression: {sentence}" in full
    assert "not checked: max_bytes: no &lt;model&gt;" in full
    assert any(label.startswith("Forest plot, candidate minus baseline, dB") for label in _charts(full))


def test_without_a_gate_distances_are_drawn_with_their_intervals_and_the_control(page: str) -> None:
    (label,) = [label for label in _charts(page) if label.startswith("Forest plot, KID")]
    assert "student int8: 0.2468 (0.2227 to 0.2709)." in label
    assert "untouched photos: 0.5000" in label
    (label,) = [label for label in _charts(page) if label.startswith("Forest plot, FD")]
    assert "untouched photos: 333.3 (330.8 to 335.8)." in label


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": 1},
        {"kid_efficientnet_lite0": {"spread": 0.1}},
        {"fd_efficientnet_lite0": "12"},
        {"intervals": {"fd_efficientnet_lite0": {"low": 1.0}}},
        {"schema": 2.0},
        {"more": 1},
        {"key": KEY | {"more": 1}},
        {"key": KEY | {"seed": "0"}},
        {"recall_efficientnet_lite0": 1.5},
        {"fid": 12.0},
        {"notes": "read with care"},
        {"seconds": {"features": -1}},
        {"similarity": {"psnr_db": {"mean": "25"}}},
        {"similarity": {"images": {"001": {"psnr_db": "25"}}}},
        {"truth": [1]},
        {"content_sha256": "a" * 64},
        {"control": {"kid_efficientnet_lite0": {"mean": 0.5, "spread": 0.1}}},
        {"control": [1]},
        {"control": distances(0.5, 333.3) | {"similarity": {"psnr_db": {"mean": "25"}}}},
        {"control": distances(0.5, 333.3) | {"control": distances(0.5, 333.3)}},
        {"effect": EFFECT | {"verdict": "fine"}},
        {"effect": EFFECT | {"interval": {"low": 0.1}}},
        {"effect": EFFECT | {"more": 1}},
    ],
)
def test_scores_of_another_kind_are_refused_by_their_files_name(
    config: ReportConfig, tmp_path: Path, broken: dict[str, Any]
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(scores(0.2, 20.0) | broken))
    with pytest.raises(UnusableData, match=r"broken\.json"):
        render_page(replace(config, scores=(f"student int8={path}",)))


def test_scores_that_tell_an_effect_and_a_whole_control_are_read(config: ReportConfig, tmp_path: Path) -> None:
    record = scores(0.2, 20.0) | {"effect": EFFECT}
    record["control"] |= {"similarity": {"ssim": {"mean": 0.5432, "min": 0.1}}}
    (tmp_path / "whole.json").write_text(json.dumps(record))
    page = render_page(replace(config, scores=(f"student int8={tmp_path / 'whole.json'}",)))
    assert cells(page, "untouched photos")["SSIM to the teacher"] == "0.5432|worst 0.1000"


def test_every_chart_has_a_text_alternative_and_takes_the_pages_colours(with_all: ReportConfig) -> None:
    full = render_page(with_all)
    charts = _charts(full)
    assert len(charts) == 2
    assert any("20.5 at step 10, 22.25 at step 20" in label for label in charts)
    assert all(attributes["role"] == "img" for tag, attributes in Elements(full).found if tag == "svg")
    drawings = re.findall(r"<svg.*?</svg>", full, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{6}\b", "".join(drawings))


def test_training_that_left_no_curve_is_said_to_have_none(with_all: ReportConfig) -> None:
    assert "<p>old keeps no curve" in render_page(with_all)


def test_page_of_equal_input_is_equal_to_the_byte(with_all: ReportConfig) -> None:
    assert render_page(with_all) == render_page(with_all)


def test_page_with_charts_fetches_nothing_and_escapes_names(with_all: ReportConfig) -> None:
    full = render_page(with_all)
    test_page_fetches_nothing(full)
    assert "<student>" not in full
    assert "$1 &lt;student&gt;" in full


def _charts(document: str) -> list[str]:
    return [attributes["aria-label"] or "" for tag, attributes in Elements(document).found if tag == "svg"]


def test_scores_of_different_references_are_refused(config: ReportConfig, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(scores(0.1, 100.0) | {"key": KEY | {"real_sha256": "b" * 64}}))
    with pytest.raises(UnusableData, match="differ in real_sha256"):
        render_page(replace(config, scores=(*config.scores, f"teacher={other}")))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"entries": 3}'])
def test_file_that_is_no_benchmark_is_refused(config: ReportConfig, tmp_path: Path, content: str) -> None:
    bench = tmp_path / "bench.json"
    bench.write_text(content)
    with pytest.raises(UnusableData, match=r"bench\.json"):
        render_page(replace(config, bench=bench))


def test_name_given_twice_or_taken_from_the_teacher_is_refused(config: ReportConfig) -> None:
    with pytest.raises(UsageError, match="twice"):
        render_page(replace(config, column=(config.column[0], config.column[0])))
    with pytest.raises(UsageError, match="not of the teacher"):
        render_page(replace(config, column=(f"teacher={config.teacher}",)))
