"""Scores against torch-fidelity's own results, from the same folders and from the same features."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity.metric_fid import KEY_METRIC_FID
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from compress.errors import UnusableData
from eval.config import ScoreConfig
from eval.distribution.kid import kernel_distance, unbiased_kernel_distance
from eval.distribution.precision_recall import NEIGHBOURS, precision_recall
from eval.features.pytorch.extractors import NAMES
from eval.features.weights import require_weights
from eval.score_key import require_one_key
from eval.scores import score_folder

Drawer = Callable[..., Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """`real`, `fake` of the same kind, a bit out of focus."""
    root = tmp_path_factory.mktemp("folders")
    draw(root / "real", 9, seed=1)
    draw(root / "fake", 8, seed=2, blur_px=1.0)
    return root


def torch_fidelity_says(first: Path, second: Path, **options: Any) -> dict[str, float]:
    return torch_fidelity.calculate_metrics(
        input1=str(first),
        input2=str(second),
        kid_subset_size=4,
        prc_neighborhood=NEIGHBOURS,
        rng_seed=0,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        **options,
    )


@pytest.mark.parametrize("network", ["efficientnet-lite0", "squeezenet"])
def test_scores_are_torch_fidelitys_own(network: Any, folders: Path) -> None:
    weights = {
        "feature_extractor": NAMES[network], "feature_extractor_weights_path": str(require_weights(network)),
    }  # fmt: skip
    # It draws the first folder's subsets first; of precision, the first folder is the generated one.
    expected = torch_fidelity_says(folders / "real", folders / "fake", fid=True, kid=True, **weights)
    expected |= torch_fidelity_says(folders / "fake", folders / "real", prc=True, **weights)
    config = ScoreConfig(real=folders / "real", fake=folders / "fake", network=network)
    own, its = score_folder(config), score_folder(replace(config, extractor="torch-fidelity"))
    name = network.replace("-", "_")
    for record in (own, its):
        assert record[f"fd_{name}"] == pytest.approx(expected[KEY_METRIC_FID], rel=1e-4)
        # torch-fidelity adds up in single precision.
        assert record[f"kid_{name}"]["mean"] == pytest.approx(expected[KEY_METRIC_KID_MEAN], abs=1e-4)
        assert record[f"kid_{name}"]["spread"] == pytest.approx(expected[KEY_METRIC_KID_STD], abs=1e-4)
        for share in (KEY_METRIC_PRECISION, KEY_METRIC_RECALL):
            assert record[f"{share}_{name}"] == pytest.approx(expected[share], abs=1e-6)
    assert own[f"fd_{name}"] == pytest.approx(its[f"fd_{name}"], rel=1e-4)
    assert own[f"kid_{name}"]["mean"] == pytest.approx(its[f"kid_{name}"]["mean"], rel=1e-4)
    assert own["intervals"][f"fd_{name}"] == pytest.approx(its["intervals"][f"fd_{name}"], rel=1e-4)


def test_scores_by_another_extractor_say_so_and_do_not_compare(folders: Path) -> None:
    config = ScoreConfig(real=folders / "real", fake=folders / "fake", network="squeezenet")
    own, its = (score_folder(replace(config, extractor=by))["key"] for by in ("litert", "torch-fidelity"))
    assert "ai-edge-litert" in own["versions"]
    assert {"torch", "torch-fidelity"} <= its["versions"].keys()
    with pytest.raises(UnusableData, match=r"differ in versions\."):
        require_one_key({"own": own, "its": its})


def test_given_inception_weights_make_a_fid_and_torch_fidelitys_own_kid(folders: Path, inception: Path) -> None:
    record = score_folder(ScoreConfig(real=folders / "real", fake=folders / "fake", inception_weights=inception))
    # Its Fréchet distance takes the eigenvalues of a 2048x2048 matrix, half a minute: those above stand for it.
    weights = {"feature_extractor": NAMES["inception"], "feature_extractor_weights_path": str(inception)}
    expected = torch_fidelity_says(folders / "real", folders / "fake", kid=True, **weights)
    assert record["key"]["network"] == "inception"
    assert record["fid"] > 0
    assert record["kid"]["mean"] == pytest.approx(expected[KEY_METRIC_KID_MEAN], rel=1e-4)


def draw_features(images: int, features: int, *, centre: float, scale: float) -> np.ndarray:
    return np.random.default_rng([images, features]).normal(centre, scale, (images, features)).astype(np.float32)


@pytest.mark.parametrize(("real_images", "fake_images", "features"), [(30, 20, 8), (40, 90, 64), (12, 3000, 5)])
def test_distance_is_torch_fidelitys_over_its_subsets(real_images: int, fake_images: int, features: int) -> None:
    real = draw_features(real_images, features, centre=0.0, scale=1.0)
    fake = draw_features(fake_images, features, centre=0.3, scale=1.2)
    measured = kernel_distance(real, fake, seed=7)
    expected = kid_features_to_metric(
        *(torch.from_numpy(one.astype(np.float64)) for one in (real, fake)),
        kid_subsets=measured.subsets,
        kid_subset_size=measured.subset_size,
        rng_seed=7,
        verbose=False,
    )
    assert measured.mean == pytest.approx(expected[KEY_METRIC_KID_MEAN], rel=1e-9)
    assert measured.spread == pytest.approx(expected[KEY_METRIC_KID_STD], rel=1e-9)


def test_distance_over_all_images_is_torch_fidelitys_of_one_subset_that_holds_them_all() -> None:
    real = draw_features(30, 8, centre=0.0, scale=1.0).astype(np.float64)
    fake = draw_features(30, 9, centre=0.3, scale=1.2)[:, :8].astype(np.float64)
    tensors = torch.from_numpy(real), torch.from_numpy(fake)
    expected = kid_features_to_metric(*tensors, kid_subsets=1, kid_subset_size=30, rng_seed=0, verbose=False)
    assert unbiased_kernel_distance(real, fake) == pytest.approx(expected[KEY_METRIC_KID_MEAN], rel=1e-9)


@pytest.mark.parametrize(("real_images", "fake_images", "features"), [(40, 25, 6), (300, 200, 6), (120, 140, 512)])
def test_shares_are_torch_fidelitys(real_images: int, fake_images: int, features: int) -> None:
    real = draw_features(real_images, features, centre=0.0, scale=1.0)
    fake = draw_features(fake_images, features, centre=0.05, scale=1.02)
    measured = precision_recall(real, fake)
    tensors = torch.from_numpy(fake), torch.from_numpy(real)
    options = {"prc_neighborhood": NEIGHBOURS, "prc_batch_size": 100, "save_cpu_ram": True, "verbose": False}
    expected = prc_features_to_metric(*tensors, **options)
    assert 0 < measured.precision < 1
    assert measured.precision == pytest.approx(expected[KEY_METRIC_PRECISION], abs=1e-6)
    assert measured.recall == pytest.approx(expected[KEY_METRIC_RECALL], abs=1e-6)
