"""Starting from an earlier student: every layer's weights, and no other shape."""

from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from compress import starters
from compress.artifact import file_fingerprint
from compress.distill.config import DistillConfig
from compress.distill.start.earlier import copy_weights, read_earlier
from compress.errors import UnusableModel, UsageError
from compress.models.pocket.config import Family, PocketConfig
from compress.models.pocket_generator import build_student


def _student(seed: int, **shape: object) -> keras.Model:
    """A student whose every weight has a value of its own."""
    student = build_student(PocketConfig(**{"image_size_px": 32, "width": 8, "blocks": 2, **shape}))  # pyright: ignore[reportArgumentType]
    random = np.random.default_rng(seed)
    student.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in student.get_weights()])
    return student


@pytest.mark.parametrize("family", get_args(Family))
def test_a_student_starts_with_all_weights_of_an_earlier_one_of_any_image_size(family: str, tmp_path: Path) -> None:
    earlier, student = _student(1, family=family, image_size_px=64), _student(2, family=family)
    earlier.save(tmp_path / "earlier.keras")
    copy_weights(read_earlier(str(tmp_path / "earlier.keras")), student)
    for one, other in zip(earlier.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"width": 12}, r"layer 1 of 21 \(\w+\) is Conv2D, kernel 4x4x3x4 there, expected Conv2D, kernel 4x4x3x6"),
        ({"kernel_size": 5}, r"is Conv2D, kernel 3x3x8x8 there, expected Conv2D, kernel 5x5x8x8"),
        ({"family": "separable"}, r"layer 1 of"),
        ({"blocks": 3}, r"expected Conv2D, kernel"),
        ({"context": False}, r"layer \d+ of \d+"),
    ],
)  # fmt: skip
def test_the_first_layer_that_differs_is_named(shape: dict[str, object], message: str, tmp_path: Path) -> None:
    _student(1).save(tmp_path / "earlier.keras")
    before = (student := _student(2, **shape)).get_weights()
    with pytest.raises(UsageError, match=message):
        copy_weights(read_earlier(str(tmp_path / "earlier.keras")), student)
    for one, other in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize(("there", "asked"), [(1, 2), (2, 1)])
def test_layers_that_are_missing_on_either_side_are_named(there: int, asked: int, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))

    def chain(count: int) -> keras.Model:
        features = image
        for _ in range(count):
            features = keras.layers.Conv2D(3, 1)(features)
        return keras.Model(image, features)

    chain(there).save(tmp_path / "earlier.keras")
    with pytest.raises(UsageError, match=r"layer 2 of .* missing"):
        copy_weights(read_earlier(str(tmp_path / "earlier.keras")), chain(asked))


def test_the_fingerprint_is_that_of_the_file(tmp_path: Path) -> None:
    _student(1).save(tmp_path / "earlier.keras")
    earlier = read_earlier(str(tmp_path / "earlier.keras"))
    assert earlier.fingerprint == file_fingerprint(tmp_path / "earlier.keras")
    assert earlier.origin == str(tmp_path / "earlier.keras")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"nowhere\.keras does not exist"):
        read_earlier(str(tmp_path / "nowhere.keras"))


def test_starters_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starters, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match="no starter yet"):
        read_earlier("starter:unet")
    _student(1).save(tmp_path / "unet.keras")
    assert starters.find_starter("starter:unet") == tmp_path / "unet.keras"
    assert read_earlier("starter:unet").fingerprint == file_fingerprint(tmp_path / "unet.keras")
    with pytest.raises(UsageError, match="there is starter:unet"):
        read_earlier("starter:resnet")


def test_a_student_has_one_start() -> None:
    with pytest.raises(UsageError, match=r"from_teacher and init = s\.keras"):
        DistillConfig(from_teacher=True, init="s.keras")
