"""Paths of remote storage: what `Path` makes of them is told apart, and written as people write it."""

from pathlib import Path

import pytest

from compress.errors import UnusableData, UsageError
from compress.files.apart import split_paths
from compress.files.atomic import refuse_existing
from compress.files.remote import is_remote, to_url
from compress.images import list_images


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/photos/a.png", "gs://bucket", "memory://x", "hf+x://a/b", "file:///photos/a", "local:///photos"],
)
def test_a_url_is_remote_and_keeps_its_slashes(url: str):
    assert is_remote(Path(url))
    assert to_url(Path(url)) == url
    assert to_url(Path(url) / "b.png") == f"{url}/b.png"


@pytest.mark.parametrize("path", ["photos", "/data/s3", "C:/photos", "a:b/c", "S3/x", "s3:x", "../s3"])
def test_other_paths_are_those_of_this_machine(path: str):
    assert not is_remote(Path(path))
    assert to_url(Path(path)) == str(Path(path))


def test_a_remote_path_is_neither_locked_nor_kept_apart():
    arguments = {"out": Path("s3://bucket/out"), "cache": Path("gs://b/c"), "images": Path("s3://bucket/in")}
    assert split_paths(arguments) == ([], [], [])


def test_a_command_without_workers_says_which_ones_read_there():
    with pytest.raises(UnusableData, match=r"s3://b/in is no place of this machine.*--workers or --cluster"):
        list_images(Path("s3://b/in"))
    with pytest.raises(UsageError, match=r"s3://b/out is no place of this machine"):
        refuse_existing(Path("s3://b/out"), overwrite=True)
