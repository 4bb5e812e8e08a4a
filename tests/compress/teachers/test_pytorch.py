"""PyTorch checkpoints: both families equal PyTorch itself, training loops' wrappings are opened, bombs are not."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compress import teachers
from compress.errors import UnusableModel
from compress.teachers import read, sandbox
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints, PyTorch's own outputs, and for each checkpoint its description or an entry in `refusals.json`."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).with_name("torch_references.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    for share in (0, 30, 90):
        whole = (folder / "mobile.pth").read_bytes()
        (folder / f"torn_{share}.pth").write_bytes(whole[: share * len(whole) // 100])
    refusals = {}
    for path in sorted(folder.glob("*.pth")):
        try:
            read.describe(path).save(path.with_suffix(".description"))
        except UnusableModel as error:
            refusals[path.stem] = str(error)
    (folder / "refusals.json").write_text(json.dumps(refusals))
    return folder


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("resnet_instance", "CycleGAN ResNet"),
        ("resnet_affine", "CycleGAN ResNet"),
        ("resnet_batch", "CycleGAN ResNet"),
        ("mobile", "GAN Compression"),
        ("sub_mobile_affine", "GAN Compression"),
        ("unet_batch", "U-Net"),
        ("unet_instance", "U-Net"),
    ],
)
def test_generator_equals_pytorch(references, name, family):
    description = GeneratorDescription.load(references / f"{name}.description")
    arrays = np.load(references / f"{name}.npz")
    output = build_generator(description)(arrays["input"], training=False)
    assert family in description.source_format
    np.testing.assert_allclose(output, arrays["output"], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["legacy", "checkpoint"])
def test_generator_is_found_in_what_training_loops_save(references, name):
    description = GeneratorDescription.load(references / f"{name}.description")
    assert [layer.kind for layer in description.layers].count("Add") == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("both", "2 generators.*G_A2B, G_B2A"),
        ("pickled", "state_dict"),
        ("classifier", "fc.weight"),
        ("nan", "NaN"),
        ("lacking", "its layer 1 holds bias but no weight: the file lacks a tensor"),
        ("stretched", "larger than the file"),
        ("bomb", "many times its size"),
        ("claims_64_gb", "larger than the file"),
        ("torn_0", "empty"),
        ("torn_30", "truncated, damaged"),
        ("torn_90", "truncated, damaged"),
    ],
)
def test_unusable_checkpoint_is_refused_with_the_reason(references, name, words):
    assert re.search(words, json.loads((references / "refusals.json").read_text())[name])


def test_checkpoint_is_read_and_refused_in_a_process_of_its_own(references):
    assert teachers.describe(references / "mobile.pth").input_shape == (None, None, 3)
    with pytest.raises(UnusableModel, match=r"both\.pth: it holds 2 generators"):
        teachers.describe(references / "both.pth")


def test_any_state_dict_is_read_in_a_child_as_arrays(references):
    arrays = sandbox.state_dict_in_child(references / "unet_batch.pth")
    # The outermost and innermost levels have one convolution without a norm each.
    assert sum(name.endswith("running_mean") for name in arrays) == 3
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}
    assert arrays["model.model.0.weight"].shape == (4, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "words"),
    [("both", "expected tensors by their names"), ("pickled", "more than tensors"), ("bomb", "many times its size")],
)
def test_what_is_no_state_dict_is_refused_by_the_child(references, name, words):
    with pytest.raises(UnusableModel, match=f"{name}.pth.*{words}"):
        sandbox.state_dict_in_child(references / f"{name}.pth")
