"""Rows of the table of students, and a verdict on each student."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.students.commands import INPUTS
from benchmarks.students.inputs import Model
from compress.artifact import Cost
from compress.run.summary import place_in_interval

BUDGETS_BYTES = (250_000, 100_000)
"""Budgets that the size of a student's file is compared with."""


def build_rows(
    models: Sequence[Model],
    costs: Mapping[str, Cost],
    bench: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Build a row of all measures for each model.

    Args:
        models: The baseline first.
        costs: Costs of the models' exports, by `Model.key`.
        bench: The record of `bench_host`, its entries named by `Model.key`.
        scores: The records of `compress eval score`, by `Model.key` or `INPUTS`; one may be missing.

    Returns:
        JSON-ready, the untouched inputs' first. A row has `name` and `kind`; of a model `generator`, `precision`,
        `size_bytes`, `times_smaller`, `params`, `macs`, `latency_ms`, `speedup`, `noise` and `withheld`; where it was
        scored the distances under the names that the scores give them, each a `mean` or `value` with the bounds `low`
        and `high` of its 95 % interval; `sister`, the network that trained it, where the one that scores is a sister of
        that; and where known `teacher_psnr_db`, `teacher_ssim` and `truth_psnr_db`, means over the images.
    """
    entries = {entry["name"]: entry for entry in bench["entries"]}
    largest = entries[models[0].key]["size_bytes"]
    rows: list[dict[str, Any]] = [{"name": INPUTS, "kind": "control", **_image_measures(scores[INPUTS])}]
    for model in models:
        entry, cost = entries[model.key], costs[model.key]
        rows.append(
            {
                "name": model.name,
                "kind": model.kind,
                "generator": model.generator,
                "precision": model.precision,
                "size_bytes": entry["size_bytes"],
                "times_smaller": largest / entry["size_bytes"],
                "params": cost.params,
                "macs": cost.macs,
                **{key: entry[key] for key in ("latency_ms", "speedup", "noise", "withheld")},
                **_image_measures(scores.get(model.key, {})),
            }
        )
    return rows


def metric_names(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the scores' distances, the kernel distance first: `kid_…` and `fd_…`, or `kid` and `fid`."""
    return sorted(scores[INPUTS]["intervals"], key=lambda name: not _is_kernel_distance(name))


def build_verdicts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Compare each int8 student with its teacher and with the budgets.

    Returns:
        JSON-ready: `name`; `kid`, the place of its kernel distance in the 95 % interval of the teacher in float, None
        where that was not scored; `speedup` over that teacher, None where it is withheld; `size_bytes`; and
        `within_bytes`, by budget in bytes whether it is met.
    """
    teacher = next(row for row in rows if row["kind"] == "teacher")
    metric = next((key for key in teacher if _is_kernel_distance(key)), None)
    return [
        {
            "name": row["name"],
            "kid": None if metric is None else place_in_interval(row[metric]["mean"], teacher[metric]),
            "speedup": None if row["withheld"] else row["speedup"],
            "size_bytes": row["size_bytes"],
            "within_bytes": {str(budget): row["size_bytes"] <= budget for budget in BUDGETS_BYTES},
        }
        for row in rows
        if row["kind"] == "student" and row["precision"] == "int8"
    ]


def _image_measures(score: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"sister": score["sister"]} if "sister" in score else {}
    for name, interval in score.get("intervals", {}).items():
        value = {"mean": score[name]["mean"]} if _is_kernel_distance(name) else {"value": score[name]}
        row[name] = value | {"low": interval["low"], "high": interval["high"]}
    for key, other, measure in (
        ("teacher_psnr_db", "similarity", "psnr_db"),
        ("teacher_ssim", "similarity", "ssim"),
        ("truth_psnr_db", "truth", "psnr_db"),
    ):
        # Images that equal what they are compared with have no PSNR.
        summary = score.get(other, {}).get(measure)
        if summary is not None:
            row[key] = summary["mean"]
    return row


def _is_kernel_distance(name: str) -> bool:
    return name.partition("_")[0] == "kid"
