"""Writes siblings of PyTorch generators, each `NAME.SUFFIX` with `NAME.npz` (input, true output) and its description.

A program of its own, since PyTorch and TensorFlow are kept out of one process: `python torch_siblings.py FOLDER`. What
`said` holds is said by flags when the file is read; `refusals.json` holds the reasons of those that are not read.
"""

import argparse
import copy
import functools
import itertools
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch_references import AFFINE_INSTANCE_NORM, BATCH_NORM, INSTANCE_NORM, UNetLevel, randomise

from compress.config import from_mapping
from compress.errors import PocketGANError
from compress.teachers import read
from compress.teachers.reading.config import ReadingConfig

PADS = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d, "zero": nn.ZeroPad2d}
LUMA = torch.tensor((0.299, 0.587, 0.114)).reshape(1, 3, 1, 1)
NO_NORM = None
TRACKED_INSTANCE_NORM = functools.partial(nn.InstanceNorm2d, track_running_stats=True)
OLD_INSTANCE_NORM = functools.partial(TRACKED_INSTANCE_NORM, affine=True)


def padded_conv(entry, end, size, pad, **options):
    """A convolution behind a layer that pads, or one that pads itself where `pad` is None or `mode:`."""
    if pad is None or pad.startswith("mode:"):
        mode = "zeros" if pad is None else pad.removeprefix("mode:")
        return [nn.Conv2d(entry, end, size, padding=size // 2, padding_mode=mode, **options)]
    return [PADS[pad](size // 2), nn.Conv2d(entry, end, size, **options)]


def norm_relu(norm, channels):
    return [*([] if norm is None else [norm(channels)]), nn.ReLU(True)]


class Block(nn.Module):
    def __init__(self, channels, pad, norm, dropout):
        super().__init__()
        first = [*padded_conv(channels, channels, 3, pad), *norm_relu(norm, channels), *dropout * [nn.Dropout(0.5)]]
        last = [*padded_conv(channels, channels, 3, pad), *norm_relu(norm, channels)[:-1]]
        self.any_name = nn.Sequential(*first, *last)

    def forward(self, features):
        return features + self.any_name(features)


class Downsample(nn.Module):
    """CUT's: the binomial filter of 3x3 or another size over a mirrored border, every second pixel of it."""

    filt: torch.Tensor

    def __init__(self, channels, size=3):
        super().__init__()
        line = torch.tensor({3: (1.0, 2.0, 1.0), 4: (1.0, 3.0, 3.0, 1.0), 5: (1.0, 4.0, 6.0, 4.0, 1.0)}[size])
        filters = torch.outer(line, line)
        self.register_buffer("filt", (filters / filters.sum()).repeat(channels, 1, 1, 1))
        low, high = (size - 1) // 2, size // 2
        self.pad = nn.ReflectionPad2d((low, high, low, high))

    def forward(self, features):
        return nn.functional.conv2d(self.pad(features), self.filt, stride=2, groups=features.shape[1])


class Upsample(nn.Module):
    """CUT's: a transposed convolution with the filter of 4x4 over a replicated border."""

    filt: torch.Tensor

    def __init__(self, channels):
        super().__init__()
        line = torch.tensor((1.0, 3.0, 3.0, 1.0))
        filters = torch.outer(line, line)
        self.register_buffer("filt", (4 * filters / filters.sum()).repeat(channels, 1, 1, 1))
        self.pad = nn.ReplicationPad2d(1)

    def forward(self, features):
        made = nn.functional.conv_transpose2d(
            self.pad(features), self.filt, stride=2, padding=2, groups=features.shape[1]
        )
        return made[:, :, 1:, 1:][:, :, :-1, :-1]


def down(kind, entry, end, norm):
    rest = norm_relu(norm, end)
    if kind == "blur":
        return [*padded_conv(entry, end, 3, None), *rest, Downsample(end)]
    if kind == "blur5":
        return [*padded_conv(entry, end, 3, None), *rest, Downsample(end, 5)]
    if kind == "pool":
        return [*padded_conv(entry, end, 3, None), *rest, nn.AvgPool2d(2)]
    if kind == "padded":
        return [nn.ReflectionPad2d(1), nn.Conv2d(entry, end, 3, 2), *rest]
    return [nn.Conv2d(entry, end, 4 if kind == "4x4" else 3, 2, 1), *rest]


def up(kind, entry, end, norm):
    rest = norm_relu(norm, end)
    if kind in ("nearest", "bilinear"):
        return [nn.Upsample(scale_factor=2, mode=kind), *padded_conv(entry, end, 3, None), *rest]
    if kind == "nearest_reflect":
        return [nn.Upsample(scale_factor=2), *padded_conv(entry, end, 3, "reflect"), *rest]
    if kind == "blur":
        return [Upsample(entry), *padded_conv(entry, end, 3, None), *rest]
    if kind == "4x4":
        return [nn.ConvTranspose2d(entry, end, 4, 2, 1), *rest]
    return [nn.ConvTranspose2d(entry, end, 3, 2, 1, 1), *rest]


class Generator(nn.Module):
    def __init__(
        self,
        widths: Sequence[int] = (4, 6, 8),
        blocks: int = 1,
        pad: str | None = "reflect",
        outer: str | None = "reflect",
        norm: Callable[[int], nn.Module] | None = INSTANCE_NORM,
        downs: str = "",
        ups: str = "",
        channels: tuple[int, int] = (3, 3),
        dropout: bool = False,
        end: Callable[[], nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__()
        layers = [*padded_conv(channels[0], widths[0], 7, outer), *norm_relu(norm, widths[0])]
        for narrow, wide in itertools.pairwise(widths):
            layers += down(downs, narrow, wide, norm)
        layers += [Block(widths[-1], pad, norm, dropout) for _ in range(blocks)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += up(ups, wide, narrow, norm)
        self.model = nn.Sequential(*layers, *padded_conv(widths[0], channels[1], 7, outer), end())

    def forward(self, image):
        return self.model(image)


class DeepUNet(nn.Module):
    def __init__(self, widths, norm, channels=3):
        super().__init__()
        within = None
        for outer, inner in zip(widths[-2::-1], widths[:0:-1], strict=True):
            within = UNetLevel(outer, inner, norm, within)
        self.model = UNetLevel(3, widths[0], norm, within, outermost=True)

    def forward(self, image):
        return self.model(image)


def parametrized(change, **options):
    generator = Generator(**options)
    randomise(generator)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            change(module)
    # Power iterations run in training.
    generator.train()(torch.rand(1, 3, 16, 16))
    return generator


def generators():
    """Name, generator and what must be said of each."""
    yield "one_down_zero_dropout", Generator((6, 10), 3, pad=None, dropout=True), {}
    yield "three_down_zero", Generator((3, 4, 5, 6), 2, pad=None), {}
    yield "replicate", Generator(blocks=2, pad="replicate"), {"padding": "replicate"}
    yield "zero_layer", Generator(pad="zero"), {"padding": "zero"}
    yield "reflect_mode", Generator(pad="mode:reflect"), {"padding": "reflect"}
    yield "outer_zero", Generator(outer=None), {}
    yield "outer_replicate", Generator(outer="replicate"), {"layer_as": ("OuterPadding=replication_pad",)}
    yield "cut", Generator(downs="blur", ups="blur"), {}
    yield "cut_down_5", Generator((5, 7), downs="blur5"), {}
    yield "cut_unseen", Generator(downs="blur", ups="bilinear"), {"layer_as": ("Upsample=bilinear",)}
    yield "pooled", Generator(downs="pool"), {"layer_as": ("Downsample=average_pool",)}
    yield "padded_down", Generator(downs="padded"), {}
    yield "nearest", Generator((4, 8), 2, ups="nearest"), {}
    yield "nearest_affine", Generator(norm=AFFINE_INSTANCE_NORM, ups="nearest", pad=None), {}
    yield "nearest_reflect", Generator(ups="nearest_reflect", dropout=True), {}
    yield "kernels_of_4", Generator(downs="4x4", ups="4x4"), {}
    yield "norm_free", Generator(norm=NO_NORM), {}
    yield "norm_free_upsampled", Generator((4, 8), norm=NO_NORM, ups="nearest", pad=None), {}
    yield "identity_norm", Generator(norm=lambda _: nn.Identity()), {"layer_as": ("Norm=identity",)}
    yield "sigmoid", Generator(end=nn.Sigmoid), {"layer_as": ("Tanh=sigmoid",)}
    yield "spectral_old", parametrized(spectral_norm), {}
    yield "spectral_new", parametrized(parametrizations.spectral_norm, ups="nearest"), {}
    yield "spectral_square", parametrized(spectral_norm, widths=(8, 8, 8)), {}
    yield "weight_norm_old", parametrized(weight_norm), {}
    yield "weight_norm_new", parametrized(parametrizations.weight_norm, pad=None), {}
    yield "pruned", parametrized(lambda module: prune.l1_unstructured(module, "weight", amount=0.3)), {}
    yield "grey", Generator(channels=(1, 1)), {}
    yield "grey_to_rgb", Generator(channels=(1, 3), pad=None), {}
    yield "rgb_to_grey", Generator(channels=(3, 1), norm=AFFINE_INSTANCE_NORM), {}
    yield "old_instance", Generator(norm=OLD_INSTANCE_NORM), {}
    yield "bare_old_instance", Generator(norm=TRACKED_INSTANCE_NORM, pad=None), {}
    yield "tracked_moving", Generator(norm=TRACKED_INSTANCE_NORM), {"batch_norm_statistics": "moving"}
    yield "batch_image", Generator(norm=BATCH_NORM), {"batch_norm_statistics": "image"}
    yield "batch_moving", Generator(norm=BATCH_NORM, pad=None), {"batch_norm_statistics": "moving"}
    yield "unet_image", DeepUNet((3, 4, 5), BATCH_NORM), {"batch_norm_statistics": "image"}
    yield "unet_old_instance", DeepUNet((3, 4, 5, 6), OLD_INSTANCE_NORM), {}
    yield "unet_deep", DeepUNet((4, 5, 6, 7, 8), INSTANCE_NORM), {}


def true_output(name, generator, image):
    generator.eval()
    if "image" in name or "old_instance" in name:
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
                module.train()
                module.track_running_stats = False
                module.running_mean = module.running_var = None
    taken = (image * LUMA).sum(1, keepdim=True) if name.startswith("grey") else image
    return torch.cat([generator(one[None]) for one in taken]).expand(-1, 3, -1, -1)


def write(folder, name, generator, said):
    if not name.startswith(("spectral", "weight_norm", "pruned")):
        randomise(generator)
    state = {key: value.clone() for key, value in generator.state_dict().items()}
    if "old_instance" in name:
        state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    if name == "cut_unseen":
        state = {key: value for key, value in state.items() if not key.endswith("filt")}
    torch.save(state, folder / f"{name}.pth")
    keep(folder, name, generator, said)


def keep(folder, name, generator, said):
    image = torch.rand(1, 3, 32, 64) * 2 - 1
    made = true_output(name, generator, image).detach()
    np.savez(folder / f"{name}.npz", input=_channels_last(image), output=_channels_last(made))
    (folder / f"{name}.said.json").write_text(json.dumps(said))


def _channels_last(images):
    return images.permute(0, 2, 3, 1).numpy()


def write_safetensors(path, state, dtype, to_bytes):
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, value in state.items():
        held = to_bytes(value)
        header[name] = {
            "dtype": dtype, "shape": list(value.shape), "data_offsets": [len(content), len(content) + len(held)]
        }  # fmt: skip
        content += held
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def write_formats(folder):
    """One generator in every format and wrapping, and what of it cannot be read."""
    generator = Generator((4, 6), 2)
    state, half = generator.state_dict(), copy.deepcopy(generator).half()
    rounded = copy.deepcopy(generator).bfloat16()
    prefixed = {f"module.netG.model.{name}": value for name, value in state.items()}
    averaged = {name: value + 0.1 for name, value in state.items()}
    patch_gan = {"model.0.weight": torch.zeros(8, 3, 4, 4), "model.2.weight": torch.zeros(1, 8, 4, 4)}
    optimizer = torch.optim.Adam(generator.parameters())
    flags = argparse.Namespace(lr=2e-4, name="fox", size=(64, 64))
    loop = {"state_dict": state, "optimizer": optimizer.state_dict(), "opt": flags, "netD": patch_gan, "epoch": 3}
    both = {
        **{f"G.{name}": one for name, one in state.items()},
        **{f"G_ema.{name}": one for name, one in averaged.items()},
    }
    deep = {"models": {"G_A": {"module": state}, "G_B": averaged}, "optimizers": [optimizer.state_dict()]}
    saved = {
        "deep_key.pth": deep, "deep_keys.pth": deep, "suffix.pkl": state, "suffix.ckpt": {"state_dict": prefixed},
        "no_suffix": loop, "loop.pth.tar": loop,
        "half.pth": half.state_dict(), "bfloat16.pth": rounded.state_dict(), "named.h5": {"model": state},
        "bare.bin": {name.removeprefix("model."): value for name, value in state.items()},
        "averages.pth": both, "averaged.pth": both,
    }  # fmt: skip
    for name, content in saved.items():
        torch.save(content, folder / name)
    torch.save({"G": prefixed}, folder / "old.tar", _use_new_zipfile_serialization=False)
    keys = {name: value.contiguous() for name, value in prefixed.items()}
    write_safetensors(folder / "f32.safetensors", keys, "F32", lambda one: one.numpy().tobytes())
    write_safetensors(folder / "f64.safetensors", keys, "F64", lambda one: one.double().numpy().tobytes())
    write_safetensors(folder / "f16.safetensors", keys, "F16", lambda one: one.half().numpy().tobytes())
    write_safetensors(
        folder / "bf16.safetensors", keys, "BF16", lambda one: one.bfloat16().view(torch.int16).numpy().tobytes()
    )
    for name in ("suffix", "suffix", "no_suffix", "loop", "named", "bare", "old", "f32", "f64"):
        keep(folder, name, generator, {})
    for name, cast in (("half", half), ("f16", half), ("bfloat16", rounded), ("bf16", rounded)):
        keep(folder, name, cast.float(), {})
    moved = copy.deepcopy(generator)
    moved.load_state_dict(averaged)
    keep(folder, "deep_key", generator, {"weights_key": "G_A"})
    keep(folder, "averaged", moved, {"weights_key": "G_ema"})
    write_refused(folder, state)


def write_refused(folder, state):
    wide = {**state, "model.1.weight": torch.zeros(4, 5, 7, 7)}
    narrow = {**state, "model.4.weight": torch.zeros(6, 9, 3, 3)}
    gaps = {re.sub(r"\d+", lambda found: str(int(found[0]) + 2 * (int(found[0]) > 1)), name, count=1): value
            for name, value in state.items()}  # fmt: skip
    unknown = {**state, "model.3.alpha": torch.zeros(4)}
    named = {name.replace("model.1.", "model.1.conv."): value for name, value in state.items()}
    no_blocks = {name: value for name, value in state.items() if "any_name" not in name}
    halves = {f"{name}_orig" if name == "model.1.weight" else name: value for name, value in state.items()}
    refused = {
        "five_channels": wide, "nine_channels": narrow, "gaps": gaps, "unknown": unknown, "named_layer": named,
        "no_blocks": no_blocks, "half_a_norm": halves, "numbers": {"epoch": 1},
    }  # fmt: skip
    unet = DeepUNet((3, 4, 5), INSTANCE_NORM).state_dict()
    moved = {name.replace("model.1.model.5.", "model.1.model.6."): value for name, value in unet.items()}
    said = {
        "wrong_key": ({"G": state, "G_ema": state}, {"weights_key": "G_B"}),
        "unet_reflect": (unet, {"padding": "reflect"}),
        "unet_gaps": (moved, {}),
        "unused_layer": (state, {"layer_as": ("Upsample=bilinear",)}),
        "unknown_layer": (state, {"layer_as": ("Foo=relu",)}),
    }
    for name, (content, flags) in {**{name: (one, {}) for name, one in refused.items()}, **said}.items():
        torch.save(content, folder / f"{name}.pth")
        (folder / f"{name}.said.json").write_text(json.dumps(flags))
    torch.save({"model": Generator((4,)), "epoch": 1}, folder / "whole_model.pth")
    torch.jit.save(torch.jit.trace(Generator((4, 6)).eval(), torch.rand(1, 3, 16, 16)), folder / "script.pt")


def describe_all(folder):
    refusals = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".npz", ".json"):
            continue
        name = path.name.split(".")[0]
        said_path = folder / f"{name}.said.json"
        said = json.loads(said_path.read_text()) if said_path.exists() else {}
        kept = {key: value for key, value in said.items() if key in ("padding", "weights_key", "layer_as")}
        try:
            reading = from_mapping(ReadingConfig, kept, origin=name)
            read.describe(path, reading).save(folder / f"{path.name}.description")
        except PocketGANError as error:
            refusals[path.name] = f"{error.exit_code}: {error}"
    Path(folder, "refusals.json").write_text(json.dumps(refusals))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    for entry in generators():
        write(target, *entry)
    write_formats(target)
    describe_all(target)
