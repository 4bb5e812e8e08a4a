"""Kept features: bit for bit what was computed, found by everything they depend on, and never trusted blindly."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.cache import store
from compress.errors import UsageError
from eval.features.cache import FeatureCache, FeatureKey

KEY = FeatureKey(
    images_sha256=("a" * 64,),
    shape=(5, 3),
    image_size_px=(64, 48),
    network="efficientnet-lite0",
    layer="3",
    weights_sha256="b" * 64,
    resizer="bilinear",
    reader="as it is",
    versions={"torch": "2.14"},
)
FEATURES = np.random.default_rng(0).normal(size=KEY.shape).astype(np.float32)


def refuse() -> np.ndarray:
    raise AssertionError("computed although it was kept")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of a cache that holds `FEATURES`."""
    FeatureCache(tmp_path / "cache").load_or_compute(KEY, lambda: FEATURES)
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_kept_features_are_bit_equal_and_not_computed_again(kept: Path) -> None:
    found = FeatureCache(kept.parent).load_or_compute(KEY, refuse)
    assert found.dtype == np.float32
    assert found.tobytes() == FEATURES.tobytes()


def test_without_a_folder_nothing_is_kept() -> None:
    first, second = (FeatureCache(None).load_or_compute(KEY, lambda value=value: FEATURES + value) for value in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "change",
    [
        {"images_sha256": ("c" * 64,)},
        {"images_sha256": ("a" * 64, "a" * 64)},
        {"image_size_px": (48, 64)},
        {"network": "inception"},
        {"layer": "2048"},
        {"weights_sha256": "c" * 64},
        {"resizer": "nearest"},
        {"reader": "cut"},
        {"versions": {"torch": "2.15"}},
        {"schema": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_features_of_anything_else_are_not_mistaken_for_them(change: dict[str, Any], kept: Path) -> None:
    other = FeatureCache(kept.parent).load_or_compute(replace(KEY, **change), lambda: FEATURES + 1)
    assert np.array_equal(other, FEATURES + 1)
    assert len(list(kept.parent.iterdir())) == 2


def npy(path: Path, array: np.ndarray, save: Callable[..., None] = np.save) -> None:
    with path.open("wb") as stream:
        save(stream, array)


def garbled(content: bytes) -> bytes:
    """Change the numbers of kept features and all that follows, and leave their header."""
    return content[:-100] + bytes(byte ^ 1 for byte in content[-100:])


SPOILS: dict[str, Callable[[Path], Any]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-90]),
    "torn in its header": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-90] + b"other" + path.read_bytes()[-85:]),
    "changed, its hash, too": lambda path: path.write_bytes(garbled(path.read_bytes())),
    "empty": lambda path: path.write_bytes(b""),
    "no array": lambda path: path.write_bytes(b"features"),
    "pickled": lambda path: npy(path, np.array([object()])),
    "an archive": lambda path: npy(path, FEATURES, np.savez),
    "of other images": lambda path: npy(path, FEATURES[:4]),
    "of another precision": lambda path: npy(path, FEATURES.astype(np.float64)),
    "not finite": lambda path: npy(path, np.full(KEY.shape, np.nan, np.float32)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("spoil", list(SPOILS))
def test_file_that_cannot_be_right_is_computed_anew_with_a_warning(
    spoil: str, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    SPOILS[spoil](kept)
    found = FeatureCache(kept.parent).load_or_compute(KEY, lambda: FEATURES)
    assert np.array_equal(found, FEATURES)
    assert caplog.records[0].levelno == logging.WARNING
    assert kept.name in caplog.records[0].getMessage()


def test_file_of_an_earlier_version_has_no_hash_and_is_taken(kept: Path) -> None:
    npy(kept, FEATURES + 1)
    assert np.array_equal(FeatureCache(kept.parent).load_or_compute(KEY, refuse), FEATURES + 1)


def test_spoilt_file_is_replaced(kept: Path) -> None:
    kept.write_bytes(b"torn")
    FeatureCache(kept.parent).load_or_compute(KEY, lambda: FEATURES)
    assert np.array_equal(FeatureCache(kept.parent).load_or_compute(KEY, refuse), FEATURES)


def test_full_disk_costs_a_warning_and_not_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "replace_bytes", full)
    found = FeatureCache(tmp_path / "cache").load_or_compute(KEY, lambda: FEATURES)
    assert np.array_equal(found, FEATURES)
    assert "No space left" in caplog.text


def test_failed_computation_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        FeatureCache(tmp_path / "cache").load_or_compute(KEY, refuse)
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(UsageError, match=r"--cache .* is a file; expected a folder"):
        FeatureCache(tmp_path / "cache")
