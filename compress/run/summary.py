"""Table at the end of a run, on the terminal: size, latency and images of the teacher and its students."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from compress.artifact import MODEL_NAMES
from compress.console.headline import EFFECT_TONES, Headline
from compress.model_card import CARD_NAME
from compress.text_table import format_columns

TEACHER, UNTOUCHED = "teacher", "inputs"
IntervalPlace = Literal["within", "below", "above"]
_NONE = "-"
_CONTROL = "untouched photos"


def headline(out: Path) -> Headline | None:
    """Return in words what the shipped student does beyond the untouched photos; None where its scores do not tell.

    Args:
        out: A finished run's folder.
    """
    shipped = _read(out / "bench.json")["entries"][-1]["name"]
    effect = _read_scores(out).get(shipped, {}).get("effect")
    return Headline(text=f"{shipped} {effect['text']}", tone=EFFECT_TONES[effect["verdict"]]) if effect else None


def summary_table(out: Path) -> str:
    """Return baseline against students: size, latency, similarity to the teacher, KID; untouched photos as the control.

    Args:
        out: A finished run's folder.

    Returns:
        Aligned columns, a line that says whether the shipped student's KID can be told from its teacher's, one on the
        KID of students that a sister of the network behind it has trained, and one on speeds that are not shown.
    """
    bench = {entry["name"]: entry for entry in _read(out / "bench.json")["entries"]}
    scores = _read_scores(out)
    metric = next(key for record in scores.values() for key in record if key.startswith("kid"))
    rows = [["", "size", "smaller", "latency", "faster", "PSNR to teacher", "of the way", metric]]
    for name in (UNTOUCHED, *bench):
        row = _CONTROL if name == UNTOUCHED else name
        rows.append([row, *_file_cells(bench, name), *_image_cells(name, scores.get(name, {}), metric)])
    verdict = _verdict(scores, metric, shipped=list(bench)[-1])
    remarks = [*verdict, *_sisters(scores, metric), *_noisy(bench)]
    return "\n".join([*format_columns(rows, align="right"), *remarks])


def closing_lines(out: Path, report: str) -> str:
    """Return what a run ends with: the phone's file, its size and speed, the report, and what comes next.

    Args:
        out: A finished run's folder.
        report: Path of its report.
    """
    bench = _read(out / "bench.json")
    *_, shipped = bench["entries"]
    file = out / shipped["name"] / MODEL_NAMES["tflite"]
    faster = "" if shipped.get("withheld") else f", {shipped['speedup']:.0f}x faster than the teacher"
    speed = f"{shipped['latency_ms']['median']:.2f} ms on this machine, {bench['threads']} thread{faster}"
    student = next(out / name for name in ("quantized", "pruned", "student") if (out / name).exists())
    return "\n".join(
        [
            f"phone file: {file} ({shipped['size_bytes'] / 1e3:,.1f} kB, {speed})",
            f"report:     {report}",
            f"model card: {out / CARD_NAME}",
            f"next:       compress export coreml {student} --out {out / 'student_coreml'}   # the same for iPhones",
        ]
    )


def place_in_interval(score: float, interval: Mapping[str, float]) -> IntervalPlace:
    """Return where a score lies relative to another one's interval.

    Args:
        score: A distance's mean, the student's.
        interval: `low` and `high`, the ends of its teacher's 95 % interval; both belong to it.
    """
    if interval["low"] <= score <= interval["high"]:
        return "within"
    return "below" if score < interval["low"] else "above"


def _file_cells(bench: Mapping[str, Any], name: str) -> list[str]:
    if name not in bench:
        return [_NONE] * 4
    entry, baseline = bench[name], next(iter(bench.values()))
    return [
        f"{entry['size_bytes'] / 1e3:,.1f} kB",
        f"{baseline['size_bytes'] / entry['size_bytes']:.0f}x",
        f"{entry['latency_ms']['median']:.2f} ms",
        "too noisy" if entry.get("withheld") else f"{entry['speedup']:.0f}x",
    ]


def _image_cells(name: str, record: Mapping[str, Any], metric: str) -> list[str]:
    share = {UNTOUCHED: 0.0, TEACHER: 1.0}.get(name, record.get("effect", {}).get("share"))
    # None for the teacher, whose images are compared with themselves.
    psnr = (record.get("similarity", {}).get("psnr_db") or {}).get("mean")
    kid = record.get(metric)
    return [
        _NONE if psnr is None else f"{psnr:.2f} dB",
        _NONE if share is None else f"{100 * share:.0f} %",
        _NONE if kid is None else f"{kid['mean']:.4f} ± {kid['spread']:.4f}{'†' if 'sister' in record else ''}",
    ]


def _verdict(scores: Mapping[str, Any], metric: str, *, shipped: str) -> list[str]:
    """Compare student and teacher where both were scored, so against real images and not the teacher's own."""
    if metric not in scores.get(TEACHER, {}) or metric not in scores.get(shipped, {}):
        return []
    student, interval = scores[shipped][metric]["mean"], scores[TEACHER]["intervals"][metric]
    where = f"lies {place_in_interval(student, interval)} its teacher's 95 % interval"
    return [f"{metric}: {shipped} {where}, {interval['low']:.4f} to {interval['high']:.4f}."]


def _sisters(scores: Mapping[str, Any], metric: str) -> list[str]:
    sisters = sorted({record["sister"] for record in scores.values() if "sister" in record})
    return [
        f"† {metric} is in features of a sister of {name}, which trained the student: flattering." for name in sisters
    ]


def _noisy(bench: Mapping[str, Any]) -> list[str]:
    """Say why speed-ups are not shown: other work disturbs all of a run alike, so each reason is named once."""
    names: dict[str, list[str]] = {}
    for name, entry in bench.items():
        if why := entry.get("withheld"):
            names.setdefault(why, []).append(name)
    return [f"no speed-up of {', '.join(which)}: {why}." for why, which in names.items()]


def _read_scores(out: Path) -> dict[str, Any]:
    return {path.stem: _read(path) for path in sorted((out / "scores").glob("*.json"))}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
