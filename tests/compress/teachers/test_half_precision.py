"""A teacher at half its size and back: same names, same format, weights within float16's rounding."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from compress import teachers
from compress.errors import UnusableModel
from compress.models import resnet_generator
from compress.teachers import half_precision


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "g.h5"
    resnet_generator.save_h5(resnet_generator.build_resnet(resnet_generator.ResnetConfig(filters=32, blocks=1)), path)
    return path


def _arrays(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, member: found.update({name: member[()]} if isinstance(member, h5py.Dataset) else {})
        )
    return found


def test_the_way_there_and_back_changes_weights_by_no_more_than_rounding(teacher: Path, tmp_path: Path) -> None:
    half, back = tmp_path / "half.h5", tmp_path / "back.h5"
    half_precision.write_float16(teacher, half)
    half_precision.write_float32(half, back)
    before, packed, after = _arrays(teacher), _arrays(half), _arrays(back)
    assert before.keys() == packed.keys() == after.keys()
    for name, values in before.items():
        assert packed[name].dtype == np.float16
        assert after[name].dtype == np.float32
        np.testing.assert_allclose(after[name], values, rtol=2**-11, atol=2**-24)


def test_half_is_half_and_expanded_is_as_large_as_it_was(teacher: Path, tmp_path: Path) -> None:
    half, back = tmp_path / "half.h5", tmp_path / "back.h5"
    half_precision.write_float16(teacher, half)
    half_precision.write_float32(half, back)
    weights = sum(values.nbytes for values in _arrays(teacher).values())
    assert half.stat().st_size < teacher.stat().st_size - 0.45 * weights
    assert back.stat().st_size == pytest.approx(teacher.stat().st_size, rel=0.2)


def test_the_expanded_file_is_a_teacher_like_any_other(teacher: Path, tmp_path: Path) -> None:
    half, back = tmp_path / "half.h5", tmp_path / "back.h5"
    half_precision.write_float16(teacher, half)
    half_precision.write_float32(half, back)
    photos = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    whole, expanded = (np.asarray(teachers.load(path)(photos)) for path in (teacher, back))
    assert np.abs(whole - expanded).max() < 0.01


def test_a_weight_beyond_float16_is_refused_by_name_and_leaves_nothing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file["conv/kernel"] = np.array([1.0, 1e6], np.float32)
    with pytest.raises(UnusableModel, match="conv/kernel"):
        half_precision.write_float16(tmp_path / "large.h5", tmp_path / "half.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["large.h5"]


def test_what_is_no_hdf5_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "note.h5").write_text("not weights")
    with pytest.raises(UnusableModel, match=r"note\.h5"):
        half_precision.write_float32(tmp_path / "note.h5", tmp_path / "whole.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["note.h5"]
