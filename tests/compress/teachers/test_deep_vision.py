"""Weights alone, in the layout of ethanyanjiali/deep-vision, against its published architecture."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from compress.errors import UnusableModel

ROLES = ("gamma", "beta", "moving_mean", "moving_variance")


class DeepVisionWeights:
    """Random weights, and what the generator makes of an image with them."""

    def __init__(self, blocks: int) -> None:
        self.random = np.random.default_rng(5)
        self.groups: dict[str, dict[str, np.ndarray]] = {}
        self.blocks = blocks
        self.downs = [
            self.step("conv2d", (7, 7, 3, 4)),
            self.step("conv2d_1", (3, 3, 4, 8)),
            self.step("conv2d_2", (3, 3, 8, 12)),
        ]
        self.inner = [
            [self.step(f"res_net_block_{block}/conv2d_{block}{half}", (3, 3, 12, 12)) for half in (0, 1)]
            for block in range(blocks)
        ]
        self.ups = [self.step("conv2d_transpose", (3, 3, 8, 12)), self.step("conv2d_transpose_1", (3, 3, 4, 8))]
        self.head = {"kernel": self.draw((7, 7, 4, 3)), "bias": self.draw((3,))}
        self.groups["conv2d_9"] = {f"conv2d_9/{role}:0": value for role, value in self.head.items()}

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.random.normal(0, 0.2, shape).astype(np.float32)

    def step(self, name: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        channels = shape[2] if "transpose" in name else shape[3]
        norm = {role: self.random.uniform(0.5, 1.5, channels).astype(np.float32) for role in ROLES}
        kernel = self.draw(shape)
        block, _, _ = name.rpartition("/")
        self.groups.setdefault(block or name, {})[f"{name}/kernel:0"] = kernel
        norm_name = f"{name}_batch_normalization"
        self.groups.setdefault(block or norm_name, {}).update({f"{norm_name}/{role}:0": norm[role] for role in ROLES})
        return {"kernel": kernel, **norm}

    def save(self, path: Path) -> Path:
        with h5py.File(path, "w") as opened:
            opened.attrs["layer_names"] = [name.encode() for name in self.groups]
            for name, weights in self.groups.items():
                group = opened.create_group(name)
                # Keras lists what is trained before the statistics, whatever layer they belong to.
                ordered = sorted(weights, key=lambda weight: "moving" in weight)
                group.attrs["weight_names"] = [weight.encode() for weight in ordered]
                for weight in ordered:
                    group[weight] = weights[weight]
        return path

    def translate(self, images: np.ndarray) -> np.ndarray:
        features = normalise(ops.conv(reflect(images, 3), self.downs[0]["kernel"]), self.downs[0])
        for step in self.downs[1:]:
            features = normalise(ops.conv(ops.relu(features), step["kernel"], 2, "same"), step)
        features = ops.relu(features)
        for first, second in self.inner:
            inner = ops.relu(normalise(ops.conv(reflect(features, 1), first["kernel"]), first))
            features = features + normalise(ops.conv(reflect(inner, 1), second["kernel"]), second)
        for step in self.ups:
            features = ops.relu(normalise(ops.conv_transpose(features, step["kernel"], 2, "same"), step))
        return np.asarray(ops.tanh(ops.conv(reflect(features, 3), self.head["kernel"]) + self.head["bias"]))


def reflect(images, margin: int):
    return ops.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")


def normalise(features, step: dict[str, np.ndarray]):
    gain = step["gamma"] / np.sqrt(step["moving_variance"] + 1e-3)
    return (features - step["moving_mean"]) * gain + step["beta"]


@pytest.mark.parametrize("blocks", [1, 6, 9])
def test_weights_file_of_any_number_of_blocks_becomes_that_generator(tmp_path, load_here, blocks):
    weights = DeepVisionWeights(blocks)
    model: keras.Model = load_here(weights.save(tmp_path / "generator.h5"))
    images = np.random.default_rng(6).uniform(-1, 1, (1, 16, 24, 3)).astype(np.float32)
    np.testing.assert_allclose(model(images, training=False), weights.translate(images), atol=1e-4)


def test_weights_of_an_unknown_generator_are_refused_with_what_to_do(tmp_path, load_here):
    weights = DeepVisionWeights(1)
    del weights.groups["conv2d_1"]
    with pytest.raises(UnusableModel, match=r"save the whole model: generator\.save"):
        load_here(weights.save(tmp_path / "generator.h5"))
