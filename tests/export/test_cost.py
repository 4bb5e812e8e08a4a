"""Cost of a described generator against that of the same layers in Keras."""

import keras
import pytest
from keras import layers

from compress import teachers
from compress.cost import predict_int8_bytes
from compress.models import cost, pocket_generator
from compress.models.pocket.config import PocketConfig
from compress.teachers import read
from compress.teachers.build import build_generator
from export.cost import described_layer_costs, measure_described_cost


def _rows(rows) -> dict[str, tuple[int, int, tuple[int, int, int], int]]:
    found = {row.name: (row.params, row.macs, row.output_shape, row.kernel_weights) for row in rows}
    return {name: row for name, row in found.items() if row[0]}


@pytest.mark.parametrize("family", ["pixel_shuffle", "unet"])
def test_a_students_layers_cost_what_they_cost_in_keras(family, tmp_path) -> None:
    model = pocket_generator.build_student(PocketConfig(family=family, width=16, blocks=2, image_size_px=32))
    model.save(tmp_path / "model.keras")
    description = read.describe(tmp_path / "model.keras")
    rows = described_layer_costs(description, (32, 32))
    assert _rows(rows) == _rows(cost.layer_costs(model))
    assert predict_int8_bytes(rows) == predict_int8_bytes(cost.layer_costs(model))
    assert measure_described_cost(description, (32, 32)) == cost.measure_cost(model)


def test_a_teachers_cost_is_that_at_the_size_asked_for(teacher_file) -> None:
    description = teachers.describe(teacher_file)
    measured = measure_described_cost(description, (64, 32))
    assert measured == cost.measure_cost(build_generator(description), image_size_px=(64, 32))
    assert measured.macs is not None
    assert measured.macs > 0


def test_separable_and_transposed_kernels_are_counted(chain, tmp_path) -> None:
    row = [layers.SeparableConv2D(8, 3, padding="same"), layers.Conv2DTranspose(4, 3, 2), layers.DepthwiseConv2D(3)]
    model: keras.Model = chain([*row, layers.Cropping2D(((0, 0), (0, 0))), layers.Conv2D(3, 1)], (8, 8, 3))
    model.save(tmp_path / "model.keras")
    from compress.teachers.keras import archive

    description = archive.describe(tmp_path / "model.keras")
    assert measure_described_cost(description, (8, 8)).macs == cost.measure_cost(model).macs
