"""Siblings of PyTorch generators: whatever numbers and names tell is read from them, in every format and wrapping."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compress.config import from_mapping
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.apply import apply_reading
from compress.teachers.reading.config import ReadingConfig

TOLERANCE = 1e-4
RESNETS = (
    "one_down_zero_dropout", "three_down_zero", "replicate", "zero_layer", "reflect_mode", "outer_zero",
    "outer_replicate", "cut", "cut_down_5", "cut_unseen", "pooled", "padded_down", "nearest", "nearest_affine",
    "nearest_reflect", "kernels_of_4", "norm_free", "norm_free_upsampled", "identity_norm", "sigmoid",
)  # fmt: skip
FOLDED = ("spectral_old", "spectral_new", "spectral_square", "weight_norm_old", "weight_norm_new", "pruned")
GREY = ("grey", "grey_to_rgb", "rgb_to_grey")
NORMS = (
    "old_instance",
    "bare_old_instance",
    "tracked_moving",
    "batch_image",
    "batch_moving",
    "unet_image",
    "unet_old_instance",
    "unet_deep",
)
FORMATS = (
    "suffix.pkl", "suffix.ckpt", "no_suffix", "loop.pth.tar", "half.pth", "bfloat16.pth", "named.h5", "bare.bin",
    "old.tar", "averaged.pth", "deep_key.pth", "f32.safetensors", "f64.safetensors", "f16.safetensors",
    "bf16.safetensors",
)  # fmt: skip


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, PyTorch's own outputs, and for each file its description or an entry in `refusals.json`."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    folder = tmp_path_factory.mktemp("siblings")
    script = Path(__file__).with_name("torch_siblings.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


def _said(siblings: Path, name: str) -> ReadingConfig:
    return from_mapping(ReadingConfig, json.loads((siblings / f"{name}.said.json").read_text()), origin=name)


def _description(siblings: Path, file: str) -> GeneratorDescription:
    path = siblings / f"{file}.description"
    assert path.exists(), json.loads((siblings / "refusals.json").read_text())[file]
    return GeneratorDescription.load(path)


@pytest.mark.parametrize("file", [*(f"{name}.pth" for name in (*RESNETS, *FOLDED, *GREY, *NORMS)), *FORMATS])
def test_sibling_equals_pytorch(siblings, file):
    name = file.split(".")[0]
    arrays = np.load(siblings / f"{name}.npz")
    read = apply_reading(_description(siblings, file), _said(siblings, name))
    wanted = arrays["output"] * 2 - 1 if name == "sigmoid" else arrays["output"]
    given = arrays["input"]
    if name == "sigmoid":
        # A net that makes 0..1 is fed 0..1.
        given = 2 * given - 1
    output = build_generator(read)(given, training=False)
    np.testing.assert_allclose(output, wanted, atol=TOLERANCE)


def _told(siblings: Path, file: str) -> dict[str, tuple[str, str]]:
    return {one.topic: (one.value, one.basis) for one in _description(siblings, file).conventions}


@pytest.mark.parametrize(
    ("file", "topic", "value", "basis"),
    [
        ("three_down_zero.pth", "padding", "zero", "file"),
        ("nearest.pth", "padding", "reflect", "assumed"),
        ("reflect_mode.pth", "padding by the numbers", "zero", "file"),
        ("nearest.pth", "upsampling", "nearest", "assumed"),
        ("cut_unseen.pth", "upsampling", "bilinear", "set"),
        ("cut_unseen.pth", "downsampling", "blur", "assumed"),
        ("nearest.pth", "norm", "instance_norm", "assumed"),
        ("nearest_affine.pth", "norm", "InstanceNorm", "assumed"),
        ("old_instance.pth", "norm", "InstanceNorm", "file"),
        ("batch_image.pth", "norm", "BatchNorm", "file"),
        ("norm_free.pth", "norm", "none", "file"),
        ("averaged.pth", "generator", "G_ema", "set"),
        ("grey_to_rgb.pth", "channels", "grey to RGB", "file"),
        ("rgb_to_grey.pth", "channels", "RGB to grey", "file"),
    ],
)
def test_what_was_read_and_what_was_assumed_is_told(siblings, file, topic, value, basis):
    assert _told(siblings, file)[topic] == (value, basis)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("batch_image.pth", False),
        ("batch_moving.pth", False),
        ("unet_image.pth", False),
        ("old_instance.pth", True),
        ("bare_old_instance.pth", True),
        ("tracked_moving.pth", False),
        ("nearest.pth", True),
    ],
)
def test_batch_norm_alone_leaves_its_statistics_to_the_user(siblings, file, told):
    assert _description(siblings, file).batch_norm_told is told


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("averages.pth", r"^3: it holds 2 generators \(G, G_ema\); pass --weights-key.*G_ema is the moving average"),
        ("deep_keys.pth", r"^3: it holds 2 generators \(G_A, G_B\)"),
        ("five_channels.pth", "^3: its first convolution takes 5 channels; expected 3"),
        ("nine_channels.pth", "^3: its layer 4 reads 9 channels, but 4 come before it"),
        ("gaps.pth", "^3: before its convolutions to half size and its first block lie 2"),
        ("unknown.pth", "^3: no generator known.*nearest, model: it has a tensor model.3.alpha"),
        ("named_layer.pth", "^3: no generator known.*layer 1.conv has a name where its number was expected"),
        (
            "no_blocks.pth",
            r"nearest, model \(4 layers, convolutions from 3 to 3 channels\), is not .*no residual blocks",
        ),
        ("half_a_norm.pth", "nearest, model: a convolution's weight is computed from .*without weight_u"),
        ("wrong_key.pth", "^2: weights_key = G_B is no generator in it; expected one of G, G_ema"),
        ("unet_reflect.pth", "^2: padding = reflect, but no layer of a U-Net pads"),
        ("unet_gaps.pth", "^3: level 2 of this U-Net has its convolutions at 1 and 6"),
        ("unused_layer.pth", "^2: layer_as = Upsample=bilinear, but it has no such layer"),
        ("unknown_layer.pth", r"^2: layer_as = Foo=relu, which no layer .*Upsample=nearest\|bilinear"),
        ("numbers.pth", r"^3: no generator known.*it holds 1 entries \(epoch"),
        ("whole_model.pth", r"^3: it holds more than tensors \(__main__.Generator, .*state_dict"),
        ("script.pt", "^3: it is a TorchScript program"),
    ],
)
def test_what_does_not_fit_is_said_apart(siblings, file, words):
    reason = json.loads((siblings / "refusals.json").read_text())[file]
    assert re.search(words, reason), reason
    assert "weights_only" not in reason
