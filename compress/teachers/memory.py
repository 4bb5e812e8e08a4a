"""Memory that a net needs for one picture, by the shapes of its tensors: known, and refused, before it is asked for."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from compress.errors import UnusableModel

FLOAT_BYTES = 4
SMALL_PICTURE_BYTES = 512 << 20
"""Bytes that a net may take for a picture of any size."""
BYTES_PER_PIXEL = 8 << 10
"""Bytes that it may take for each pixel of a larger one: a CycleGAN generator of 64 filters takes 1.5 kB."""
_MEMINFO = Path("/proc/meminfo")


def peak_live_bytes(
    steps: Iterable[tuple[Sequence[str], Sequence[str]]], bytes_of: Callable[[str], int], *, kept: Sequence[str]
) -> int:
    """Return the most bytes of tensors that are held at a time where each is freed after its last use.

    Args:
        steps: What each operation reads and writes, by name, in the order in which they run.
        bytes_of: Returns the size of a tensor.
        kept: Tensors that are held to the end.
    """
    ordered = list(steps)
    last_use = {name: number for number, (read, _) in enumerate(ordered) for name in read}
    held = {name: bytes_of(name) for read, _ in ordered[:1] for name in read}
    peak = total = sum(held.values())
    for number, (read, written) in enumerate(ordered):
        for name in written:
            if name not in held:
                held[name] = bytes_of(name)
                total += held[name]
        peak = max(peak, total)
        for name in {*read, *written}:
            if last_use.get(name, number) <= number and name not in kept:
                total -= held.pop(name, 0)
    return peak


def require_memory(needed_bytes: int, pixels: int) -> None:
    """Refuse a net that needs more memory for one picture than any generator, or more than this machine has.

    Args:
        needed_bytes: From `peak_live_bytes`.
        pixels: Height times width of the picture.

    Raises:
        UnusableModel: With both numbers.
    """
    allowed = most_bytes(pixels)
    if needed_bytes > allowed:
        raise UnusableModel(
            f"it needs {needed_bytes / 1e9:.1f} GB for a picture of {pixels} pixels, more than any generator "
            f"({allowed / 1e9:.1f} GB); the file is damaged."
        )
    available = available_bytes()
    if available is not None and needed_bytes > available:
        raise UnusableModel(
            f"it needs {needed_bytes / 1e9:.1f} GB for one picture, but this machine has {available / 1e9:.1f} GB left."
        )


def most_bytes(pixels: int) -> int:
    """Return the most bytes that any generator may need for a picture of so many pixels."""
    return max(SMALL_PICTURE_BYTES, BYTES_PER_PIXEL * pixels)


def available_bytes() -> int | None:
    """Return the memory that the system can still give, or None where it does not tell."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
