"""The reference refuses what it would misread; on a Mac, Core ML itself is asked."""

import sys
from pathlib import Path

import coremltools
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - as all of Apple's documentation calls it
from coremltools.optimize.coreml import (
    OpLinearQuantizerConfig,
    OpMagnitudePrunerConfig,
    OpPalettizerConfig,
    OptimizationConfig,
    decompress_weights,
    linear_quantize_weights,
    palettize_weights,
    prune_weights,
)
from PIL import Image

from compress.errors import UnusableModel
from export.coreml import package, program
from export.coreml.mil_interpreter import MilGenerator
from export.graph.lower import lower


@pytest.fixture
def graph(small_student):
    return lower(small_student, input_shape=small_student.input_shape[1:])


def _altered(path: Path, change) -> MilGenerator:
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    change(spec)
    return MilGenerator(spec, model.weights_dir)


@pytest.fixture
def path(graph, tmp_path) -> Path:
    package.write_package(program.build_program(graph, "fp16"), {"author": "A", "odd": "B"}, tmp_path / "it.mlpackage")
    return tmp_path / "it.mlpackage"


def test_blue_first_is_refused(path):
    def swap(spec) -> None:
        spec.description.output[0].type.imageType.colorSpace = 30  # BGR

    with pytest.raises(UnusableModel, match="BGR; expected RGB"):
        _altered(path, swap)


def test_tensor_instead_of_a_picture_is_refused(path):
    def strip(spec) -> None:
        spec.description.input[0].type.multiArrayType.shape.extend([1, 3, 32, 32])

    with pytest.raises(UnusableModel, match="image is a multiArrayType"):
        _altered(path, strip)


def test_unknown_operation_is_refused(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 4, 4))], opset_version=coremltools.target.iOS16)
    def odd(image):
        return mb.erf(x=image, name="generated")

    package.write_package(odd, {}, tmp_path / "odd.mlpackage")
    with pytest.raises(UnusableModel, match="unknown here: erf"):
        MilGenerator.open(tmp_path / "odd.mlpackage")


def test_overflow_shows_as_on_the_device(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 4, 4))], opset_version=coremltools.target.iOS16)
    def loud(image):
        half = mb.cast(x=image, dtype="fp16")
        squared = mb.mul(x=mb.mul(x=half, y=half), y=np.float16(2))
        return mb.cast(x=squared, dtype="fp32", name="generated")

    package.write_package(loud, {}, tmp_path / "loud.mlpackage")
    generator = MilGenerator.open(tmp_path / "loud.mlpackage")
    # 2 * 181 * 181 is the first that float16 cannot hold.
    assert np.all(generator.run(np.full((4, 4, 3), 180, np.uint8)) == 64800)
    assert np.all(np.isinf(generator.run(np.full((4, 4, 3), 182, np.uint8))))


def test_package_says_what_it_is(path):
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    assert (model.author, model.user_defined_metadata["odd"]) == ("A", "B")
    images = [*model.get_spec().description.input, *model.get_spec().description.output]
    assert [(image.name, image.type.imageType.width, image.type.imageType.height) for image in images] == [
        ("image", 32, 32),
        ("generated", 32, 32),
    ]
    assert model.get_spec().specificationVersion == coremltools.target.iOS16


def _palette(bits: int, **settings) -> OptimizationConfig:
    return OptimizationConfig(OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=0, **settings))


def _integers(**settings) -> OptimizationConfig:
    return OptimizationConfig(OpLinearQuantizerConfig(weight_threshold=0, **settings))


@pytest.fixture
def of_ios18(tmp_path) -> Path:
    """A package of one convolution, in which coremltools packs weights in every way that it knows."""
    kernel = np.random.default_rng(0).normal(0, 1, (32, 3, 3, 3)).astype(np.float16)
    back = np.random.default_rng(1).normal(0, 1, (3, 32, 1, 1)).astype(np.float16)

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))], opset_version=coremltools.target.iOS18)
    def mixing(image):
        half = mb.cast(x=image, dtype="fp16")
        inner = mb.tanh(x=mb.conv(x=half, weight=kernel, pad_type="same"))
        return mb.cast(x=mb.conv(x=inner, weight=back), dtype="fp32", name="generated")

    package.write_package(mixing, {}, tmp_path / "plain.mlpackage")
    return tmp_path / "plain.mlpackage"


@pytest.mark.parametrize(
    ("pack", "config"),
    [
        *((palettize_weights, _palette(bits)) for bits in (1, 2, 3, 4, 6, 8)),
        (palettize_weights, _palette(4, granularity="per_grouped_channel", group_size=1)),
        (linear_quantize_weights, _integers(mode="linear_symmetric", dtype="int8", granularity="per_channel")),
        (linear_quantize_weights, _integers(mode="linear_symmetric", dtype="int8", granularity="per_tensor")),
        (linear_quantize_weights, _integers(mode="linear", dtype="uint8", granularity="per_channel")),
        (linear_quantize_weights, _integers(mode="linear", dtype="int4", granularity="per_channel")),
        (prune_weights, OptimizationConfig(OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=0))),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_weights_that_coremltools_packed_are_those_that_it_unpacks(of_ios18, tmp_path, pack, config):
    packed = pack(coremltools.models.MLModel(str(of_ios18), skip_model_load=True), config)
    packed.save(str(tmp_path / "packed.mlpackage"))
    decompress_weights(packed).save(str(tmp_path / "whole.mlpackage"))
    found, expected = (MilGenerator.open(tmp_path / f"{name}.mlpackage") for name in ("packed", "whole"))
    assert any(name.startswith("constexpr_") for name in found.operations)
    assert not any(name.startswith("constexpr_") for name in expected.operations)
    photo = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(found.run(photo), expected.run(photo))


def test_weights_that_are_packed_twice_are_refused(of_ios18, tmp_path):
    scaled = _palette(4, granularity="per_grouped_channel", group_size=1, enable_per_channel_scale=True)
    palettize_weights(coremltools.models.MLModel(str(of_ios18), skip_model_load=True), scaled).save(
        str(tmp_path / "twice.mlpackage")
    )
    with pytest.raises(UnusableModel, match="packs weights twice, by constexpr_"):
        MilGenerator.open(tmp_path / "twice.mlpackage")


@pytest.mark.skipif(sys.platform != "darwin", reason="Core ML runs on macOS only")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8_weights", "palette6"])
def test_core_ml_itself_makes_the_same_picture(graph, photos, tmp_path, precision: str):
    path = tmp_path / "it.mlpackage"
    package.write_package(program.build_program(graph, precision), {}, path)  # pyright: ignore[reportArgumentType]
    model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit.CPU_ONLY)
    for photo in photos[:2]:
        made = np.asarray(model.predict({"image": Image.fromarray(photo)})["generated"].convert("RGB"))
        # A byte's step for how the picture is rounded, one more for the order of float16 sums.
        assert np.abs(made - MilGenerator.open(path).run(photo)).max() <= 2
