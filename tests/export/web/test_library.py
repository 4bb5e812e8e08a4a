"""Fetching LiteRT.js once, checked, with programs that stand in for npm."""

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.errors import UsageError
from export.web import library
from export.web.library import Package, load_library

NAME = "@litertjs/core"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive as npm packs one, which is the one that is pinned."""
    path = tmp_path / Package(NAME, "").archive_name
    with tarfile.open(path, "w:gz") as packed:
        for name, content in (("package/dist/index.js", b"export {};"), ("package/README.md", b"read me")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(library, "PACKAGES", (Package(NAME, f"sha512-{digest}"),))
    return path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program called npm before all others: a shell script, its last argument the folder to pack into."""
    folder = tmp_path / "bin"

    def make(script: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return make


def test_it_is_fetched_once(archive: Path, npm, tmp_path: Path) -> None:
    npm(f'echo "$2" >> "{tmp_path}/asked"; cp "{archive}" "$last"')
    cache = tmp_path / "cache"
    assert load_library(cache) == {"@litertjs/core/dist/index.js": b"export {};"}
    assert load_library(cache) == {"@litertjs/core/dist/index.js": b"export {};"}
    assert (tmp_path / "asked").read_text() == "@litertjs/core@2.5.3\n"
    assert [path.name for path in cache.iterdir()] == [archive.name]


def test_a_torn_archive_in_the_cache_is_fetched_anew(archive: Path, npm, tmp_path: Path) -> None:
    npm(f'cp "{archive}" "$last"')
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / archive.name).write_bytes(archive.read_bytes()[:20])
    load_library(cache)
    assert (cache / archive.name).read_bytes() == archive.read_bytes()


def test_another_archive_than_the_pinned_one_is_refused(archive: Path, npm, tmp_path: Path) -> None:
    npm(f'echo more | cat "{archive}" - > "$last/{archive.name}"')
    with pytest.raises(UsageError, match=r"npm fetched a @litertjs/core@2\.5\.3 of sha512-.*expected sha512-"):
        load_library(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_registry_out_of_reach_says_what_to_do(archive: Path, npm, tmp_path: Path) -> None:
    npm("echo getaddrinfo ENOTFOUND >&2; exit 1")
    with pytest.raises(UsageError, match=r"npm registry,\nor put litertjs-core-2\.5\.3\.tgz(.|\n)*ENOTFOUND"):
        load_library(tmp_path / "cache")


def test_npm_that_hangs_is_given_up(archive: Path, npm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm("exec sleep 60")
    monkeypatch.setattr(library, "FETCH_LIMIT_S", 0.2)
    with pytest.raises(UsageError, match=r"did not fetch @litertjs/core@2\.5\.3 within 0\.2 s"):
        load_library(tmp_path / "cache")


def test_without_npm_the_error_says_what_to_do(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"no npm is on PATH.*Install npm,\nor put litertjs-core-2\.5\.3\.tgz"):
        load_library(tmp_path / "cache")
