"""Kept results: what comes back is what was kept, or nothing, however the file was damaged."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.cache.store import Damaged, Store

CONTENT = bytes(range(256)) * 10


def content_of(path: Path) -> bytes:
    """Read what was kept as a format with an end of its own is read."""
    return path.read_bytes()[: len(CONTENT)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "cache")
    kept.keep("one", CONTENT)
    return kept


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a changed bit": changed,
    "cut at its start": lambda path: path.write_bytes(path.read_bytes()[1:]),
    "another's seal": lambda path: path.write_bytes(CONTENT[::-1] + path.read_bytes()[len(CONTENT) :]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nothing")),
}


def test_a_kept_result_comes_back(store: Store) -> None:
    assert store.load("one", content_of) == CONTENT
    assert store.load("two", content_of) is None
    assert [path.name for path in (store.folder or Path()).iterdir()] == ["one"]


def test_without_a_folder_nothing_is_kept() -> None:
    store = Store(None)
    store.keep("one", CONTENT)
    assert store.load("one", content_of) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_told_by_its_path(damage: str, store: Store, tmp_path: Path) -> None:
    DAMAGES[damage](tmp_path / "cache" / "one")
    with pytest.raises(Damaged, match="cache/one: "):
        store.load("one", content_of)


def test_whatever_reading_raises_says_that_a_result_is_damaged(store: Store) -> None:
    def trip(_: Path) -> bytes:
        raise RecursionError("a parser that tripped")

    with pytest.raises(Damaged, match="cache/one: a parser that tripped"):
        store.load("one", trip)


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "a folder"])
def test_a_damaged_result_is_replaced(damage: str, store: Store, tmp_path: Path) -> None:
    DAMAGES[damage](tmp_path / "cache" / "one")
    store.keep("one", CONTENT)
    assert store.load("one", content_of) == CONTENT


def test_a_result_of_an_earlier_version_has_no_seal_and_is_taken(store: Store, tmp_path: Path) -> None:
    (tmp_path / "cache" / "old").write_bytes(CONTENT)
    assert store.load("old", content_of) == CONTENT


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    for name in (".one.png.partial-abc", "two.4711.partial"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (0, 0))
    (folder / ".three.png.partial-def").write_bytes(b"half")
    Store(folder).keep("four", CONTENT)
    assert sorted(path.name for path in folder.iterdir()) == [".three.png.partial-def", "four"]


def test_processes_of_one_number_write_the_same_name_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two machines that share a folder: neither names its unfinished file after its process."""
    seen: list[Path] = []
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(tmp_path.glob(".one.partial-*")))
    for _ in range(2):
        Store(tmp_path).keep("one", CONTENT)
    assert len(set(seen)) == len(seen) == 2
    assert not any("4711" in path.name for path in seen)


def test_using_a_result_is_noted_and_changes_nothing_else(store: Store, tmp_path: Path) -> None:
    os.utime(tmp_path / "cache" / "one", (0, 0))
    store.load("one", content_of)
    status = (tmp_path / "cache" / "one").stat()
    assert time.time() - status.st_atime < 60
    assert status.st_mtime == 0
