"""Tiny generators with weights that are neither zero nor one, so that a fold gone wrong shows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.files.atomic import atomic_dir
from compress.images import write_png
from compress.models import pocket_generator
from compress.models.pocket_generator import Family
from compress.teachers import read
from export.parity import synthetic_photos
from export.source import SourceGenerator

SIZE_PX = 32


def _randomise(model: keras.Model, seed: int) -> keras.Model:
    random = np.random.default_rng(seed)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(random.normal(0, 0.3, shape))
        elif variable.dtype == "float32":
            fan_in = np.prod(shape[:-1]) if len(shape) == 4 else 1
            variable.assign(random.normal(0, 1, shape) / np.sqrt(fan_in))
    return model


@pytest.fixture
def chain() -> Callable[..., keras.Model]:
    """Make a model of layers in a row, with random weights."""

    def make(
        layers: Sequence[keras.layers.Layer], shape: tuple[int | None, int | None, int] = (9, 12, 3)
    ) -> keras.Model:
        image = keras.Input(shape)
        features = image
        for layer in layers:
            features = layer(features)
        return _randomise(keras.Model(image, features), seed=3)

    return make


@pytest.fixture
def randomise() -> Callable[[keras.Model], keras.Model]:
    """Give every weight of a model a value that matters."""
    return lambda model: _randomise(model, seed=5)


@pytest.fixture(scope="session", params=get_args(Family))
def student(request: pytest.FixtureRequest) -> keras.Model:
    """A student of each family, 32x32."""
    config = pocket_generator.PocketConfig(family=request.param, image_size_px=SIZE_PX, width=16, blocks=2)
    return _randomise(pocket_generator.build_student(config), seed=7)


@pytest.fixture(scope="session")
def small_student() -> keras.Model:
    """A 32x32 student of the fastest family, where the kind of student does not matter."""
    config = pocket_generator.PocketConfig(image_size_px=SIZE_PX, width=16, blocks=1)
    return _randomise(pocket_generator.build_student(config), seed=7)


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Eight 32x32 colour fields, uint8."""
    return synthetic_photos((SIZE_PX, SIZE_PX), count=8, seed=1)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, photos: list[np.ndarray]) -> Path:
    """The photos as PNG files."""
    folder = tmp_path_factory.mktemp("photos")
    for index, photo in enumerate(photos):
        write_png(folder / f"photo{index}.png", photo)
    return folder


@pytest.fixture
def as_artifact(tmp_path: Path) -> Callable[..., Path]:
    """Save a model as an artifact and return its directory."""
    return lambda model, name="student", **config: _save(model, tmp_path / name, config)


@pytest.fixture(scope="session")
def source_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[keras.Model], SourceGenerator]:
    """Read a model as an export reads a student."""

    def read_source(model: keras.Model) -> SourceGenerator:
        path = tmp_path_factory.mktemp("sources") / "model.keras"
        model.save(path)
        return SourceGenerator(description=read.describe(path), name="it", fingerprint="", domain="A")

    return read_source


@pytest.fixture(scope="session")
def small_artifact(small_student: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_student` as `distill` writes it."""
    return _save(small_student, tmp_path_factory.mktemp("students") / "student", {})


def _save(model: keras.Model, out: Path, config: dict[str, str]) -> Path:
    with atomic_dir(out) as scratch:
        model.save(scratch / "model.keras")
        spec = ImageSpec(shape=tuple(model.input_shape[1:]))
        cost = Cost(params=model.count_params(), macs=None, size_bytes=1)
        manifest = Manifest(
            name=out.name, format="keras", stage="distill", parent=None, input=spec, cost=cost, config=config
        )
        write_manifest(scratch, manifest)
    return out
