"""Small whole model files of every format, made when they are needed: what mutants are mutants of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

Format = Literal["h5", "keras", "pth", "pth_legacy", "onnx", "saved_model", "tflite", "student", "manifest"]
FORMATS: tuple[Format, ...] = get_args(Format)

_WITH_KERAS = """
import sys
from pathlib import Path
import keras, numpy
from keras import layers
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.models.layers import DepthToSpace, ReflectionPadding2D, SpaceToDepth
from export.graph.lower import lower
from export.tflite.emitter import float_file

keras.utils.set_random_seed(0)
out = Path(sys.argv[1])

def generator(own):
    image = keras.Input((16, 16, 3), name="image")
    pad = lambda x: ReflectionPadding2D(((1, 1), (1, 1)))(x) if own else layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = inner = layers.ReLU()(x)
    x = layers.Conv2D(8, 3)(pad(x))
    x = layers.Add()([x, inner])
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    if own:
        x = DepthToSpace(2)(layers.Conv2D(12, 1)(x))
    else:
        x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    return keras.Model(image, layers.Activation("tanh")(x), name="small")

plain, student = generator(False), generator(True)
plain.save(out / "teacher.h5")
plain.save(out / "teacher.keras")
plain.export(out / "saved_model", verbose=False)
(out / "student").mkdir()
student.save(out / "student" / "model.keras")
spec, cost = ImageSpec(shape=(16, 16, 3)), Cost(params=student.count_params(), macs=None, size_bytes=1)
manifest = Manifest(name="small", format="keras", stage="distill", parent=None, input=spec, cost=cost, seed=0,
                    quantization={"image": {"scale": 0.0078125, "zero_point": 0}}, config={"width": 8, "domain": "A"})
write_manifest(out / "student", manifest)
(out / "model.tflite").write_bytes(float_file(lower(student, input_shape=(16, 16, 3))))
"""
_WITH_TORCH = """
import sys, torch
torch.manual_seed(0)
shapes = {"1": (4, 3, 7, 7), "4": (8, 4, 3, 3), "7": (8, 8, 3, 3), "10.conv_block.1": (8, 8, 3, 3),
          "10.conv_block.5": (8, 8, 3, 3), "11": (8, 8, 3, 3), "14": (8, 4, 3, 3), "18": (3, 4, 7, 7)}
state = {}
for layer, shape in shapes.items():
    state[f"model.{layer}.weight"] = 0.2 * torch.randn(shape)
    state[f"model.{layer}.bias"] = torch.zeros(shape[1] if layer in ("11", "14") else shape[0])
torch.save(state, sys.argv[1])
torch.save(state, sys.argv[1].replace(".pth", "_legacy.pth"), _use_new_zipfile_serialization=False)
"""
_ONNX_WITH_TORCH = """
import sys, torch
from torch import nn
from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

# The exporter asks for the package onnx only to add functions that this file has not.
onnx_proto_utils._add_onnxscript_fn = lambda content, *_: content
torch.manual_seed(0)
net = nn.Sequential(
    nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3, bias=False), nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(2, 8),
    nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1), nn.Tanh(),
)
torch.onnx.export(net.eval(), (torch.zeros(1, 3, 16, 16),), sys.argv[1], dynamo=False, opset_version=13)
"""


def make_originals(folder: Path, *, torch: bool) -> dict[Format, Path]:
    """Make a file or folder of every format.

    Args:
        folder: Where to.
        torch: Whether PyTorch is installed, which writes the `.pth` of both formats and the `.onnx`.

    Returns:
        The path of each format's; a manifest's is its artifact's.
    """
    _run(_WITH_KERAS, folder)
    found: dict[Format, Path] = {
        "h5": folder / "teacher.h5",
        "keras": folder / "teacher.keras",
        "saved_model": folder / "saved_model",
        "tflite": folder / "model.tflite",
        "student": folder / "student" / "model.keras",
        "manifest": folder / "student",
    }
    if torch:
        _run(_WITH_TORCH, folder / "teacher.pth")
        found["pth"], found["pth_legacy"] = folder / "teacher.pth", folder / "teacher_legacy.pth"
        _run(_ONNX_WITH_TORCH, folder / "teacher.onnx")
        found["onnx"] = folder / "teacher.onnx"
    json.loads((folder / "student" / "manifest.json").read_text(encoding="utf-8"))
    return {name: found[name] for name in FORMATS if name in found}


def _run(program: str, out: Path) -> None:
    subprocess.run([sys.executable, "-P", "-c", program, str(out)], check=True, capture_output=True)
