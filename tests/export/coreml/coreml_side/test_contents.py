"""Contents of a saved package: every operation, with the settings that rules about it need."""

import shutil
from collections.abc import Callable
from pathlib import Path

import coremltools
import numpy as np
import pytest

from compress.errors import UnusableModel
from export.coreml import contents, package, program
from export.coreml.mil_interpreter import MilGenerator
from export.graph.operations import Convolution, Graph, Pool, Resize
from export.inspect.coreml import SYSTEMS


def graph() -> Graph:
    """A wide kernel with dilation, pooled, then enlarged by 4; it has its own 2400 weights compressed."""
    random = np.random.default_rng(0)
    convolution = Convolution(
        inputs=("image",),
        output="wide",
        shape=(16, 12, 8),
        kernel=random.normal(0, 0.1, (5, 20, 3, 8)).astype(np.float32),
        bias=np.zeros(8, np.float32),
        padding="same",
        dilation=(2, 1),
    )
    pool = Pool(
        inputs=("wide",), output="pooled", shape=(4, 3, 8), size=(4, 4), strides=(4, 4), kind="average", padding="valid"
    )
    resize = Resize(inputs=("pooled",), output="grown", shape=(16, 12, 8), method="bilinear")
    last = Convolution(
        inputs=("grown",),
        output="generated",
        shape=(16, 12, 3),
        kernel=random.normal(0, 0.1, (1, 1, 8, 3)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        padding="valid",
    )
    return Graph(
        input="image", output="generated", input_shape=(16, 12, 3), operations=(convolution, pool, resize, last)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contents") / "model.mlpackage"
    package.write_package(program.build_program(graph(), "int8_weights", in_float32=frozenset({"grown"})), {}, path)
    return path


def test_every_operation_is_listed_with_its_settings(saved: Path) -> None:
    listed = contents.read_contents(saved)
    counts = {
        kind: [each.kind for each in listed.operations].count(kind)
        for kind in {each.kind for each in listed.operations}
    }
    assert counts == dict(MilGenerator.open(saved).operations)
    assert (listed.specification, listed.sizes) == (7, "fixed")
    by_kind = {each.kind: each for each in reversed(listed.operations)}
    wide, pool, grown = by_kind["conv"], by_kind["avg_pool"], by_kind["upsample_bilinear"]
    assert wide.output.shape == (1, 8, 16, 12)
    assert wide.inputs["weight"].shape == (8, 3, 5, 20)
    assert wide.inputs["weight"].is_constant
    assert not wide.inputs["x"].is_constant
    assert wide.inputs["dilations"].constant == [2, 1]
    assert pool.inputs["kernel_sizes"].constant == [4, 4]
    assert grown.inputs["scale_factor_height"].constant == 4
    assert grown.inputs["half_pixel_centers"].constant is True
    assert (wide.output.dtype, grown.output.dtype) == ("fp16", "fp32")
    assert by_kind["constexpr_affine_dequantize"].oldest_specification == 7
    assert wide.oldest_specification < 7


def test_systems_are_those_of_coremltools() -> None:
    for specification, (ios, macos) in SYSTEMS.items():
        assert coremltools.target[f"iOS{ios}"] == coremltools.target[f"macOS{macos}"] == specification


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        lambda torn: halve(next(torn.rglob("model.mlmodel"))),
        lambda torn: next(torn.rglob("model.mlmodel")).write_bytes(b""),
        lambda torn: halve(next(torn.rglob("weight.bin"))),
        lambda torn: next(torn.rglob("weight.bin")).unlink(),
        lambda torn: halve(torn / "Manifest.json"),
        shutil.rmtree,
    ],
    ids=["torn program", "empty program", "torn weights", "no weights", "torn manifest", "nothing"],
)
def test_a_package_that_is_not_whole_is_refused(saved: Path, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    torn = tmp_path / "torn.mlpackage"
    shutil.copytree(saved, torn)
    damage(torn)
    with pytest.raises(UnusableModel, match=r"torn\.mlpackage cannot be read as an ML program"):
        contents.read_contents(torn)
