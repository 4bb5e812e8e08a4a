"""Files of strangers, made by hand: Keras 2 cannot be installed beside Keras 3, and need not be."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from compress.teachers import read
from compress.teachers.build import build_generator
from compress.teachers.interpretation.apply import apply_reading
from compress.teachers.reading.config import ReadingConfig


class Keras2File:
    """Writes a whole-model `.h5` as Keras 2 did, layer by layer, each fed by the one before unless told otherwise."""

    def __init__(self, input_shape: Sequence[int | None] = (8, 8, 3)) -> None:
        self.layers: list[dict[str, Any]] = []
        self.weights: dict[str, dict[str, np.ndarray]] = {}
        self.last = "image"
        config = {"batch_input_shape": [None, *input_shape], "name": "image", "dtype": "float32"}
        self._append("InputLayer", "image", config, [])

    def add(
        self,
        class_name: str,
        config: Mapping[str, Any] | None = None,
        *,
        inputs: Sequence[str] = (),
        weights: Mapping[str, np.ndarray] | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a layer and return its name."""
        name = f"layer_{len(self.layers)}"
        references = [[source, 0, 0, dict(arguments or {})] for source in (inputs or [self.last])]
        self._append(class_name, name, {"name": name, **(config or {})}, [references])
        self.weights[name] = dict(weights or {})
        self.last = name
        return name

    def _append(self, class_name: str, name: str, config: Mapping[str, Any], nodes: list[Any]) -> None:
        self.layers.append({"class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes})

    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        ends = {"input_layers": [["image", 0, 0]], "output_layers": [[self.last, 0, 0]]}
        return {"class_name": "Functional", "config": {"name": "generator", "layers": self.layers, **ends}}

    def save(self, path: Path, config: Mapping[str, Any] | None = None) -> Path:
        """Write the file."""
        with h5py.File(path, "w") as opened:
            opened.attrs["keras_version"] = "2.15.0"
            opened.attrs["backend"] = "tensorflow"
            opened.attrs["model_config"] = json.dumps(config or self.config())
            groups = opened.create_group("model_weights")
            for layer, weights in self.weights.items():
                write_weights(
                    groups.create_group(layer), {f"{layer}/{role}:0": value for role, value in weights.items()}
                )
        return path


def write_weights(group: h5py.Group, weights: Mapping[str, np.ndarray]) -> None:
    """Write one layer's weights as Keras 2 did."""
    group.attrs["weight_names"] = [name.encode() for name in weights]
    for name, value in weights.items():
        group[name] = value


@pytest.fixture
def keras2() -> Callable[..., Keras2File]:
    """Makes a Keras 2 file writer."""
    return Keras2File


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def small_generator(keras2: Callable[..., Keras2File], random: np.random.Generator) -> Keras2File:
    """A valid generator of one convolution."""
    file = keras2()
    kernel = random.normal(size=(3, 3, 3, 3)).astype(np.float32)
    file.add(
        "Conv2D",
        {"filters": 3, "kernel_size": [3, 3], "padding": "same"},
        weights={"kernel": kernel, "bias": np.zeros(3, np.float32)},
    )
    file.add("Activation", {"activation": "tanh"})
    return file


@pytest.fixture
def load_here() -> Callable[..., keras.Model]:
    """Load a harmless file without the child process that `teachers.load` starts: tests of many files stay quick."""

    def load(path: Path, **said: Any) -> keras.Model:
        reading = ReadingConfig(**said)
        return build_generator(apply_reading(read.describe(path, reading), reading))

    return load
