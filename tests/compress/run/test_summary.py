"""The table that a run closes with."""

import json
from pathlib import Path
from typing import Any

import pytest

from compress.run.summary import closing_lines, headline, summary_table

METRIC = "kid_efficientnet_lite0"


def _entry(name: str, size_bytes: int, median_ms: float, speedup: float) -> dict[str, Any]:
    return {"name": name, "size_bytes": size_bytes, "latency_ms": {"median": median_ms}, "speedup": speedup}


def _run(out: Path, kids: dict[str, float]) -> Path:
    entries = [_entry("teacher", 44_000_000, 300.0, 1.0), _entry("student_int8", 220_000, 1.5, 200.0)]
    (out / "scores").mkdir()
    (out / "bench.json").write_text(json.dumps({"entries": entries}))
    for name, mean in kids.items():
        # The teacher's images are compared with themselves: equal, so no ratio.
        psnr = None if name == "teacher" else {"mean": 24.125}
        interval = {"low": mean - 0.002, "high": mean + 0.002}
        record = {METRIC: {"mean": mean, "spread": 0.001}, "intervals": {METRIC: interval}}
        record["similarity"] = {"psnr_db": psnr}
        (out / "scores" / f"{name}.json").write_text(json.dumps(record))
    return out


def test_it_shows_what_was_had_and_what_was_lost(tmp_path: Path) -> None:
    lines = summary_table(_run(tmp_path, {"inputs": 0.05, "teacher": 0.004, "student_int8": 0.0051})).splitlines()
    assert lines[0].split("  ")[-1] == METRIC
    assert [part.strip() for part in lines[0].split("  ") if part][:-1] == [
        "size", "smaller", "latency", "faster", "PSNR to teacher", "of the way",
    ]  # fmt: skip
    assert lines[1].split()[2:] == ["-", "-", "-", "-", "24.12", "dB", "0", "%", "0.0500", "±", "0.0010"]
    assert lines[1].startswith("untouched photos")
    assert lines[2].split()[1:10] == ["44,000.0", "kB", "1x", "300.00", "ms", "1x", "-", "100", "%"]
    assert lines[3].split()[1:9] == ["220.0", "kB", "200x", "1.50", "ms", "200x", "24.12", "dB"]
    assert len({len(line) for line in lines[:4]}) == 1


def _judge(out: Path, verdict: str, text: str) -> None:
    record = json.loads((out / "scores/student_int8.json").read_text())
    record["effect"] = {"verdict": verdict, "share": 0.0879, "text": text}
    (out / "scores/student_int8.json").write_text(json.dumps(record))


def test_a_student_that_does_almost_nothing_is_headed_so_in_red(tmp_path: Path) -> None:
    out = _run(tmp_path, {"inputs": 0.05, "student_int8": 0.049})
    assert headline(out) is None
    _judge(out, "almost nothing", "does almost nothing: it goes 9 % of the way")
    head = headline(out)
    assert head is not None
    assert (head.text, head.tone) == ("student_int8 does almost nothing: it goes 9 % of the way", "alarm")
    assert summary_table(out).splitlines()[3].split()[9:11] == ["9", "%"]


def test_a_student_that_works_is_headed_in_green(tmp_path: Path) -> None:
    out = _run(tmp_path, {"inputs": 0.05, "student_int8": 0.01})
    _judge(out, "works", "goes 90 % of the way")
    head = headline(out)
    assert head is not None
    assert head.tone == "good"


@pytest.mark.parametrize(
    ("student", "where"), [(0.0051, "within"), (0.0059, "within"), (0.0061, "above"), (0.001, "below")]
)
def test_it_says_whether_the_student_can_be_told_from_its_teacher(tmp_path: Path, student: float, where: str) -> None:
    table = summary_table(_run(tmp_path, {"inputs": 0.05, "teacher": 0.004, "student_int8": student}))
    assert f"lies {where} its teacher's 95 % interval, 0.0020 to 0.0060." in table


def test_against_the_teachers_own_images_there_is_no_such_interval(tmp_path: Path) -> None:
    assert "interval" not in summary_table(_run(tmp_path, {"inputs": 0.05, "student_int8": 0.004}))


def test_a_speedup_from_a_noisy_machine_is_not_shown(tmp_path: Path) -> None:
    out = _run(tmp_path, {"inputs": 0.05})
    bench = json.loads((out / "bench.json").read_text())
    bench["entries"][1]["withheld"] = "the ratio may be off by 34%"
    (out / "bench.json").write_text(json.dumps(bench))
    lines = summary_table(out).splitlines()
    assert "1.50 ms too noisy" in " ".join(lines[3].split())
    assert lines[-1] == "no speed-up of student_int8: the ratio may be off by 34%."


def test_a_score_in_a_sisters_features_says_so_beside_the_number(tmp_path: Path) -> None:
    out = _run(tmp_path, {"inputs": 0.05, "teacher": 0.004, "student_int8": 0.003})
    assert "†" not in summary_table(out)
    record = json.loads((out / "scores/student_int8.json").read_text()) | {"sister": "efficientnet-lite2"}
    (out / "scores/student_int8.json").write_text(json.dumps(record))
    lines = summary_table(out).splitlines()
    assert lines[3].endswith("0.0030 ± 0.0010†")
    assert "†" not in lines[2]
    assert lines[-1] == (
        f"† {METRIC} is in features of a sister of efficientnet-lite2, which trained the student: flattering."
    )


def test_it_ends_with_the_phones_file_and_what_comes_next(tmp_path: Path) -> None:
    out = _run(tmp_path, {"inputs": 0.05})
    (out / "student").mkdir()
    bench = json.loads((out / "bench.json").read_text())
    (out / "bench.json").write_text(json.dumps(bench | {"threads": 1}))
    file, report, card, following = closing_lines(out, "report.html").splitlines()
    assert file.split(": ")[1].strip() == (
        f"{out}/student_int8/model.tflite (220.0 kB, 1.50 ms on this machine, 1 thread, 200x faster than the teacher)"
    )
    assert report.endswith(" report.html")
    assert card.endswith(f" {out}/model_card.md")
    assert f"compress export coreml {out}/student --out" in following
    (out / "quantized").mkdir()
    assert f"compress export coreml {out}/quantized --out" in closing_lines(out, "report.html")
