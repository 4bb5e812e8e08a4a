"""Weights for Inception, which no registry carries: random ones under the names of the real file."""

from pathlib import Path
from unittest import mock

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from compress.artifact import file_fingerprint
from eval.features import weights


@pytest.fixture(scope="session")
def saved_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of torch-fidelity's own module; its normalisations do something, and activations neither fade nor
    grow on their way.
    """
    with mock.patch.object(torch, "load", return_value={}), mock.patch.object(torch.nn.Module, "load_state_dict"):
        state = FeatureExtractorInceptionV3("random", ["2048"], "none").state_dict()
    draws = torch.Generator().manual_seed(1)
    for name, array in state.items():
        if name.endswith("conv.weight"):
            array.copy_(torch.randn(array.shape, generator=draws) * (2 / array[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            array.copy_(torch.rand(array.shape, generator=draws) + 0.5)
        elif name.endswith(("running_mean", "bn.bias")):
            array.copy_(torch.randn(array.shape, generator=draws) / 5)
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def inception(saved_inception: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those weights, taken for the Inception network's."""
    monkeypatch.setitem(weights.WEIGHTS_SHA256, "inception", file_fingerprint(saved_inception))
    return saved_inception
