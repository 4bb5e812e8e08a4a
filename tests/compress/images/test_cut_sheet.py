"""Contact sheets cut into their images again."""

import numpy as np
import pytest

from compress.images import contact_sheet
from compress.images.sheet import cut_sheet


@pytest.mark.parametrize(("rows", "columns", "side"), [(1, 3, 8), (6, 3, 32), (2, 4, 5)])
def test_a_sheet_is_cut_into_the_images_that_it_was_made_of(rows: int, columns: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (rows, columns, side, side, 3), dtype=np.uint8)
    sheet = contact_sheet([list(row) for row in images], columns=[f"column {number}" for number in range(columns)])
    assert np.array_equal(np.array(cut_sheet(sheet, columns=columns)), images)


@pytest.mark.parametrize("shape", [(50, 51, 3), (10, 52, 3), (61, 52, 3)])
def test_another_picture_is_no_sheet(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="3 square columns"):
        cut_sheet(np.zeros(shape, np.uint8), columns=3)
