"""Generators with random weights, as an export reads them: a student of each family and a full-size teacher."""

import tempfile
from pathlib import Path

import numpy as np

from compress.models.pocket.config import Family, PocketConfig
from compress.teachers import read
from compress.teachers.reading.config import ReadingConfig
from export.source import SourceGenerator

_READING = ReadingConfig(lambda_layers="reflection_pad")
"""What the teacher's Lambda layers are; students have none."""
TEACHER = "teacher, 45.6 MB"


def random_student(family: Family, size_px: int, *, seed: int = 0) -> SourceGenerator:
    """Return a student of the usual width for images of one size."""
    from compress.models.pocket_generator import build_student

    return _described(build_student(PocketConfig(family=family, image_size_px=size_px)), family, seed)


def random_teacher(*, seed: int = 0) -> SourceGenerator:
    """Return CycleGAN's generator of 11.4 million parameters, for images of any size."""
    from compress.models.resnet_generator import ResnetConfig, build_resnet

    return _described(build_resnet(ResnetConfig()), TEACHER, seed)


def _described(model, name: str, seed: int) -> SourceGenerator:
    """Give every weight a value that matters, and read the model as an export reads its file."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(_draw(random, variable.name, tuple(variable.shape)))
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        path = Path(scratch) / "model.keras"
        model.save(path)
        return SourceGenerator(description=read.describe(path, _READING), name=name, fingerprint="", domain="A")


def _draw(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape)
    if name in ("beta", "bias", "moving_mean"):
        return random.normal(0, 0.1, shape)
    return random.normal(0, 1, shape) / np.sqrt(max(int(np.prod(shape[:-1])), 1))
