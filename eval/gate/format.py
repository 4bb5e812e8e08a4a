"""Checks in words and cells, shared by the terminal, the summary and the JUnit file."""

from eval.gate.verdict import Check

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


def cells(check: Check) -> tuple[str, ...]:
    """A row under `HEADINGS`."""
    return (
        check.name,
        check.metric + (f" ({check.unit})" if check.unit else ""),
        _NONE if check.baseline is None else number(check.baseline),
        number(check.candidate),
        _NONE if check.difference is None else signed(check.difference),
        _NONE if check.interval is None else _range(check),
        _bound(check),
        _NONE if check.smallest_visible is None else number(check.smallest_visible),
        check.verdict,
    )


def sentence(check: Check) -> str:
    """What was measured, what was allowed, what follows."""
    unit = f" {check.unit}" if check.unit else ""
    spread = "" if check.interval is None else f" (95 % interval {_range(check)})"
    flag = f"--{check.name.replace('_', '-')} {check.limit_text}"
    if check.baseline is None or check.difference is None:
        found = f"{check.metric} is {number(check.candidate)}{unit}{spread}"
        allowed = f"at {'most' if check.worse == 'higher' else 'least'} {number(check.limit)}{unit}"
    else:
        found = (
            f"{check.metric} went from {number(check.baseline)} to {number(check.candidate)}{unit}, "
            f"by {signed(check.difference)}{spread}"
        )
        allowed = f"{signed(check.limit)}{unit}"
    return f"{check.verdict}: {found}; {flag} allows {allowed}."


def power_note(check: Check) -> str | None:
    """How small a change for the worse a check finds with this many images; None where nothing is uncertain."""
    if check.smallest_visible is None:
        return None
    beyond = number(check.smallest_visible) + (f" {check.unit}" if check.unit else "")
    # A share of a distance says something, unless an unbiased one fell below 0; one of decibels or levels does not.
    if not check.unit and check.baseline is not None and check.baseline > 0:
        beyond += f" ({check.smallest_visible / check.baseline:.1%} of the baseline's)"
    return f"{check.metric} ({check.name}): a true change that goes {beyond} beyond the limit is found in 4 of 5 cases."


def number(value: float) -> str:
    """With four significant digits, whole numbers whole."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def signed(value: float) -> str:
    """As `number`, with its sign."""
    return f"+{number(value)}" if value >= 0 else number(value)


def _range(check: Check) -> str:
    if check.interval is None:
        return _NONE
    form = number if check.difference is None else signed
    return f"{form(check.interval.low)} to {form(check.interval.high)}"


def _bound(check: Check) -> str:
    form = number if check.difference is None else signed
    return f"{form(check.limit)} ({check.limit_text})" if check.limit_text.endswith("%") else form(check.limit)
