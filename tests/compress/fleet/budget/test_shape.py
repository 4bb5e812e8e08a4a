"""What a recipe ships, read from its text."""

import pytest

from compress.errors import UsageError
from compress.fleet.budget.shape import read_shape


def test_the_shape_is_the_students_own() -> None:
    shape = read_shape(
        '[distill]\nwidth = 24\nfamily = "unet"\nimage_size_px = 64\nsteps = 5\n[export]\nio_type = "uint8"'
    )
    assert (shape.student.width, shape.student.family, shape.student.image_size_px) == (24, "unet", 64)
    assert (shape.precision, shape.io_type, shape.threads) == ("int8", "uint8", 1)
    assert shape.student.kernel_size == 5


@pytest.mark.parametrize("changed", ["steps = 9", "seed = 3", "l1_weight = 0.5", "kernel_size = 3"])
def test_what_changes_no_shape_leaves_the_key(changed: str) -> None:
    assert read_shape(f"[distill]\n{changed}").key == read_shape("[distill]").key


@pytest.mark.parametrize(
    "changed",
    [
        "[distill]\nwidth = 24",
        "[distill]\ncontext = false",
        "[distill]\nimage_size_px = 128",
        '[export]\nprecision = "fp16"',
        '[export]\nio_type = "uint8"',
        "[measure]\nthreads = 2",
    ],
)
def test_what_changes_the_file_or_its_time_changes_the_key(changed: str) -> None:
    assert read_shape(changed).key != read_shape("").key


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(UsageError, match="widht"):
        read_shape("[distill]\nwidht = 24")
