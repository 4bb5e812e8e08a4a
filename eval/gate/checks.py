"""The checks of a gate: those that a limit asks for and the measurements allow; the others are named."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from compress.errors import UsageError
from eval.confidence import resample_counts
from eval.config import GateConfig
from eval.gate.latency import LatencyRatio
from eval.gate.limits import DEFAULT_WORST_DROP_DB, NUMBERS, Limit, Limits
from eval.gate.measurement import CHANNELS, PATCH, PHOTO_PATCH, PHOTO_SSIM, PSNR, Measurement
from eval.gate.verdict import (
    LimitCheck,
    check_cast,
    check_increase,
    check_maximum,
    check_mean,
    check_paired_mean,
    check_worst_drop,
    choose_gravest,
)
from eval.score_key import metric_name

_DEFAULTS = ("max_psnr_drop", "max_worst_drop", "max_photo_ssim_drop")
"""Limits that are checked unasked wherever they can be."""
_COSTS = ("max_bytes", "max_latency_ratio")
"""Limits on what a model costs, not on its images."""


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """A default limit that was not checked."""

    name: str
    """The configuration's field."""
    why: str

    def to_mapping(self) -> dict[str, str]:
        """Return the limit as JSON holds it."""
        return asdict(self)


def find_unchecked(config: GateConfig, baseline_file: Measurement | None) -> list[Unchecked]:
    """Find the limits that cannot be checked, before any work is spent.

    Args:
        config: The gate's configuration.
        baseline_file: Content of the baseline file; None where the baseline is a folder.

    Returns:
        Limits by default that cannot be checked.

    Raises:
        UsageError: If the user set one of them.
    """
    why = _find_missing(config, baseline_file)
    for name, reason in why.items():
        if getattr(config, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} cannot be checked: {reason}.")
    if config.bench is not None and config.max_latency_ratio is None:
        raise UsageError("--bench was given, but no --max-latency-ratio to hold it against.")
    return [Unchecked(name=name, why=why[name]) for name in _DEFAULTS if name in why]


def needs_photos(config: GateConfig, baseline_file: Measurement | None) -> bool:
    """Return whether images must be compared with the photos: where a limit asks for it, or nothing else is known."""
    without_teacher = config.teacher is None or (baseline_file is not None and PSNR not in baseline_file.paired)
    return without_teacher or config.max_photo_ssim_drop is not None


def make_checks(
    limits: Limits,
    baseline: Measurement,
    candidate: Measurement,
    latency: LatencyRatio | None,
    teacher_colours: np.ndarray | None = None,
) -> list[LimitCheck]:
    """Check every limit for which there is a measurement.

    Args:
        limits: The limits.
        baseline: The baseline's measurement.
        candidate: The candidate's, of the same images.
        latency: Their ratio; None where it was not measured.
        teacher_colours: Means of the teacher's images, `(3, images)`, in the order of `CHANNELS`; None without one.

    Raises:
        UsageError: If a limit is relative to a baseline's value that is not above 0.
    """
    checks = [
        *_distance_checks(limits, baseline, candidate),
        *_psnr_checks(limits, baseline, candidate),
        *_worst_checks(limits, baseline, candidate),
        *_photo_checks(limits, baseline, candidate),
    ]
    if teacher_colours is None:
        checks.append(_colour_check(limits.colour_shift, baseline, candidate))
    else:
        checks.append(_teacher_colour_check(limits.colour_shift, baseline, candidate, teacher_colours))
    if limits.max_bytes is not None and candidate.size_bytes is not None:
        size = candidate.size_bytes
        checks.append(
            check_maximum("max_bytes", "size_bytes", "B", candidate=size, maximum=limits.max_bytes, found=None)
        )
    if limits.latency_ratio is not None and latency is not None:
        ratio, maximum = latency.ratio, limits.latency_ratio
        name, found = "max_latency_ratio", latency.interval
        checks.append(check_maximum(name, "latency_ratio", "x", candidate=ratio, maximum=maximum, found=found))
    return checks


def require_checked(config: GateConfig, checks: Sequence[LimitCheck]) -> None:
    """Check that every limit that the user set was checked.

    Raises:
        UsageError: Naming one that was not.
    """
    made = {check.name for check in checks}
    for name in (*NUMBERS, "max_fid_increase", "max_kid_increase"):
        if getattr(config, name) is not None and name not in made:
            raise UsageError(f"--{name.replace('_', '-')} cannot be checked with what was given.")


def pass_quality(checks: Sequence[LimitCheck]) -> list[LimitCheck]:
    """Let every limit on quality pass: nothing is nearer to the teacher than its own images.

    A student may come out nearer to the real images than its teacher, or of other colours. Yet to be like the teacher
    is what it is made for, so such a candidate is not worse. The numbers stay as they were measured.
    """
    return [check if check.name in _COSTS else replace(check, verdict="pass") for check in checks]


