"""A description crosses from the child that read a file to the process that works with it, whole and uncopied."""

from pathlib import Path

import numpy as np

from compress import teachers
from compress.artifact import file_fingerprint
from compress.teachers.description import Convention, GeneratorDescription, LayerDescription

_CONVENTION = Convention(topic="padding", value="reflect", basis="assumed", because="käse", otherwise=("a=b", "a=c"))


def _description(**weights: np.ndarray) -> GeneratorDescription:
    config = {"filters": 3, "kernel_size": [3, 3], "epsilon": 1e-5, "use_bias": True, "name": None}
    return GeneratorDescription(
        source_format="hand",
        input_shape=(None, 64, 3),
        layers=(LayerDescription(name="first", kind="Conv2D", config=config, inputs=("input",)),),
        output="first",
        weights=weights,
        conventions=(_CONVENTION,),
        value_range_in="0..255",
    )


def _crossed(description: GeneratorDescription, folder: Path) -> GeneratorDescription:
    description.save(folder / "content")
    loaded = GeneratorDescription.load(folder / "content")
    (folder / "content").unlink()
    return loaded


def test_all_but_the_weights_comes_back_equal(tmp_path: Path) -> None:
    assert _crossed(_description(), tmp_path) == _description()


def test_weights_of_every_type_and_layout_come_back_after_the_file_is_gone(tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    weights = {
        "a/kernel": whole,
        "b/kernel": whole.transpose(2, 0, 1),
        "c/bias": whole[:, 1, ::2],
        "d/gamma": np.arange(3, dtype=np.float16),
        "e/beta": np.float64(2.5) * np.ones(()),
        "f/empty": np.empty((0, 3), np.float32),
    }
    description = _description(**weights)
    loaded = _crossed(description, tmp_path)
    assert list(loaded.weights) == list(weights)
    for name, value in weights.items():
        assert (loaded.weights[name].dtype, loaded.weights[name].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(loaded.weights[name], value)
    assert loaded.fingerprint == description.fingerprint


def test_weights_are_mapped_and_may_be_changed(tmp_path: Path) -> None:
    weight = _crossed(_description(kernel=np.zeros(6, np.float32)), tmp_path).weights["kernel"]
    assert not weight.flags.owndata
    weight += 1
    np.testing.assert_array_equal(weight, np.ones(6))


def test_a_description_comes_with_the_hash_of_the_bytes_that_were_read(small_generator, tmp_path: Path) -> None:
    path = small_generator.save(tmp_path / "generator.h5")
    description, fingerprint = teachers.describe_content(path)
    assert fingerprint == file_fingerprint(path)
    assert description == teachers.describe(path)
