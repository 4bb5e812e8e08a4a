"""What the user says about a file: each flag against the same layers computed by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress.errors import UnusableModel, UsageError
from compress.teachers import read
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.apply import apply_reading
from compress.teachers.reading.config import ReadingConfig, flags_of, merge_readings

Picture = Callable[[keras.Model], np.ndarray]


@pytest.fixture
def photo(random) -> np.ndarray:
    return random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def picture(photo) -> Picture:
    return lambda model: np.asarray(model.predict_on_batch(photo))


@pytest.fixture
def described(small_generator, tmp_path) -> GeneratorDescription:
    """A convolution and a tanh."""
    return read.describe(small_generator.save(tmp_path / "generator.h5"))


def _applied(description: GeneratorDescription, **said: Any) -> keras.Model:
    return build_generator(apply_reading(description, ReadingConfig(**said)))


def test_nothing_said_changes_no_layer(described) -> None:
    assert apply_reading(described, ReadingConfig()).layers == described.layers


@pytest.mark.parametrize(("value_range", "gain", "offset"), [("0..1", 0.5, 0.5), ("0..255", 127.5, 127.5)])
def test_values_are_converted_at_both_ends(described, photo, picture, value_range, gain, offset) -> None:
    made = _applied(described, value_range=value_range)
    as_trained = build_generator(described).predict_on_batch(photo * gain + offset)
    np.testing.assert_allclose(picture(made), (as_trained - offset) / gain, rtol=1e-4, atol=1e-5)


def test_a_sigmoid_tells_the_range(keras2, random, tmp_path, load_here, photo, picture) -> None:
    file = keras2()
    weights = {"kernel": random.normal(size=(1, 1, 3, 3)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    file.add("Conv2D", {"filters": 3, "kernel_size": [1, 1], "activation": "sigmoid"}, weights=weights)
    path = file.save(tmp_path / "sigmoid.h5")
    conventions = {one.topic: one for one in read.describe(path).conventions}
    assert (conventions["value range out"].value, conventions["value range out"].basis) == ("0..1", "file")
    assert (conventions["value range in"].value, conventions["value range in"].basis) == ("0..1", "assumed")
    as_trained = 1 / (1 + np.exp(-((photo + 1) / 2) @ weights["kernel"][0, 0]))
    np.testing.assert_allclose(picture(load_here(path)), as_trained * 2 - 1, atol=1e-5)


def test_what_is_said_of_the_range_wins_over_a_sigmoid(described) -> None:
    said = apply_reading(replace(described, value_range_out="0..1"), ReadingConfig(value_range="-1..1"))
    assert said.layers == described.layers
    assert {one.basis for one in said.conventions if one.flag == "--value-range"} == {"set"}


def test_bgr_turns_the_colours_of_both_ends(described, photo, picture) -> None:
    as_trained = build_generator(described).predict_on_batch(photo[..., ::-1])
    np.testing.assert_allclose(picture(_applied(described, channel_order="bgr")), as_trained[..., ::-1], atol=1e-6)


def test_a_residual_is_added_to_the_photo_and_clipped(described, photo, picture) -> None:
    change = np.asarray(build_generator(described).predict_on_batch(photo))
    assert np.abs(photo + change).max() > 1.1
    expected = np.clip(photo + change, -1, 1)
    np.testing.assert_allclose(picture(_applied(described, residual="clip-add")), expected, atol=1e-5)


def test_a_residual_between_unlike_ranges_is_refused(described) -> None:
    with pytest.raises(UsageError, match=r"takes -1\.\.1 and makes 0\.\.1"):
        _applied(replace(described, value_range_out="0..1"), residual="clip-add")


@pytest.fixture
def batch_norm(keras2, random, tmp_path) -> Path:
    file = keras2()
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {name: random.uniform(0.5, 1.5, 3).astype(np.float32) for name in names}
    file.add("BatchNormalization", {"epsilon": 1e-3, "axis": [3]}, weights=weights)
    return file.save(tmp_path / "batch_norm.h5")


def test_batch_norm_with_the_images_own_statistics(batch_norm, load_here, photo, picture) -> None:
    norm = load_here(batch_norm).layers[-1]
    gamma, beta = (np.asarray(value) for value in (norm.gamma, norm.beta))
    mean, variance = photo.mean(axis=(1, 2)), photo.var(axis=(1, 2))
    expected = (photo - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    made = picture(load_here(batch_norm, batch_norm_statistics="image"))
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert np.abs(picture(load_here(batch_norm)) - expected).max() > 0.05


def test_batch_norm_that_the_file_does_not_explain_is_asked_about(batch_norm) -> None:
    untold = replace(read.describe(batch_norm), batch_norm_told=False)
    with pytest.raises(UnusableModel, match="--batch-norm-statistics image or moving"):
        apply_reading(untold, ReadingConfig())
    kinds = [layer.kind for layer in apply_reading(untold, ReadingConfig(batch_norm_statistics="moving")).layers]
    assert kinds == ["BatchNormalization"]


def test_statistics_of_no_batch_norm_are_refused(described) -> None:
    with pytest.raises(UsageError, match="no layer of the teacher is a BatchNorm"):
        apply_reading(described, ReadingConfig(batch_norm_statistics="image"))


def test_a_reading_becomes_flags_and_back() -> None:
    said = ReadingConfig(value_range="-1..1", layer_as=("A=instance_norm", "B=identity"), verify=("a=b",))
    flags = flags_of(said)
    assert flags == [
        "--value-range=-1..1",
        "--layer-as",
        "A=instance_norm",
        "--layer-as",
        "B=identity",
        "--verify",
        "a=b",
    ]
    over = merge_readings(said, ReadingConfig(value_range="0..1"))
    assert (over.value_range, over.layer_as) == ("0..1", said.layer_as)
