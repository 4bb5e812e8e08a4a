"""Baseline files: small, faithful, checked when read, and honest about what they replace."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableData, UsageError
from eval.gate.baseline import find_changes, format_changes, read_baseline, read_replaced_baseline, write_baseline
from eval.gate.measurement import CHANNELS, Measurement, ResampledDistance, round_for_file

Measured = Callable[..., Measurement]
Change = Callable[[dict[str, Any]], Any]


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
        paired={name: round_for_file(rng.normal(30.0, 3.0, 500)) for name in (*CHANNELS, "psnr_db", "ssim")},
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
        (lambda record: record.pop("schema"), "it has no 'schema'"),
        (lambda record: record.update(schema=2), "schema 2, expected 1"),
        (lambda record: record.pop("key"), "it has no 'key'"),
        (lambda record: record.update(key=[1]), "is no baseline file"),
        (lambda record: record["key"].update(resamples=10), "10 resamples, expected 1000"),
        (lambda record: record["key"].update(fake_images="many"), "'fake_images' is 'many'"),
        (lambda record: record["key"].update(network="vgg"), "network is 'vgg'"),
        (lambda record: record["distances"].pop("kid"), "it has no 'kid'"),
        (lambda record: record["distances"]["fid"].pop("value"), "it has no 'value'"),
        (lambda record: record["distances"]["fid"]["resampled"].pop(), "'fid' is not 1000 finite numbers"),
        (lambda record: record["distances"]["fid"].update(value=float("nan")), "'fid' is not 1 finite numbers"),
        (lambda record: record["paired"].pop("mean_red"), "it has no 'mean_red'"),
        (lambda record: record["paired"]["psnr_db"].append(3.0), "'psnr_db' is not 40 finite numbers"),
        (lambda record: record["paired"].update(psnr_db=["x"] * 40), "is no baseline file"),
        (lambda record: record.update(paired=None), "is no baseline file"),
    ],
)
def test_record_of_another_kind_is_refused_by_what_is_wrong(
    tmp_path: Path, measured: Measured, change: Change, complaint: str
) -> None:
    record = json.loads(json.dumps(measured(psnr_db=30.0).to_mapping()))
    change(record)
    (tmp_path / "baseline.json").write_text(json.dumps(record))
    with pytest.raises(UnusableData, match=complaint):
        read_baseline(tmp_path / "baseline.json")


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
