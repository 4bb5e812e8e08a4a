"""Atomic writing: under a temporary name beside the destination, flushed to disk, then renamed.

A command that is killed leaves no half output, and a full disk leaves the old one whole. What a killed one left beside
its output is removed by the next that writes there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.errors import UsageError
from compress.files.locks import absolute, locked
from compress.files.ownership import MARKER, find_foreign, is_ours, mark_folder
from compress.files.remote import explain_remote, is_remote


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists, before any work is spent on it.

    Raises:
        UsageError: If `out` exists and `overwrite` is false, somebody else made it, or it is no place of this machine.
    """
    if is_remote(out):
        raise UsageError(explain_remote(out))
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise UsageError(f"{out} exists already. Pass --overwrite to replace it, or another --out.")
    if not is_ours(out):
        why = f"no file {MARKER} in it" if out.is_dir() else "nothing in it says so"
        raise UsageError(
            f"{out} was not written by this tool ({why}), and --overwrite replaces nothing else. Pass another --out, "
            "or remove it yourself."
        )
    if out.is_dir() and (foreign := find_foreign(out)):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise UsageError(
            f"{out} holds {foreign[0]}{more}, which this tool did not write and --overwrite would remove. Move it, or "
            "pass another --out."
        )


@contextmanager
def atomic_dir(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder atomically: yield a temporary one, renamed to `out` when the block ends, removed when it fails.

    Raises:
        UsageError: See `refuse_existing`; or if another command is writing `out`.
    """
    with _scratch_beside(out, overwrite=overwrite) as (place, scratch):
        yield scratch
        mark_folder(scratch)
        # mkdtemp makes a private directory; what the user asked for gets ordinary permissions.
        scratch.chmod(0o777 & ~_current_umask())
        _flush_to_disk(scratch)
        # Somebody may have put something there in the meantime.
        refuse_existing(out, overwrite=overwrite)
        _move_into_place(scratch, place)


@contextmanager
def atomic_file(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file atomically: yield a path of the same name elsewhere, to be written there, then renamed to `out`.

    Raises:
        UsageError: See `refuse_existing`; or if another command is writing `out`.
    """
    with _scratch_beside(out, overwrite=overwrite) as (place, scratch):
        partial = scratch / place.name
        yield partial
        _flush_to_disk(scratch)
        refuse_existing(out, overwrite=overwrite)
        partial.replace(place)


def atomic_write_text(out: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text file atomically, as UTF-8; see `atomic_write_bytes`."""
    # A name that is no UTF-8 arrives as surrogates, which a text file cannot hold.
    atomic_write_bytes(out, text.encode("utf-8", "backslashreplace"), overwrite=overwrite)


def atomic_write_bytes(out: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file atomically: under a temporary name beside its destination, flushed, then renamed.

    Raises:
        UsageError: See `refuse_existing`; or if another command is writing `out`.
    """
    with atomic_file(out, overwrite=overwrite) as partial:
        partial.write_bytes(content)


def replace_text(path: Path, text: str) -> None:
    """Write one of this tool's own files, in a folder of its own, atomically; see `replace_bytes`."""
    replace_bytes(path, text.encode("utf-8", "backslashreplace"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Write one of this tool's own files, in a folder of its own, atomically and whatever is there.

    Several processes may write the same name at once, as into a cache: each has a temporary name of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes a private file.
        partial.chmod(0o666 & ~_current_umask())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_leftovers(out: Path) -> None:
    """Remove what killed commands left beside an output whose lock is held; put back what was stepping aside.

    Args:
        out: The output; it may not exist.
    """
    retired = list(_beside(out, "retired"))
    for folder in retired:
        if not os.path.lexists(out) and os.path.lexists(folder / out.name):
            (folder / out.name).rename(out)
    for leftover in (*retired, *_beside(out, "partial")):
        remove(leftover)


def remove(path: Path) -> None:
    """Remove a file, or a folder and all in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(out: Path, what: str) -> Iterator[Path]:
    if out.parent.is_dir():
        yield from (path for path in out.parent.iterdir() if path.name.startswith(f".{out.name}.{what}-"))


@contextmanager
def _scratch_beside(out: Path, *, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Yield an output's absolute path, which stays right where the current folder is replaced, and a scratch folder."""
    place = absolute(out)
    with locked(place):
        remove_leftovers(place)
        refuse_existing(out, overwrite=overwrite)
        scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
        try:
            yield place, scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_to_disk(directory: Path) -> None:
    for member in [*directory.rglob("*"), directory]:
        descriptor = os.open(member, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_into_place(scratch: Path, out: Path) -> None:
    if not os.path.lexists(out):
        scratch.rename(out)
        return
    # A directory cannot be renamed over a full one: the old one steps aside first and goes only after.
    retired = Path(tempfile.mkdtemp(prefix=f".{out.name}.retired-", dir=out.parent)) / out.name
    out.rename(retired)
    try:
        scratch.rename(out)
    except BaseException:
        retired.rename(out)
        raise
    remove(retired)
    retired.parent.rmdir()
