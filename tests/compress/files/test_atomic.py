"""Atomic writing: whole or not at all, over nothing of somebody else's, and clean after a killed command."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.files import atomic
from compress.files.atomic import (
    atomic_dir,
    atomic_file,
    atomic_write_bytes,
    atomic_write_text,
    refuse_existing,
    replace_bytes,
)
from compress.files.ownership import MARKER
from compress.strict_json import seal_record

_OLD, _NEW = json.dumps(seal_record({"kid": 1})), json.dumps(seal_record({"kid": 2}))


def test_a_text_file_is_replaced_only_where_that_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    atomic_write_text(out, _OLD)
    with pytest.raises(UsageError, match="--overwrite"):
        atomic_write_text(out, _NEW)
    assert out.read_text() == _OLD
    atomic_write_text(out, _NEW, overwrite=True)
    assert out.read_text() == _NEW
    assert list(tmp_path.iterdir()) == [out]


def test_a_name_that_is_no_utf8_is_written_escaped(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    atomic_write_text(out, os.fsdecode(b"caf\xe9.png"))
    assert out.read_text() == "caf\\udce9.png"


def test_a_disk_that_fills_up_while_a_file_is_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "scores.json"
    atomic_write_text(out, _OLD)
    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write_text(out, _NEW, overwrite=True)
    with pytest.raises(OSError, match="No space left"):
        replace_bytes(out, b"new")
    assert out.read_text() == _OLD
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    "name", ["photo.jpg", "teacher.h5", "net.keras", "notes.txt", "page.html", "package.json", "chart.png"]
)
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    out.write_text('{"name": "mine of PocketGAN", "schema": "a"}')
    with pytest.raises(UsageError, match=rf"{name} was not written by this tool.*Pass another"):
        atomic_write_bytes(out, b"new", overwrite=True)
    assert out.read_text() == '{"name": "mine of PocketGAN", "schema": "a"}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scores.json", json.dumps(seal_record({"kid": 1}))),
        ("baseline.json", '{"schema": 1, "kind": "host", "models": []}'),
        ("report.html", '<meta name="generator" content="PocketGAN">'),
        ("empty.txt", ""),
    ],
)
def test_a_file_that_this_tool_wrote_is_replaced(tmp_path: Path, name: str, content: str) -> None:
    out = tmp_path / name
    out.write_text(content)
    atomic_write_bytes(out, b"new", overwrite=True)
    assert out.read_bytes() == b"new"


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "me.jpg").write_bytes(b"jpg")
    with pytest.raises(UsageError, match=rf"no file {MARKER} in it"), atomic_dir(out, overwrite=True):
        pass
    assert (out / "me.jpg").read_bytes() == b"jpg"


def test_a_link_to_nothing_is_somebody_elses(tmp_path: Path) -> None:
    out = tmp_path / "student"
    out.symlink_to(tmp_path / "unmounted")
    with pytest.raises(UsageError, match="was not written by this tool"):
        refuse_existing(out, overwrite=True)


def test_a_folder_that_this_tool_wrote_is_replaced_through_a_link_to_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    with atomic_dir(elsewhere) as scratch:
        (scratch / "old").touch()
    out = tmp_path / "out"
    out.symlink_to(elsewhere)
    with atomic_dir(out, overwrite=True) as scratch:
        (scratch / "new").touch()
    assert (out / "new").exists()
    assert not out.is_symlink()
    assert (elsewhere / "old").exists()


def test_what_a_killed_command_left_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "images"
    for name in (".images.partial-abc", ".images.retired-def", ".images.partial-file"):
        (tmp_path / name).mkdir()
    (tmp_path / ".other.partial-abc").mkdir()
    with atomic_dir(out) as scratch:
        (scratch / "1.png").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.partial-abc", "images"]


def test_an_output_that_was_stepping_aside_when_its_command_was_killed_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "images"
    with atomic_dir(out) as scratch:
        (scratch / "old.png").touch()
    retired = tmp_path / ".images.retired-abc"
    retired.mkdir()
    out.rename(retired / "images")
    with pytest.raises(UsageError, match="exists already"), atomic_dir(out):
        pass
    assert (out / "old.png").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_what_somebody_put_into_a_folder_of_ours_is_named_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "images"
    with atomic_dir(out) as scratch:
        (scratch / "1.png").touch()
    (out / ".DS_Store").touch()
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes/mine\.txt, which this tool did not write"):
        refuse_existing(out, overwrite=True)
    (out / "notes" / "mine.txt").unlink()
    refuse_existing(out, overwrite=True)


def test_an_output_that_is_the_current_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "images"
    with atomic_dir(out) as scratch:
        (scratch / "old.png").touch()
    for name in ("../images", "."):
        monkeypatch.chdir(out)
        with atomic_dir(Path(name), overwrite=True) as scratch:
            (scratch / "new.png").touch()
        assert [path.name for path in out.glob("[!.]*")] == ["new.png"]
        assert list(tmp_path.iterdir()) == [out]


def test_an_output_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="has no name"), atomic_dir(Path("/"), overwrite=True):
        pass


def _replace_while(out: Path, overwrite: bool, happens: Callable[[], object]) -> None:
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / "2.png").touch()
        happens()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_appears_in_the_place_while_the_output_is_made_is_kept(tmp_path: Path, overwrite: bool) -> None:
    def put() -> None:
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="images"):
        _replace_while(tmp_path / "images", overwrite, put)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "images", "images/mine.txt",
    ]  # fmt: skip


def test_a_note_that_is_put_into_an_output_while_it_is_made_anew_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "images"
    with atomic_dir(out) as scratch:
        (scratch / "1.png").touch()
    with pytest.raises(UsageError, match="did not write"):
        _replace_while(out, True, lambda: (out / "mine.txt").write_text("mine"))
    assert sorted(path.name for path in out.iterdir()) == [".pocketgan", "1.png", "mine.txt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_appears_in_the_place_while_the_output_is_made_is_kept(tmp_path: Path, overwrite: bool) -> None:
    out = tmp_path / "chart.png"

    def write() -> None:
        with atomic_file(out, overwrite=overwrite) as partial:
            partial.write_bytes(b"ours")
            out.write_bytes(b"mine")

    with pytest.raises(UsageError, match=r"chart\.png"):
        write()
    assert out.read_bytes() == b"mine"
