"""Writes generators with PyTorch, each `NAME.pth` with `NAME.npz` (input and true output, NHWC), into a folder.

A program of its own, since PyTorch and TensorFlow are kept out of one process: `python torch_references.py FOLDER`.
The families are written anew from their published architecture.
"""

import functools
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH_NORM = nn.BatchNorm2d
INSTANCE_NORM = functools.partial(nn.InstanceNorm2d, affine=False)
AFFINE_INSTANCE_NORM = functools.partial(nn.InstanceNorm2d, affine=True)


class Separable(nn.Module):
    def __init__(self, entry, end, norm):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(entry, entry, 3, groups=entry), norm(entry), nn.Conv2d(entry, end, 1))

    def forward(self, features):
        return self.conv(features)


class ResidualBlock(nn.Module):
    def __init__(self, channels, inner, norm, mobile):
        super().__init__()
        convolution = functools.partial(Separable, norm=norm) if mobile else functools.partial(nn.Conv2d, kernel_size=3)
        first = [nn.ReflectionPad2d(1), convolution(channels, inner), norm(inner), nn.ReLU(True), nn.Dropout(0.5)]
        second = [nn.ReflectionPad2d(1), convolution(inner, channels), norm(channels)]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, features):
        return features + self.conv_block(features)


class ResNetGenerator(nn.Module):
    def __init__(self, channels, blocks, norm, mobile=False):
        super().__init__()
        stem, half, quarter, inner = channels
        bias = norm is not BATCH_NORM
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, stem, 7, bias=bias), norm(stem), nn.ReLU(True)]
        for entry, end in ((stem, half), (half, quarter)):
            layers += [nn.Conv2d(entry, end, 3, 2, 1, bias=bias), norm(end), nn.ReLU(True)]
        layers += [ResidualBlock(quarter, inner, norm, mobile) for _ in range(blocks)]
        for entry, end in ((quarter, half), (half, stem)):
            layers += [nn.ConvTranspose2d(entry, end, 3, 2, 1, 1, bias=bias), norm(end), nn.ReLU(True)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(stem, 3, 7), nn.Tanh())

    def forward(self, image):
        return self.model(image)


class UNetLevel(nn.Module):
    def __init__(self, outer, inner, norm, within=None, outermost=False):
        super().__init__()
        self.outermost = outermost
        entry = 3 if outermost else outer
        down, up = nn.Conv2d(entry, inner, 4, 2, 1), nn.ConvTranspose2d(inner * 2 if within else inner, outer, 4, 2, 1)
        leaky, relu = nn.LeakyReLU(0.2, True), nn.ReLU(True)
        if outermost:
            layers = [down, within, relu, up, nn.Tanh()]
        elif within is None:
            layers = [leaky, down, relu, up, norm(outer)]
        else:
            layers = [leaky, down, norm(inner), within, relu, up, norm(outer), nn.Dropout(0.5)]
        self.model = nn.Sequential(*layers)

    def forward(self, features):
        return self.model(features) if self.outermost else torch.cat([features, self.model(features)], 1)


class UNetGenerator(nn.Module):
    def __init__(self, norm):
        super().__init__()
        within = UNetLevel(4, 8, norm, UNetLevel(8, 8, norm))
        self.model = UNetLevel(3, 4, norm, within, outermost=True)

    def forward(self, image):
        return self.model(image)


def generators():
    yield "resnet_instance", ResNetGenerator((4, 8, 16, 16), 2, INSTANCE_NORM)
    yield "resnet_affine", ResNetGenerator((4, 8, 16, 16), 3, AFFINE_INSTANCE_NORM)
    yield "resnet_batch", ResNetGenerator((4, 8, 16, 16), 2, BATCH_NORM)
    yield "mobile", ResNetGenerator((4, 8, 16, 16), 2, INSTANCE_NORM, mobile=True)
    yield "sub_mobile_affine", ResNetGenerator((5, 7, 12, 9), 2, AFFINE_INSTANCE_NORM, mobile=True)
    yield "unet_batch", UNetGenerator(BATCH_NORM)
    yield "unet_instance", UNetGenerator(INSTANCE_NORM)


def randomise(generator):
    """Normalisations start as ones and zeros, which a reader could drop unseen."""
    for name, value in generator.state_dict().items():
        if value.ndim == 1:
            value.uniform_(0.5, 1.5) if name.endswith(("weight", "running_var")) else value.uniform_(-0.2, 0.2)


def write_references(folder):
    for name, generator in generators():
        randomise(generator)
        image = torch.rand(2, 3, 16, 24) * 2 - 1
        output = generator.eval()(image)
        torch.save(generator.state_dict(), folder / f"{name}.pth")
        arrays = {"input": image, "output": output.detach()}
        np.savez(folder / f"{name}.npz", **{key: value.permute(0, 2, 3, 1).numpy() for key, value in arrays.items()})
    write_variants(folder, ResNetGenerator((4, 8, 16, 16), 2, INSTANCE_NORM))


def write_variants(folder, generator):
    """One generator as training loops save it, and as nobody should."""
    state = generator.state_dict()
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    parallel = {f"module.{name}": value for name, value in state.items()}
    discriminator = {"model.0.weight": torch.zeros(8, 3, 4, 4), "model.2.weight": torch.zeros(1, 8, 4, 4)}
    torch.save({"epoch": 7, "netG": parallel, "netD": discriminator, "seed": 2**62}, folder / "checkpoint.pth")
    torch.save({"G_A2B": state, "G_B2A": state}, folder / "both.pth")
    torch.save(generator, folder / "pickled.pth")
    torch.save({"fc.weight": torch.zeros(10, 10)}, folder / "classifier.pth")
    torch.save(state | {"model.1.weight": state["model.1.weight"] * float("nan")}, folder / "nan.pth")
    torch.save({name: one for name, one in state.items() if name != "model.1.weight"}, folder / "lacking.pth")
    torch.save(state | {"model.1.weight": torch.zeros(1).expand(4, 3, 2**14, 2**14)}, folder / "stretched.pth")
    with zipfile.ZipFile(folder / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/data/0", bytes(64 << 20))
    honest, claimed = b"K\x0c", b"\x8a\x05\x00\x00\x00\x00\x10"
    torch.save({"model.1.bias": torch.zeros(12)}, folder / "honest.pth")
    with zipfile.ZipFile(folder / "honest.pth") as source, zipfile.ZipFile(folder / "claims_64_gb.pth", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(honest, claimed) if name.endswith("data.pkl") else content)


if __name__ == "__main__":
    torch.manual_seed(0)
    write_references(Path(sys.argv[1]))
