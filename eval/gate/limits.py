"""Limits on how much worse a candidate may be: `5%` of the baseline's value, or an absolute amount such as `0.002`."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from compress.errors import UsageError
from eval.config import GateConfig
from eval.gate.measurement import PSNR_CEILING_DB

NUMBERS = (
    "min_psnr",
    "max_psnr_drop",
    "max_worst_drop",
    "max_photo_ssim_drop",
    "max_colour_shift",
    "max_bytes",
    "max_latency_ratio",
)
"""Fields of the configuration that limit by a number; None is the default, or no limit."""
Number = TypeVar("Number", float, np.ndarray)

DEFAULT_PSNR_DROP_DB = 0.3
DEFAULT_COLOUR_SHIFT = 2.0
DEFAULT_WORST_DROP_DB = 2.5
"""Default of `--max-worst-drop`, which a candidate whose pictures all changed may exceed, see `check_worst_drop`. Of a
student of horse2zebra, 100 pictures, its int8 export's worst fall by 0.2 to 1.8 dB; ten with two black patches of a
sixteenth of the side by 5.3 dB or more, five black ones by 6.6 dB or more, whichever they are."""
DEFAULT_PHOTO_SSIM_DROP = 0.05
"""Default of `--max-photo-ssim-drop`. The same student's int8 export: 0.003; another student of half its width: 0.034
from one to the other; blurred by 1 pixel 0.055, by 2 pixels 0.2; moved aside by 2 pixels 0.41; mirrored 0.56."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest increase that is allowed."""

    amount: float
    """Fraction of the baseline's value where relative, else in the metric's unit; 0 or more."""
    relative: bool
    text: str
    """The limit as the user wrote it."""

    def allowed(self, baseline: Number) -> Number | float:
        """Return the increase over a baseline, or over each of many, that this allows, in the metric's unit."""
        return self.amount * baseline if self.relative else self.amount


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Every limit of a gate, parsed and checked; None is no limit."""

    fid: Limit
    kid: Limit | None
    min_psnr: float | None
    psnr_drop: float
    worst_drop: float | None
    """None is the default, which depends on the candidate."""
    photo_ssim_drop: float
    colour_shift: float
    max_bytes: int | None
    latency_ratio: float | None


def parse_limits(config: GateConfig) -> Limits:
    """Parse the limits of a configuration, before any work is spent.

    Raises:
        UsageError: If one is negative, not a number or out of reach, by its flag and value.
    """
    for flag in NUMBERS:
        value = getattr(config, flag)
        if value is not None:
            _require_limit(value, flag, str(value))
    if config.min_psnr is not None and config.min_psnr > PSNR_CEILING_DB:
        raise UsageError(
            f"{_flag('min_psnr')} {config.min_psnr:g} cannot be met: a PSNR above {PSNR_CEILING_DB:.1f} dB, less error "
            "than rounding to 8 bits, counts as that much. Pass a lower one."
        )
    return Limits(
        fid=parse_limit(config.max_fid_increase, "max_fid_increase"),
        kid=None if config.max_kid_increase is None else parse_limit(config.max_kid_increase, "max_kid_increase"),
        min_psnr=config.min_psnr,
        psnr_drop=DEFAULT_PSNR_DROP_DB if config.max_psnr_drop is None else config.max_psnr_drop,
        worst_drop=config.max_worst_drop,
        photo_ssim_drop=DEFAULT_PHOTO_SSIM_DROP if config.max_photo_ssim_drop is None else config.max_photo_ssim_drop,
        colour_shift=DEFAULT_COLOUR_SHIFT if config.max_colour_shift is None else config.max_colour_shift,
        max_bytes=config.max_bytes,
        latency_ratio=config.max_latency_ratio,
    )


def parse_limit(text: str, field: str) -> Limit:
    """Parse `5%` or `0.002`.

    Args:
        text: The limit as the user wrote it.
        field: The configuration's field, for the error.

    Raises:
        UsageError: If it is neither, or negative.
    """
    relative = text.endswith("%")
    try:
        amount = float(text.removesuffix("%"))
    except ValueError:
        amount = math.nan
    _require_limit(amount, field, text)
    return Limit(amount=amount / 100 if relative else amount, relative=relative, text=text)


def _require_limit(amount: float, field: str, text: str) -> None:
    if not (math.isfinite(amount) and amount >= 0):
        percent = ", such as 5% or 0.002" if field in ("max_fid_increase", "max_kid_increase") else ""
        raise UsageError(f"{_flag(field)} {text!r} is no limit; expected a number of 0 or more{percent}.")


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")