def _find_missing(config: GateConfig, baseline_file: Measurement | None) -> dict[str, str]:
    why = {}
    paired = None if baseline_file is None else baseline_file.paired
    if config.teacher is None:
        why["max_psnr_drop"] = "it needs --teacher, to whose images both are compared"
        if paired is not None:
            why["min_psnr"] = "it needs --teacher, or a folder as --baseline: a baseline file holds no images"
    elif paired is not None and PSNR not in paired:
        why["max_psnr_drop"] = f"{config.baseline} holds no PSNR; accept it anew with --teacher"
    anew = f"{config.baseline} was written before photos were compared; accept it anew"
    if paired is not None and PHOTO_SSIM not in paired and needs_photos(config, baseline_file):
        why["max_photo_ssim_drop"] = anew
    if paired is not None and PHOTO_PATCH not in paired and (config.teacher is None or PSNR not in paired):
        why["max_worst_drop"] = anew
    if config.model is None:
        why["max_bytes"] = "it needs --model, the artifact or file to weigh"
    if config.bench is None:
        why["max_latency_ratio"] = "it needs --bench, what `compress bench host --json` printed"
    return why


def _distance_checks(limits: Limits, baseline: Measurement, candidate: Measurement) -> list[LimitCheck]:
    network = candidate.key["network"]
    wanted: list[tuple[str, str, Limit | None]] = [
        ("max_fid_increase", metric_name("fd", network), limits.fid),
        ("max_kid_increase", metric_name("kid", network), limits.kid),
    ]
    checks = []
    for name, metric, limit in wanted:
        if limit is None:
            continue
        before = baseline.distances[metric]
        # The unbiased kernel distance of two alike sets scatters around 0, and a fraction of that means nothing.
        if limit.relative and before.value <= 0:
            raise UsageError(
                f"--{name.replace('_', '-')} {limit.text} is relative, but the baseline's {metric} is "
                f"{before.value:g}; pass an absolute limit, such as 0.002."
            )
        checks.append(check_increase(name, metric, before, candidate.distances[metric], limit))
    return checks


def _psnr_checks(limits: Limits, baseline: Measurement, candidate: Measurement) -> list[LimitCheck]:
    if PSNR not in candidate.paired:
        return []
    counts = resample_counts(candidate.images, seed=candidate.key["seed"])
    values, checks = candidate.paired[PSNR], []
    if limits.min_psnr is not None:
        checks.append(
            check_mean("min_psnr", PSNR, "dB", candidate=values, counts=counts, limit=limits.min_psnr, worse="lower")
        )
    if PSNR in baseline.paired:
        checks.append(
            check_paired_mean(
                "max_psnr_drop",
                PSNR,
                "dB",
                baseline=baseline.paired[PSNR],
                candidate=values,
                counts=counts,
                limit=-limits.psnr_drop,
                worse="lower",
            )
        )
    return checks


def _worst_checks(limits: Limits, baseline: Measurement, candidate: Measurement) -> list[LimitCheck]:
    """Check the worst few pictures by the first of these that is known of both; old baseline files know no patches.

    Without a teacher the candidate's PSNR is that to the baseline's images, of which the baseline itself has none.
    """
    for metric in (PATCH, PSNR, PHOTO_PATCH):
        if metric in baseline.paired and metric in candidate.paired:
            check = check_worst_drop(
                "max_worst_drop",
                metric,
                baseline=baseline.paired[metric],
                candidate=candidate.paired[metric],
                limit=limits.worst_drop,
                default=DEFAULT_WORST_DROP_DB,
            )
            return [check]
    return []


def _photo_checks(limits: Limits, baseline: Measurement, candidate: Measurement) -> list[LimitCheck]:
    if PHOTO_SSIM not in candidate.paired or PHOTO_SSIM not in baseline.paired:
        return []
    check = check_paired_mean(
        "max_photo_ssim_drop",
        PHOTO_SSIM,
        "SSIM",
        baseline=baseline.paired[PHOTO_SSIM],
        candidate=candidate.paired[PHOTO_SSIM],
        counts=resample_counts(candidate.images, seed=candidate.key["seed"]),
        limit=-limits.photo_ssim_drop,
        worse="lower",
    )
    return [check]


def _teacher_colour_check(
    limit: float, baseline: Measurement, candidate: Measurement, teacher_colours: np.ndarray
) -> LimitCheck:
    """Check how far the images' means move away from the teacher's, in the channel that decides.

    Image by image, as `_colour_check`; and of all images together, since a cast of a few levels hardly shows beside
    what single images are off by.
    """
    counts = resample_counts(candidate.images, seed=candidate.key["seed"])
    checks = []
    for name, teacher in zip(CHANNELS, teacher_colours, strict=True):
        before, after = baseline.paired[name] - teacher, candidate.paired[name] - teacher
        checks += [
            check_paired_mean(
                "max_colour_shift",
                f"{name}_off_teacher",
                "levels",
                baseline=np.abs(before),
                candidate=np.abs(after),
                counts=counts,
                limit=limit,
                worse="higher",
            ),
            check_cast(
                "max_colour_shift", f"{name}_cast", baseline=before, candidate=after, counts=counts, limit=limit
            ),
        ]
    return choose_gravest(checks)


def _colour_check(limit: float, baseline: Measurement, candidate: Measurement) -> LimitCheck:
    """Check how far an image's mean moves, to either side, in the channel that decides.

    Image by image: a cast moves all of them alike, swapped channels each to another side.
    """
    counts = resample_counts(candidate.images, seed=candidate.key["seed"])
    return choose_gravest(
        check_mean(
            "max_colour_shift",
            f"{name}_shift",
            "levels",
            candidate=np.abs(candidate.paired[name] - baseline.paired[name]),
            counts=counts,
            limit=limit,
            worse="higher",
        )
        for name in CHANNELS
    )
