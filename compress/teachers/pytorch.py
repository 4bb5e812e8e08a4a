"""Read a PyTorch `.pth` state dict and hand it to the family of generators that knows its names."""

from pathlib import Path

import numpy as np

from compress.errors import UnusableModel
from compress.teachers import pytorch_resnet
from compress.teachers.description import GeneratorDescription


def describe(path: Path) -> GeneratorDescription:
    """Describe the generator in a state dict.

    Raises:
        UnusableModel: If the file is no state dict of plain tensors, or of no known family.
    """
    state = _read_state_dict(path)
    for family in (pytorch_resnet,):
        if family.accepts(state):
            return family.describe(state)
    raise UnusableModel(f"no known generator has weights named like {next(iter(state), 'nothing')}.")


def _read_state_dict(path: Path) -> dict[str, np.ndarray]:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    return {
        name.removeprefix("module."): tensor.numpy().astype(np.float32)
        for name, tensor in content.items()
        if not name.endswith("num_batches_tracked")
    }
