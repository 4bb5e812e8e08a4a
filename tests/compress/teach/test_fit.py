"""The best weights of a training, read back when it is over."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from compress.errors import UnusableArtifact
from compress.teach import fit


def _small_net() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="one")])


def _tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def test_best_weights_are_those_that_were_saved(tmp_path: Path) -> None:
    path, saved, read = tmp_path / "best_a2b-000000007.weights.h5", _small_net(), _small_net()
    saved.save_weights(path)
    fit._load_weights(read, path)
    for expected, found in zip(saved.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "damage",
    [_tear, Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"\0" * 999)],
    ids=["torn", "gone", "empty", "zeros"],
)
def test_damaged_best_weights_are_named_with_what_to_do(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "best_a2b-000000007.weights.h5"
    _small_net().save_weights(path)
    damage(path)
    with pytest.raises(UnusableArtifact, match=r"best_a2b-000000007\.weights\.h5 holds .* damaged .* to start anew"):
        fit._load_weights(_small_net(), path)


def test_best_weights_of_another_net_are_named(tmp_path: Path) -> None:
    path = tmp_path / "best_b2a-000000007.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="one")]).save_weights(path)
    with pytest.raises(UnusableArtifact, match="best_b2a"):
        fit._load_weights(_small_net(), path)
