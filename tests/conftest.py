"""What every test may use: a command line, a tiny data set, and real material where a developer has it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Tests run on the CPU and say nothing about missing GPUs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> CommandLine:
    """Run `python -m compress …` as a user would; stdout and stderr are captured apart."""

    def run(*arguments: object, module: str = "compress", **options: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-P", "-m", module, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def material() -> Path:
    """The folder of real teachers and photos that developers keep beside the checkout; tests that ask for it skip
    where it is missing.
    """
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get("POCKETGAN_MATERIAL", beside))
    if not folder.is_dir():
        pytest.skip("real teachers and photos are not here; POCKETGAN_MATERIAL names their folder")
    return folder


@pytest.fixture(scope="session")
def photo_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CycleGAN data set of soft coloured blobs: 12 photos a training folder, 4 a test folder, 48 x 40 pixels."""
    from compress import images

    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(7)
    for folder, count in (("trainA", 12), ("trainB", 12), ("testA", 4), ("testB", 4)):
        (root / folder).mkdir()
        for index in range(count):
            coarse = random.integers(0, 256, (6, 5, 3)).astype(np.uint8)
            smooth = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
            images.write_png(root / folder / f"{index:03d}.png", smooth)
    return root


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CycleGAN ResNet generator of random weights in PyTorch's layout: 8 filters, 2 blocks, any image size."""
    torch = pytest.importorskip("torch", reason="the extra `pth` is not installed")
    random = np.random.default_rng(3)

    def weight(*shape: int) -> object:
        return torch.tensor(random.normal(0, 0.3, shape).astype(np.float32))

    state = {"model.1.weight": weight(8, 3, 7, 7), "model.1.bias": weight(8)}
    state |= {"model.4.weight": weight(16, 8, 3, 3), "model.4.bias": weight(16)}
    state |= {"model.7.weight": weight(32, 16, 3, 3), "model.7.bias": weight(32)}
    for block in (10, 11):
        for layer in (1, 5):
            state[f"model.{block}.conv_block.{layer}.weight"] = weight(32, 32, 3, 3)
            state[f"model.{block}.conv_block.{layer}.bias"] = weight(32)
    state |= {"model.12.weight": weight(32, 16, 3, 3), "model.12.bias": weight(16)}
    state |= {"model.15.weight": weight(16, 8, 3, 3), "model.15.bias": weight(8)}
    state |= {"model.19.weight": weight(3, 8, 7, 7), "model.19.bias": weight(3)}
    path = tmp_path_factory.mktemp("teacher") / "tiny.pth"
    torch.save(state, path)
    return path
