"""Child process of `test_onnx`: ONNX files that PyTorch's exporter writes, and PyTorch's own pictures."""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.onnx._internal.torchscript_exporter import onnx_proto_utils
from torch_references import AFFINE_INSTANCE_NORM, BATCH_NORM, ResNetGenerator, UNetGenerator, randomise

# The exporter asks for the package onnx only to add functions that these files have not.
onnx_proto_utils._add_onnxscript_fn = lambda content, *_: content


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        return image + self.inner(image)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, image):
        return self.function(image)


def between(*middle, channels=8):
    """A generator of a convolution, what is to be tried, and a convolution to RGB."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *middle, nn.Conv2d(channels, 3, 1), nn.Tanh())


def swish(image):
    return image * torch.sigmoid(image)


def generators():
    yield "resnet", ResNetGenerator((4, 8, 16, 16), 2, AFFINE_INSTANCE_NORM)
    yield "resnet_batch", ResNetGenerator((4, 8, 16, 16), 2, BATCH_NORM)
    yield "mobile", ResNetGenerator((4, 8, 16, 16), 2, AFFINE_INSTANCE_NORM, mobile=True)
    yield "unet", UNetGenerator(BATCH_NORM)
    yield "plain_instance_norm", between(nn.InstanceNorm2d(8))
    yield "group_norm", between(nn.GroupNorm(2, 8), nn.ReLU(), nn.GroupNorm(4, 8, affine=False), nn.GroupNorm(8, 8))
    yield (
        "replicated",
        between(nn.ReplicationPad2d((1, 2, 0, 1)), nn.ZeroPad2d(1), nn.AvgPool2d(3, 1), nn.Conv2d(8, 8, (2, 4))),
    )
    yield "upsampled", between(nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.LeakyReLU(0.2))
    yield "upsampled_bilinear", between(nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.ELU())
    yield "shuffled", between(nn.Conv2d(8, 8, 4, 4, bias=False), nn.Conv2d(8, 128, 1), nn.PixelShuffle(4))
    yield "unshuffled", between(nn.PixelUnshuffle(2), nn.ConvTranspose2d(32, 8, 3, 2, 1, 1))
    yield "transposed", between(nn.Conv2d(8, 8, 2, 2), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.PReLU(8), nn.PReLU())
    yield (
        "grouped",
        between(nn.Conv2d(8, 16, 3, padding=2, dilation=2, groups=4), nn.Conv2d(16, 32, 1, groups=16), channels=32),
    )
    yield "activations", between(nn.SELU(), nn.ReLU6(), nn.SiLU(), Apply(swish), Residual(nn.Dropout(0.5)))
    yield (
        "scaled",
        nn.Sequential(
            Apply(lambda image: image / 127.5 - 1),
            between(Residual(nn.ReLU())),
            Apply(lambda image: (image + 1) * 127.5),
        ),
    )
    yield (
        "normalised",
        nn.Sequential(
            Apply(
                lambda image: (
                    (image - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
                    / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
                )
            ),
            between(Apply(lambda image: 1 - image)),
        ),
    )
    yield "weight_norm", between(nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)))
    yield (
        "attention",
        between(
            Apply(lambda image: image * functional.adaptive_avg_pool2d(image, 1)),
            Apply(lambda image: image - image.mean((2, 3), keepdim=True)),
        ),
    )


def export(generator, image, path, opset, *, free):
    axes = {"image": {0: "batch", 2: "height", 3: "width"}} if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            generator, (image,), str(path), dynamo=False, opset_version=opset, input_names=["image"], dynamic_axes=axes
        )


def main(folder):
    for number, (name, generator) in enumerate(generators()):
        randomise(generator)
        generator = generator.eval()
        scale, offset = (127.5, 1.0) if name == "scaled" else (1.0, 0.0)
        image = (torch.rand(1, 3, 16, 24) * 2 - 1 + offset) * scale
        output = generator(image)
        arrays = {"input": image, "output": output.detach()}
        np.savez(folder / f"{name}.npz", **{key: value.permute(0, 2, 3, 1).numpy() for key, value in arrays.items()})
        for opset in (11, 17):
            export(generator, image, folder / f"{name}.{opset}.onnx", opset, free=(opset + number) % 2 == 0)


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]))
