"""Remote storage, here one in memory: listed by name, copied a shard at a time, written to; errors name its files."""

import logging
from pathlib import Path
from typing import Any

import fsspec
import pytest

from compress.errors import UnusableData, UsageError
from compress.fleet.shards import storage


def _write(**files: bytes) -> None:
    for name, content in files.items():
        fsspec.filesystem("memory").pipe_file(f"/bucket/{name.replace('__', '.').replace('_in_', '/')}", content)


def test_images_are_listed_by_name_and_all_else_is_told(bucket: Path, caplog: pytest.LogCaptureFixture):
    _write(b__png=b"2", a__jpg=b"1", notes__txt=b"", translation__json=b"{}", __hidden__png=b"", sub_in_c__png=b"")
    with caplog.at_level(logging.INFO):
        assert storage.list_images_anywhere(bucket) == [bucket / "a.jpg", bucket / "b.png"]
    assert "memory://bucket: 2 files that are no photos are left out" in caplog.text


def test_local_folders_are_listed_as_ever(tmp_path: Path):
    with pytest.raises(UnusableData, match="holds no image"):
        storage.list_images_anywhere(tmp_path)


def test_folders_without_images_and_none_at_all_are_refused(bucket: Path):
    with pytest.raises(UnusableData, match="memory://bucket is no folder"):
        storage.list_images_anywhere(bucket)
    _write(notes__txt=b"")
    with pytest.raises(UnusableData, match="memory://bucket holds no image"):
        storage.list_images_anywhere(bucket)
    _write(a__jpg=b"", b__psd=b"")
    with pytest.raises(UnusableData, match=r"1 of 2 photos in memory://bucket are of a kind .* first b\.psd"):
        storage.list_images_anywhere(bucket)


def test_copies_of_two_folders_keep_names_and_order(bucket: Path, tmp_path: Path):
    _write(x_in_a__png=b"1", y_in_a__png=b"2")
    (tmp_path / "a.png").write_bytes(b"3")
    wanted = [bucket / "y" / "a.png", tmp_path / "a.png", bucket / "x" / "a.png"]
    with storage.staged(wanted) as local:
        assert [path.read_bytes() for path in local.paths] == [b"2", b"3", b"1"]
        assert [path.name for path in local.paths] == ["a.png"] * 3
        assert local.paths[1] == tmp_path / "a.png"
        copies = local.paths[0]
    assert not copies.exists()


def test_local_files_are_not_copied(tmp_path: Path):
    with storage.staged([tmp_path / "a.png"]) as local:
        assert local.paths == [tmp_path / "a.png"]


def test_an_error_names_what_was_copied(bucket: Path):
    _write(a__png=b"1")
    with (
        pytest.raises(UnusableData, match=r"^memory://bucket/a\.png is broken$"),
        storage.staged([bucket / "a.png"]) as local,
    ):
        raise UnusableData(f"{local.paths[0]} is broken")


def test_many_files_pass_through_a_few_at_a_time(bucket: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(storage, "_AT_ONCE", 2)
    _write(**{f"{name}__png": name.encode() for name in "abcde"})
    here = [(path, path.read_bytes()) for path in storage.read_through([bucket / f"{name}.png" for name in "abcde"])]
    assert [content for _, content in here] == [b"a", b"b", b"c", b"d", b"e"]
    assert len({path.parent for path, _ in here}) == 3


def test_what_is_written_is_there(bucket: Path, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"1")
    assert not storage.exists(bucket / "out")
    storage.upload([tmp_path / "a.png"], bucket / "out")
    assert storage.exists(bucket / "out")
    assert storage.exists(bucket / "out" / "a.png")
    assert fsspec.filesystem("memory").cat("/bucket/out/a.png") == b"1"


@pytest.mark.parametrize(("url", "words"), [("s3://bucket/x", "s3fs"), ("gs://bucket/x", "gcsfs")])
def test_the_package_that_a_storage_needs_is_named(url: str, words: str, monkeypatch: pytest.MonkeyPatch):
    def lacks(name: str, **_: Any) -> None:
        raise ImportError(f"Please install {words}")

    monkeypatch.setattr(fsspec, "url_to_fs", lacks)
    with pytest.raises(UsageError, match=rf"{url} needs one more package \(Please install {words}\)"):
        storage.list_images_anywhere(Path(url))


def test_an_unknown_storage_is_said():
    with pytest.raises(UsageError, match=r"nowhere://x is in no storage that is known"):
        storage.list_images_anywhere(Path("nowhere://x"))
