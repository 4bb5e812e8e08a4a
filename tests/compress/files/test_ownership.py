"""What this tool wrote in a folder, apart from what was put there since."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.artifact import file_fingerprint
from compress.files.atomic import atomic_dir
from compress.files.ownership import MARKER, find_foreign, fingerprint_written, is_ours


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of this tool, with a file and a folder in it."""
    with atomic_dir(tmp_path / "student") as scratch:
        (scratch / "model").write_text("weights")
        (scratch / "package").mkdir()
        (scratch / "package" / "data").write_text("data")
    return tmp_path / "student"


def test_what_others_put_into_a_folder_does_not_change_what_was_written(written: Path) -> None:
    before = fingerprint_written(written)
    assert before == file_fingerprint(written)
    (written / ".DS_Store").touch()
    (written / "note.txt").write_text("the best one")
    (written / "package" / "note.txt").write_text("mine")
    assert fingerprint_written(written) == before
    assert find_foreign(written) == ["note.txt", "package/note.txt"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model").write_text("torn"),
        lambda folder: (folder / "model").unlink(),
        lambda folder: (folder / "package" / "data").rename(folder / "package" / "moved"),
        lambda folder: (folder / MARKER).unlink(),
        lambda folder: (folder / MARKER).write_text("{"),
    ],
)
def test_a_member_that_is_changed_or_gone_changes_it(written: Path, damage: Callable[[Path], object]) -> None:
    before = fingerprint_written(written)
    damage(written)
    assert fingerprint_written(written) != before


def test_a_file_and_an_unmarked_folder_are_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert fingerprint_written(tmp_path / "a") == file_fingerprint(tmp_path / "a")
    before = fingerprint_written(tmp_path)
    assert before == file_fingerprint(tmp_path)
    (tmp_path / "b").write_text("b")
    assert fingerprint_written(tmp_path) != before


def test_a_marker_that_names_files_elsewhere_has_none_of_them_read(written: Path) -> None:
    (written.parent / "secret").write_text("secret")
    for name in ("../secret", str(written.parent / "secret")):
        (written / MARKER).write_text(f'{{"members": ["model", "{name}"]}}')
        before = fingerprint_written(written)
        (written.parent / "secret").write_text(f"changed {name}")
        assert fingerprint_written(written) == before


def test_a_link_to_a_folder_is_somebodys_too(written: Path) -> None:
    os.symlink(written.parent, written / "photos")
    assert find_foreign(written) == ["photos"]


def test_in_an_artifact_that_was_copied_without_its_marker_what_is_no_artifacts_is_somebodys(tmp_path: Path) -> None:
    manifest = {"schema": 1, "stage": "distill", "format": "keras", "cost": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for name in ("model.keras", "samples.png", "training.json"):
        (tmp_path / name).touch()
    (tmp_path / "model.mlpackage").mkdir()
    (tmp_path / "model.mlpackage" / "Manifest.json").touch()
    assert is_ours(tmp_path)
    assert find_foreign(tmp_path) == []
    (tmp_path / "notes.txt").write_text("mine")
    assert find_foreign(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "._1.png"])
def test_a_folder_that_somebody_has_only_looked_at_is_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).touch()
    assert is_ours(tmp_path / "out")
    with atomic_dir(tmp_path / "out", overwrite=True) as scratch:
        (scratch / "1.png").touch()
    (tmp_path / "out" / name).touch()
    assert find_foreign(tmp_path / "out") == []
    (tmp_path / "out" / "mine.txt").touch()
    assert find_foreign(tmp_path / "out") == ["mine.txt"]


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


_INDEX = _box(b"moov", b"comment\0PocketGAN")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(_box(b"ftyp", b"isom") + _box(b"mdat", b"0" * 99) + _INDEX, True, id="index at the end"),
        pytest.param(
            (1).to_bytes(4, "big") + b"mdat" + (24).to_bytes(8, "big") + b"01234567" + _INDEX, True, id="long"
        ),
        pytest.param(_box(b"mdat", b"PocketGAN") + _box(b"moov", b"comment"), False, id="in the pictures alone"),
        pytest.param(_box(b"mdat", b"0" * 9), False, id="no index"),
        pytest.param(_INDEX[:-3], False, id="torn"),
        pytest.param((0).to_bytes(4, "big") + b"mdat" + _INDEX, False, id="a box without an end"),
        pytest.param(b"moov", False, id="short"),
        pytest.param(b"", True, id="empty"),
    ],
)
def test_a_film_is_ours_by_what_its_index_says(content: bytes, expected: bool, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(content)
    assert is_ours(film) == expected
