"""Starters: small trained students that others start from, by `compress distill --init starter:NAME`.

Each is a `.keras` file in half precision in this folder, as `compress export keras` writes it.
"""

from pathlib import Path

from compress.errors import UsageError

PREFIX = "starter:"
FOLDER = Path(__file__).parent


def find_starter(init: str) -> Path:
    """Return the file of a starter.

    Args:
        init: `starter:NAME`.

    Raises:
        UsageError: If there is no starter of that name.
    """
    name = init.removeprefix(PREFIX)
    known = {path.stem: path for path in sorted(FOLDER.glob("*.keras"))}
    if name not in known:
        names = ", ".join(PREFIX + known_name for known_name in known) or "no starter yet"
        raise UsageError(f"init = {init}: there is no starter {name!r}; there is {names}. A path starts from a file.")
    return known[name]
