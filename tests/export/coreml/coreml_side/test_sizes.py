"""A package of several sizes, saved and read back, does what Keras does at each of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import coremltools
import numpy as np
import pytest
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    SpaceToDepth,
)
from export.calibration import observe
from export.coreml import contents, package, program
from export.coreml.mil_interpreter import MilGenerator
from export.graph.lower import lower
from export.graph.quantized import quantize_graph
from export.parity import synthetic_photos

SIZES = ((32, 32), (48, 48))
CHAINS = {
    "a teacher's": lambda: [
        ReflectionPadding2D(((3, 3), (3, 3))),
        layers.Conv2D(4, 7),
        InstanceNormalization(),
        layers.ReLU(),
        layers.Conv2D(8, 3, strides=2, padding="same"),
        ContribInstanceNormalization(),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2, padding="valid", output_padding=1),
        ContribInstanceNormalization(per_channel=False),
    ],
    "moves": lambda: [
        layers.ZeroPadding2D(((1, 3), (0, 4))),
        layers.Cropping2D(((0, 4), (2, 2))),
        layers.UpSampling2D((3, 2), interpolation="bilinear"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.UpSampling2D((2, 4), interpolation="nearest"),
        SpaceToDepth(2),
        layers.Conv2D(16, 1),
        DepthToSpace(2),
        layers.MaxPooling2D(2, strides=1),
    ],
}


@pytest.fixture
def several(tmp_path: Path) -> Callable[..., Path]:
    """Save one graph with the shapes of others, and return the package."""

    def save(graphs: Any, precision: Any = "fp32", **options: Any) -> Path:
        usual, *others = graphs
        path = tmp_path / "several.mlpackage"
        built = program.build_program(usual, precision, others=[each.shapes for each in others], **options)
        package.write_package(built, {}, path, shapes=[each.input_shape for each in graphs])
        return path

    return save


def models_at(source: Any) -> Mapping[tuple[int, int], Any]:
    return {size: source.at_size(size).model for size in SIZES}


def graphs_of(models: Mapping[tuple[int, int], Any]) -> list[Any]:
    return [lower(model, input_shape=(*size, 3)) for size, model in models.items()]


def photos_at(size: tuple[int, int]) -> list[np.ndarray]:
    return synthetic_photos(size, count=2, seed=1)


# The bounds are those of `test_program`.
def test_student_keeps_its_pictures_at_every_size(student, several, psnr_to_keras, source_of):
    models = models_at(source_of(student))
    path = several(graphs_of(models), "fp16")
    for size, model in models.items():
        assert psnr_to_keras(MilGenerator.open(path, size), model, photos_at(size)) > 60


def test_compressed_weights_serve_every_size(small_student, several, psnr_to_keras, source_of):
    models = models_at(source_of(small_student))
    path = several(graphs_of(models), "palette6")
    for size, model in models.items():
        assert psnr_to_keras(MilGenerator.open(path, size), model, photos_at(size)) > 30


@pytest.mark.parametrize("name", CHAINS)
def test_each_layer_equals_keras_at_every_size(chain, several, psnr_to_keras, name: str):
    model = chain(
        [layers.Conv2D(4, 1), *CHAINS[name](), layers.Conv2D(3, 1), layers.Activation("tanh")], (None, None, 3)
    )
    path = several([lower(model, input_shape=(*size, 3)) for size in SIZES])
    for size in SIZES:
        assert psnr_to_keras(MilGenerator.open(path, size), model, photos_at(size)) > 120


def test_int8_has_one_set_of_scales_for_all_sizes(small_student, several, psnr_to_keras, source_of):
    models = models_at(source_of(small_student))
    usual, other = graphs_of(models)
    quantized = quantize_graph(usual, observe.observe_ranges(usual, photos_at(SIZES[0])))
    path = several([usual, other], "int8", quantized=quantized)
    for size, model in models.items():
        assert psnr_to_keras(MilGenerator.open(path, size), model, photos_at(size)) > 30


def test_sizes_are_declared_and_nothing_else_runs(small_student, several, source_of):
    path = several(graphs_of(models_at(source_of(small_student))))
    description = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    (image,) = description.input
    declared = [(size.height, size.width) for size in image.type.imageType.enumeratedSizes.sizes]
    assert (image.type.imageType.height, image.type.imageType.width) == SIZES[0]
    assert sorted(declared) == sorted(SIZES) == sorted(MilGenerator.open(path).sizes)
    assert contents.read_contents(path).enumerated_px == tuple(declared)
    assert MilGenerator.open(path).size == SIZES[0]
    with pytest.raises(UnusableModel, match=r"not of \(40, 40\)"):
        MilGenerator.open(path, (40, 40))


def _altered(path: Path, change: Callable[[Any], None]) -> MilGenerator:
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    change(spec.description.input[0].type.imageType)
    return MilGenerator(spec, model.weights_dir)


def test_a_description_that_contradicts_itself_is_refused(small_student, several, source_of):
    path = several(graphs_of(models_at(source_of(small_student))))

    def default_to_another(image: Any) -> None:
        image.width = 40

    def allow_a_range(image: Any) -> None:
        image.imageSizeRange.widthRange.lowerBound = 1

    with pytest.raises(UnusableModel, match="none of its sizes"):
        _altered(path, default_to_another)
    with pytest.raises(UnusableModel, match="a range of sizes"):
        _altered(path, allow_a_range)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(3, 3, strides=2, padding="same", name="odd"),
        layers.MaxPooling2D(3, strides=2, padding="same", name="odd"),
    ],
)
def test_padding_that_depends_on_the_size_is_refused_by_name(chain, several, layer):
    model = chain([layer], (None, None, 3))
    graphs = [lower(model, input_shape=(side, side, 3)) for side in (16, 17)]
    with pytest.raises(UnsupportedLayer, match=r"layer generated \(\w+\) reads 16x16 pixels .* and 17x17"):
        several(graphs)
