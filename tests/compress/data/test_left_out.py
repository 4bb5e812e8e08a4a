"""Photos of a data set that nothing reads: counted in the folder of the domain that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from compress.data.config import Domain
from compress.data.folders import LAYOUT, list_photos
from compress.errors import UnusableData
from compress.images import write_png


@pytest.mark.parametrize("domain", ["A", "both"])
def test_photos_that_are_not_read_are_counted_in_the_folder_of_each_domain(domain: Domain, tmp_path: Path) -> None:
    for name in LAYOUT:
        (tmp_path / name).mkdir()
        for stem in ("b", "a"):
            write_png(tmp_path / name / f"{stem}.png", np.zeros((4, 4, 3), np.uint8))
    for number in range(3):
        (tmp_path / "trainA" / f"IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(UnusableData, match=r"3 of 5 photos in .*trainA would be left out(.|\n)*pip install pillow"):
        list_photos(tmp_path, domain, "train")
    assert len(list_photos(tmp_path, "B", "train")) == 2
