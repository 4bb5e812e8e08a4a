"""Names of scores, and keys that keep different quantities apart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData
from compress.images import list_images, read_image
from eval.score_key import PROFILE_READER, READER, ScoreKey, content_sha256, metric_name, reader_of, require_one_key

KEY = ScoreKey(
    real_sha256="a" * 64,
    real_images=120,
    fake_images=120,
    image_size_px=(256, 256),
    network="inception",
    layer="2048",
    weights_sha256="b" * 64,
    reader="as it is",
    resizer="bilinear",
    kid_subsets=100,
    kid_subset_size=60,
    seed=0,
    versions={"torch-fidelity": "0.4.0"},
)


def test_only_inception_features_make_a_fid_and_a_kid() -> None:
    assert (metric_name("fd", "inception"), metric_name("kid", "inception")) == ("fid", "kid")
    assert metric_name("fd", "efficientnet-lite0") == "fd_efficientnet_lite0"
    assert metric_name("kid", "efficientnet-lite0") == "kid_efficientnet_lite0"
    assert metric_name("kid", "squeezenet") == "kid_squeezenet"
    assert metric_name("precision", "inception") == "precision_inception"
    assert metric_name("perceptual", "efficientnet-lite0") == "perceptual_efficientnet_lite0"


def test_scores_of_one_reference_stand_side_by_side() -> None:
    require_one_key({"teacher": KEY.to_mapping(), "student": KEY.to_mapping()})


@pytest.mark.parametrize(
    "change",
    [
        {"real_sha256": "c" * 64},
        {"network": "efficientnet-lite0"},
        {"fake_images": 119},
        {"seed": 1},
        {"versions": {"torch-fidelity": "0.3.0"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_scores_of_different_references_are_refused(change: dict[str, Any]) -> None:
    other = replace(KEY, **change)
    with pytest.raises(UnusableData, match=f"teacher and student do not compare: they differ in {next(iter(change))}"):
        require_one_key({"teacher": KEY.to_mapping(), "student": other.to_mapping()})


def test_content_hash_follows_the_content_and_not_the_place(tmp_path: Path, draw: Callable[..., Path]) -> None:
    first, moved, other = (draw(tmp_path / name, 3, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert content_sha256(list_images(first)) == content_sha256(list_images(moved))
    assert content_sha256(list_images(first)) != content_sha256(list_images(other))
    (moved / "000.png").write_bytes((other / "000.png").read_bytes())
    assert content_sha256(list_images(first)) != content_sha256(list_images(moved))


def test_the_reader_tells_whether_a_colour_profile_was_followed(
    tmp_path: Path, draw: Callable[..., Path], swapping_profile: bytes
) -> None:
    """Keys of images without one are those of versions that followed none, whose scores they equal."""
    paths = list_images(draw(tmp_path / "real", 3))
    assert reader_of(paths) == READER == "cut to the fakes' aspect ratio and Lanczos to their size, where it differs"
    before = read_image(paths[1])
    Image.fromarray(before).save(paths[1], icc_profile=swapping_profile)
    assert reader_of(paths) == PROFILE_READER != READER
    assert reader_of([paths[0], paths[2]]) == READER
    difference = read_image(paths[1]).astype(int) - before[..., [1, 0, 2]]
    assert np.abs(difference).max() <= 1
