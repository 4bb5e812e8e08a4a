"""The gate over students that were trained, in small: what harms one is found, and another training of it is not.

The teacher recolours, brightens and blurs. A student is a layer of random kernels beside the pixels themselves, whose
read-out is fitted to the teacher's images in closed form, so that ten of them are trained within seconds, each on
another draw of the training photos.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.nn import functional

from compress.images import list_images, read_image, write_png
from eval.config import AcceptConfig, GateConfig
from eval.gate.baseline import write_baseline
from eval.gate.stage import accept_baseline, run_gate

Drawer = Callable[..., Path]

IMAGES = 24
TRAINING_IMAGES = 400
TRAINING_PIXELS = 256
"""Pixels that are taken of each training image: their neighbours tell little more."""
KERNELS = 48
RETRAININGS = 10


@dataclass(frozen=True)
class Student:
    """Two layers of convolution, 3x3 and 1x1, over images in [-1, 1]."""

    kernels: torch.Tensor
    """`(KERNELS, 4, 3, 3)` over red, green, blue and a constant 1."""
    readout: torch.Tensor
    """`(KERNELS + 36, 3)`: of what the kernels see after a ReLU, and of the pixels that they look at."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Translate an image, `(height, width, 3)` uint8."""
        translated = _features(image, self.kernels) @ self.readout
        return ((translated.numpy().reshape(image.shape) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def recolour(image: np.ndarray) -> np.ndarray:
    """The teacher."""
    mixed = 255 * (image / 255 @ np.array([[0.7, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.6]])) ** 0.7
    return np.asarray(Image.fromarray(mixed.round().astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6)))


@dataclass(frozen=True)
class TrainingSet:
    """The kernels' view of the training photos, and the teacher's images of them."""

    kernels: torch.Tensor
    features: torch.Tensor
    """`(TRAINING_IMAGES, TRAINING_PIXELS, KERNELS + 36)`."""
    wanted: torch.Tensor
    """`(TRAINING_IMAGES, TRAINING_PIXELS, 3)`, in [-1, 1]."""

    def student(self, images: np.ndarray | slice = slice(None)) -> Student:
        """Fit a student to some of the photos."""
        features, wanted = self.features[images].flatten(0, 1), self.wanted[images].flatten(0, 1)
        return Student(self.kernels, torch.linalg.lstsq(features, wanted).solution)


def in_int4(weights: torch.Tensor) -> torch.Tensor:
    """Weights rounded to 15 levels, a scale for each output channel."""
    scales = weights.abs().flatten(1).max(dim=1).values.view(-1, *[1] * (weights.ndim - 1)) / 7
    return (weights / scales).round() * scales


def with_noise(weights: torch.Tensor) -> torch.Tensor:
    """Weights with noise of 5 % of each one's own size."""
    return weights * (1 + 0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(99)))


def _features(image: np.ndarray, kernels: torch.Tensor) -> torch.Tensor:
    pixels = torch.from_numpy(image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)
    padded = functional.pad(torch.cat([pixels, torch.ones_like(pixels[:1])])[None], (1, 1, 1, 1), mode="replicate")
    seen = functional.relu(functional.conv2d(padded, kernels))[0].flatten(1)
    return torch.cat([seen, functional.unfold(padded, 3)[0]]).T


def photos_of(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for path in list_images(folder):
        yield path.name, read_image(path)


def translate(model: Callable[[np.ndarray], np.ndarray], inputs: Path, folder: Path) -> Path:
    folder.mkdir()
    for name, photo in photos_of(inputs):
        write_png(folder / name, model(photo))
    return folder


@pytest.fixture(scope="module")
def training_set(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> TrainingSet:
    kernels = torch.randn((KERNELS, 4, 3, 3), generator=torch.Generator().manual_seed(0)) / 6
    chosen = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))[:TRAINING_PIXELS]
    features, wanted = [], []
    for _, photo in photos_of(draw(tmp_path_factory.mktemp("training") / "photos", TRAINING_IMAGES, seed=7)):
        features.append(_features(photo, kernels)[chosen])
        wanted.append(torch.from_numpy(recolour(photo).reshape(-1, 3) / 127.5 - 1).float()[chosen])
    return TrainingSet(kernels, torch.stack(features), torch.stack(wanted))


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory, draw: Drawer, training_set: TrainingSet) -> Path:
    """A data set with the teacher's images of its test photos, and the baseline file of one student."""
    root = tmp_path_factory.mktemp("students")
    draw(root / "testA", IMAGES, seed=1)
    translate(recolour, draw(root / "others", IMAGES, seed=2), root / "testB")
    teacher = translate(recolour, root / "testA", root / "teacher")
    candidate = translate(training_set.student(), root / "testA", root / "baseline")
    config = AcceptConfig(
        candidate=candidate, data=root, teacher=teacher, network="efficientnet-lite0", cache=root / "cache"
    )
    write_baseline(accept_baseline(config), root / "baseline.json")
    return root


def verdict(root: Path, student: Student, name: str) -> str:
    candidate = translate(student, root / "testA", root / name)
    config = GateConfig(
        candidate=candidate,
        baseline=root / "baseline.json",
        data=root,
        teacher=root / "teacher",
        network="efficientnet-lite0",
        cache=root / "cache",
    )
    return run_gate(config).verdict


@pytest.mark.parametrize("harm", [in_int4, with_noise])
def test_harmed_weights_are_a_regression(
    accepted: Path, training_set: TrainingSet, harm: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    student = training_set.student()
    harmed = replace(student, kernels=harm(student.kernels), readout=harm(student.readout.T).T)
    assert verdict(accepted, harmed, harm.__name__) == "regression"


def test_equal_students_raise_at_most_one_alarm_in_ten(accepted: Path, training_set: TrainingSet) -> None:
    verdicts = []
    for seed in range(RETRAININGS):
        drawn = np.random.default_rng(seed).integers(0, TRAINING_IMAGES, TRAINING_IMAGES)
        verdicts.append(verdict(accepted, training_set.student(drawn), f"draw_{seed}"))
    assert verdicts.count("regression") <= 1, verdicts
    assert verdicts.count("pass") >= RETRAININGS // 2, verdicts
