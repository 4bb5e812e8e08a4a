"""Baseline files: small, faithful, checked when read, and honest about what they replace."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableData, UsageError
from compress.strict_json import seal_record
from eval.gate.baseline import find_changes, format_changes, read_baseline, read_replaced_baseline, write_baseline
from eval.gate.measurement import CHANNELS, Measurement, ResampledDistance, round_for_file

ROOT = Path(__file__).resolve().parents[3]
Measured = Callable[..., Measurement]
Change = Callable[[dict[str, Any]], Any]


COMPARED = ("psnr_db", "ssim", "patch_psnr_db", "photo_ssim", "photo_patch_psnr_db")


def test_what_is_read_is_what_was_written(tmp_path: Path, measured: Measured) -> None:
    written = measured(noise=1.5, psnr_db=31.0, size_bytes=250_000)
    write_baseline(written, tmp_path / "baseline.json")
    read = read_baseline(tmp_path / "baseline.json")
    assert read.to_mapping() == written.to_mapping()
    assert read.images == 40
    assert find_changes(written, read) == {}


def test_baseline_of_500_images_is_small(tmp_path: Path, measured: Measured) -> None:
    rng = np.random.default_rng(0)
    key = dict(measured(images=500).key)
    measurement = Measurement(
        key=key,
        distances={
            name: ResampledDistance(value=scale, resampled=round_for_file(rng.normal(scale, 0.1 * scale, 1000)))
            for name, scale in (("fid", 50.0), ("kid", 0.001))
        },
        paired={name: round_for_file(rng.normal(30.0, 3.0, 500)) for name in (*CHANNELS, *COMPARED)},
    )
    write_baseline(measurement, tmp_path / "baseline.json")
    assert (tmp_path / "baseline.json").stat().st_size < 60_000


def test_rounding_keeps_six_digits_of_numbers_of_any_size() -> None:
    assert round_for_file(np.asarray([[123.456789, -0.000123456789], [0.0, 1e9]])).tolist() == [
        [123.457, -0.000123457],
        [0.0, 1e9],
    ]


def test_baseline_is_not_overwritten_unasked(tmp_path: Path, measured: Measured) -> None:
    (tmp_path / "baseline.json").write_text("precious")
    with pytest.raises(UsageError, match="--overwrite"):
        write_baseline(measured(), tmp_path / "baseline.json")
    assert (tmp_path / "baseline.json").read_text() == "precious"


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", '"text"', "\x00\x01"])
def test_file_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "baseline.json").write_text(content)
    with pytest.raises(UnusableData, match=r"baseline\.json"):
        read_baseline(tmp_path / "baseline.json")


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match=r"nothing\.json"):
        read_baseline(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda record: record.pop("schema"), "schema None, expected 2"),
        (lambda record: record.update(schema=3), "schema 3, expected 2"),
        (lambda record: record.update(schema=True), "schema True, expected 2"),
        (lambda record: record.update(schema="2"), "schema '2', expected 2"),
        (lambda record: record.update(more=1), "unknown key 'more'"),
        (lambda record: record["key"].update(more=1), "'key' has an unknown key 'more'"),
        (lambda record: record["paired"].update(more=[1.0] * 40), "'paired' has an unknown key 'more'"),
        (lambda record: record["distances"].update(fid_2=record["distances"]["fid"]), "unknown key 'fid_2'"),
        (lambda record: record.pop("teacher_sha256"), "has no 'teacher_sha256'"),
        (lambda record: record.update(teacher_sha256=None), "only one of 'teacher_sha256' and 'psnr_db'"),
        (lambda record: record.update(teacher_sha256="t" * 64), "'teacher_sha256' is 'tttt"),
        (lambda record: record.update(size_bytes=-1), "'size_bytes' is -1, expected 0 to inf"),
        (lambda record: record.update(size_bytes="9"), "'size_bytes' is '9', expected an integer"),
        (lambda record: record["key"].update(seed=-1), "'key.seed' is -1"),
        (lambda record: record["key"].update(real_sha256="a" * 63), "'key.real_sha256' is 'aaa"),
        (lambda record: record["key"].update(image_size_px=[64]), "'key.image_size_px' is"),
        (lambda record: record["key"].update(fake_images=True), "'key.fake_images' is True"),
        (lambda record: record["paired"].update(mean_red=[256.0] * 40), "'mean_red' holds 256 to 256"),
        (lambda record: record["paired"].update(ssim=[1.5] * 40), "'ssim' holds"),
        (lambda record: record["paired"].update(psnr_db=[-1.0] * 40), "'psnr_db' holds"),
        (lambda record: record["distances"]["kid"].update(value=1e300), "'distances.kid.value' is 1e"),
        (lambda record: record.pop("key"), "it has no 'key'"),
        (lambda record: record.update(key=[1]), "is no baseline file"),
        (lambda record: record["key"].update(resamples=10), "'key.resamples' is 10, expected 1000 to 1000"),
        (lambda record: record["key"].update(fake_images="many"), "'key.fake_images' is 'many'"),
        (lambda record: record["key"].update(network="vgg"), "network' is 'vgg'"),
        (lambda record: record["distances"].pop("kid"), "'distances' has no 'kid'"),
        (lambda record: record["distances"]["fid"].pop("value"), "'distances.fid' has no 'value'"),
        (lambda record: record["distances"]["fid"]["resampled"].pop(), "'fid' is of length 999, expected 1000"),
        (lambda record: record["distances"]["fid"].update(value=float("nan")), "NaN is no number"),
        (lambda record: record["paired"].pop("mean_red"), "'paired' has no 'mean_red'"),
        (lambda record: record["paired"]["psnr_db"].append(3.0), "'psnr_db' is of length 41, expected 40"),
        (lambda record: record["paired"].update(psnr_db=["30"] * 40), r"psnr_db\[0\]' is '30', expected a number"),
        (lambda record: record.update(paired=None), "is no baseline file"),
    ],
)
def test_record_of_another_kind_is_refused_by_what_is_wrong(
    tmp_path: Path, measured: Measured, change: Change, complaint: str
) -> None:
    record = json.loads(json.dumps(measured(psnr_db=30.0).to_mapping()))
    change(record)
    (tmp_path / "baseline.json").write_text(json.dumps(seal_record(record)))
    with pytest.raises(UnusableData, match=complaint):
        read_baseline(tmp_path / "baseline.json")


def test_edited_baseline_is_refused_whatever_was_edited(tmp_path: Path, measured: Measured) -> None:
    write_baseline(measured(psnr_db=30.0), tmp_path / "baseline.json")
    text = (tmp_path / "baseline.json").read_text()
    for old, new in (('"value": 50.0', '"value": 60.0'), ('"seed": 0', '"seed": 1'), ('"content', '"other')):
        assert text.count(old) == 1
        (tmp_path / "baseline.json").write_text(text.replace(old, new))
        with pytest.raises(UnusableData, match="content_sha256"):
            read_baseline(tmp_path / "baseline.json")


def test_baseline_of_the_schema_before_hashes_is_still_read(tmp_path: Path, measured: Measured) -> None:
    written = measured(psnr_db=30.0, photo_ssim=None)
    record = {**written.to_mapping(), "schema": 1}
    del record["content_sha256"], record["paired"]["patch_psnr_db"]
    (tmp_path / "baseline.json").write_text(json.dumps(record))
    read = read_baseline(tmp_path / "baseline.json")
    assert set(read.paired) == {"mean_red", "mean_green", "mean_blue", "psnr_db", "ssim"}
    assert find_changes(written, read) == {
        "patch_psnr_db": {"from": pytest.approx(22.0), "to": None},
    }
    assert read_baseline(ROOT / "benchmarks" / "baselines" / "demo_student.json").images == 100


def test_changes_name_scores_and_what_they_were_measured_against(measured: Measured) -> None:
    old, new = measured(fid=50.0, size_bytes=250_000), measured(fid=48.0, psnr_db=31.0, images=60, size_bytes=250_000)
    changed = find_changes(old, new)
    assert changed["fid"] == {"from": 50.0, "to": 48.0}
    assert changed["psnr_db"] == {"from": None, "to": 31.0}
    assert changed["key.fake_images"] == {"from": 40, "to": 60}
    assert not {"kid", "size_bytes", "key.network"} & changed.keys()
    text = format_changes(changed)
    assert "fid: 50.0 -> 48.0" in text
    assert "psnr_db: none -> 31.0" in text
    assert format_changes({}) == "nothing changed against the old baseline."


def test_broken_baseline_can_be_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_replaced_baseline(tmp_path / "none.json") is None
    (tmp_path / "baseline.json").write_text("torn")
    assert read_replaced_baseline(tmp_path / "baseline.json") is None
    assert "cannot be said" in caplog.text
