"""Arrays on disk: their room is taken before they are filled."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from compress.data.arrays import new_array


def test_an_array_takes_its_room_at_once(tmp_path: Path) -> None:
    pixels = new_array(tmp_path / "photos.npy", (8, 16, 16, 3))
    pixels[:] = 7
    assert (tmp_path / "photos.npy").stat().st_blocks * 512 >= pixels.nbytes
    np.testing.assert_array_equal(np.load(tmp_path / "photos.npy"), pixels)


def test_on_a_full_disk_it_is_an_error_with_the_files_name_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left") as raised:
        new_array(tmp_path / "photos.npy", (8, 16, 16, 3))
    assert raised.value.filename == str(tmp_path / "photos.npy")
    assert list(tmp_path.iterdir()) == []
