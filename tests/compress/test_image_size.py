"""The size that a model takes against the size that it is asked for."""

import pytest

from compress.errors import UsageError
from compress.image_size import require_size, resolve_size


@pytest.mark.parametrize("taken", [(64, 64), (None, None), (64, None)])
def test_a_size_that_fits_passes(taken: tuple[int | None, int | None]) -> None:
    require_size("g.h5", taken, (64, 64), advice="")
    assert resolve_size("g.h5", taken, 64) == (64, 64)


def test_another_size_is_refused_with_both_sizes_and_what_to_do() -> None:
    with pytest.raises(
        UsageError, match=r"^g\.h5 takes 64x64 images, but image_size_px = 32\. Pass another teacher\.$"
    ):
        require_size("g.h5", (64, 64), (32, 32), advice="Pass another teacher.")
    with pytest.raises(UsageError, match=r"takes 64xany images, but student takes 32x32\. "):
        require_size("g.h5", (64, None), (32, 32), asked="student takes 32x32", advice="")
    with pytest.raises(UsageError, match=r"takes 64x64 images, but image_size_px is 64x32"):
        resolve_size("g.h5", (64, 64), (64, 32))


def test_without_a_wish_the_models_own_size_holds() -> None:
    assert resolve_size("g.h5", (64, 48), None) == (64, 48)
    with pytest.raises(UsageError, match=r"g\.h5 takes images of any size\. Choose one with --image-size-px"):
        resolve_size("g.h5", (None, 48), None)
