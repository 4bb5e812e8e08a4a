"""Paths of remote storage, such as s3://bucket/photos: told from those of this machine, and written as URLs again."""

import re
from pathlib import Path

# `Path` makes one slash of two. One letter is a drive.
_REMOTE = re.compile(r"([a-z][a-z0-9+.-]+):/([^/].*)?")
# Protocols of URLs without a host: three slashes, of which `Path` makes one as well.
_WITHOUT_HOST = {"file", "local"}


def is_remote(path: Path) -> bool:
    """Return whether a path is that of remote storage: a protocol, `:` and a place, as `s3://bucket/photos`."""
    return _REMOTE.fullmatch(path.as_posix()) is not None


def to_url(path: Path) -> str:
    """Return a path as people wrote it: that of remote storage with both slashes, of `file:` with three."""
    found = _REMOTE.fullmatch(path.as_posix())
    if found is None:
        return str(path)
    protocol, place = found[1], found[2] or ""
    return f"{protocol}:///{place}" if protocol in _WITHOUT_HOST else f"{protocol}://{place}"


def explain_remote(path: Path) -> str:
    """Return what to do about a path of remote storage where only files of this machine are read and written."""
    return (
        f"{to_url(path)} is no place of this machine. Remote images are read, and pictures and features written there, "
        "by `compress translate` and `compress eval score` with --workers or --cluster alone."
    )
