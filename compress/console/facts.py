"""Results of commands as people read them: a line a fact, units from the names of the keys, no long digits."""

from collections.abc import Mapping
from typing import Any

from compress.printable import printable_name

_UNITS = ("db", "bytes", "ms", "px")
_SPELLED = {"psnr": "PSNR", "ssim": "SSIM", "kid": "KID", "fd": "FD", "fid": "FID", "macs": "MACs"}


def format_facts(result: Mapping[str, Any]) -> str:
    """Format a command's result, one aligned `name: value` line an entry.

    Args:
        result: JSON-ready. Units are told by the keys, as everywhere: `size_bytes`, `psnr_db`, `latency_ms`.
    """
    labels = [f"{_format_name(key)}:" for key in result]
    width = max(map(len, labels), default=0)
    return "\n".join(
        f"{label:<{width}} {_format_value(key, value)}"
        for label, (key, value) in zip(labels, result.items(), strict=True)
    )


def format_bytes(count: float) -> str:
    """Format a size as MB or, below one, as kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _format_name(key: str) -> str:
    if key.isupper():
        # An operator's name in a file is a name, not words of ours.
        return key
    words = [word for word in key.split("_") if word not in _UNITS]
    return " ".join(_SPELLED.get(word, word) for word in words) or key


def _format_value(key: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case Mapping() if value:
            return ", ".join(
                f"{_format_name(str(name))} {_format_item(str(name), item)}" for name, item in value.items()
            )
        case list() | tuple() if value:
            return ", ".join(_format_item(key, item) for item in value)
        case Mapping() | list() | tuple():
            return "none"
        case int() | float():
            return _format_number(key, value)
        case _:
            # A name may hold a line feed; what is shown of it may not.
            return printable_name(str(value))


def _format_item(key: str, value: Any) -> str:
    """Format what stands within a line; in brackets where it has parts of its own."""
    text = _format_value(key, value)
    return f"({text})" if isinstance(value, Mapping | list | tuple) and len(value) > 1 else text


def _format_number(key: str, value: float) -> str:
    words = key.split("_")
    if "bytes" in words:
        return format_bytes(value)
    if "macs" in words:
        return f"{value / 1e9:.2f} G" if value >= 1e8 else f"{value / 1e6:.2f} M"
    if words[0] == "share":
        return f"{value:.1%}"
    unit = "".join(f" {word}" for word in words if word in ("ms", "px")) + (" dB" if "db" in words else "")
    if isinstance(value, int):
        return f"{value:,}{unit}"
    return f"{value:.2f}{unit}" if unit else f"{value:.4g}"
