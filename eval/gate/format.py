"""Checks as sentences and table cells, for the terminal, the summary, the JUnit file and reports."""

from eval.gate.verdict import LimitCheck

HEADINGS = (
    "check",
    "metric",
    "baseline",
    "candidate",
    "difference",
    "95 % interval",
    "limit",
    "smallest visible",
    "verdict",
)
_NONE = "–"


def format_cells(check: LimitCheck) -> tuple[str, ...]:
    """Format a check as a row under `HEADINGS`."""
    return (
        check.name,
        check.metric + (f" ({check.unit})" if check.unit else ""),
        _NONE if check.baseline is None else format_number(check.baseline),
        format_number(check.candidate),
        _NONE if check.difference is None else format_signed(check.difference),
        _NONE if check.interval is None else _format_interval(check),
        _format_limit(check),
        _NONE if check.smallest_visible is None else format_number(check.smallest_visible),
        check.verdict,
    )


def format_sentence(check: LimitCheck) -> str:
    """Say in one sentence the verdict, what was measured and what is allowed."""
    unit = f" {check.unit}" if check.unit else ""
    spread = "" if check.interval is None else f" (95 % interval {_format_interval(check)})"
    flag = f"--{check.name.replace('_', '-')} {check.limit_text}"
    if check.baseline is None or check.difference is None:
        found = f"{check.metric} is {format_number(check.candidate)}{unit}{spread}"
        allowed = f"at {'most' if check.worse == 'higher' else 'least'} {format_number(check.limit)}{unit}"
    else:
        found = (
            f"{check.metric} went from {format_number(check.baseline)} to {format_number(check.candidate)}{unit}, "
            f"by {format_signed(check.difference)}{spread}"
        )
        allowed = f"{format_signed(check.limit)}{unit}"
    return f"{check.verdict}: {found}; {flag} allows {allowed}."


def format_power(check: LimitCheck) -> str | None:
    """Say how small a change for the worse a check finds with this many images; None of an exact number."""
    if check.smallest_visible is None:
        return None
    beyond = format_number(check.smallest_visible) + (f" {check.unit}" if check.unit else "")
    # A share of a distance says something, unless an unbiased one fell below 0; one of decibels or levels does not.
    if not check.unit and check.baseline is not None and check.baseline > 0:
        beyond += f" ({check.smallest_visible / check.baseline:.1%} of the baseline's)"
    return f"{check.metric} ({check.name}): a true change that goes {beyond} beyond the limit is found in 4 of 5 cases."


def format_number(value: float) -> str:
    """Format a number with four significant digits, a whole one with all of its digits."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def format_signed(value: float) -> str:
    """Format a number as `format_number`, with its sign."""
    return f"+{format_number(value)}" if value >= 0 else format_number(value)


def _format_interval(check: LimitCheck) -> str:
    if check.interval is None:
        return _NONE
    form = format_number if check.difference is None else format_signed
    return f"{form(check.interval.low)} to {form(check.interval.high)}"


def _format_limit(check: LimitCheck) -> str:
    form = format_number if check.difference is None else format_signed
    return f"{form(check.limit)} ({check.limit_text})" if check.limit_text.endswith("%") else form(check.limit)
