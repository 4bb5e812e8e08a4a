"""The checks of a gate: those that a limit asks for and the measurements allow; the others are named."""

from dataclasses import asdict, dataclass

import numpy as np

from compress.errors import UsageError
from eval.confidence import resample_counts
from eval.config import GateConfig
from eval.gate.latency import LatencyRatio
from eval.gate.limits import Limit, Limits
from eval.gate.measurement import CHANNELS, PSNR, Measurement
from eval.gate.verdict import (
    LimitCheck,
    check_increase,
    check_maximum,
    check_mean,
    check_paired_mean,
    choose_gravest,
)
from eval.score_key import metric_name


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
    return [Unchecked(name=name, why=why[name]) for name in ("max_psnr_drop",) if name in why]


def make_checks(
    limits: Limits, baseline: Measurement, candidate: Measurement, latency: LatencyRatio | None
) -> list[LimitCheck]:
    """Check every limit for which there is a measurement.

    Raises:
        UsageError: If a limit is relative to a baseline's value that is not above 0.
    """
    checks = [*_distance_checks(limits, baseline, candidate), *_psnr_checks(limits, baseline, candidate)]
    checks.append(_colour_check(limits.colour_shift, baseline, candidate))
    if limits.max_bytes is not None and candidate.size_bytes is not None:
        checks.append(
            check_maximum(
                "max_bytes", "size_bytes", "B", candidate=candidate.size_bytes, maximum=limits.max_bytes, found=None
            )
        )
    if limits.latency_ratio is not None and latency is not None:
        checks.append(
            check_maximum(
                "max_latency_ratio",
                "latency_ratio",
                "x",
                candidate=latency.ratio,
                maximum=limits.latency_ratio,
                found=latency.interval,
            )
        )
    return checks


def _find_missing(config: GateConfig, baseline_file: Measurement | None) -> dict[str, str]:
    why = {}
    if config.teacher is None:
        why["max_psnr_drop"] = "it needs --teacher, to whose images both are compared"
        if baseline_file is not None:
            why["min_psnr"] = "it needs --teacher, or a folder as --baseline: a baseline file holds no images"
    elif baseline_file is not None and PSNR not in baseline_file.paired:
        why["max_psnr_drop"] = f"{config.baseline} holds no PSNR; accept it anew with --teacher"
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
