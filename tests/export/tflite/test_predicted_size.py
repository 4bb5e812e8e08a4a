"""The size that `compress.cost` predicts against the file that is written."""

from typing import get_args

import keras
import numpy as np
import pytest

from compress.cost import FILE_ERROR, predict_file_bytes, predict_int8_bytes
from compress.models import cost
from compress.models.pocket_generator import Family, PocketConfig, build_student
from export.calibration.observe import observe_ranges
from export.config import TfliteConfig
from export.graph.lower import lower
from export.graph.operations import Weighted
from export.graph.quantized import quantize_graph
from export.tflite import emitter
from export.tflite.stage import export_tflite


@pytest.mark.parametrize(
    ("family", "width", "blocks", "context"),
    [
        ("pixel_shuffle", 16, 2, True),
        ("pixel_shuffle", 32, 3, False),
        ("pixel_shuffle", 48, 4, True),
        ("pixel_shuffle", 64, 1, True),
        ("separable", 16, 2, False),
        ("separable", 24, 2, True),
        ("separable", 40, 3, True),
        ("separable", 64, 4, False),
        ("space_to_depth", 16, 2, True),
        ("space_to_depth", 24, 3, False),
        ("space_to_depth", 48, 4, True),
        ("space_to_depth", 64, 2, False),
        ("unet", 16, 2, True),
        ("unet", 24, 5, True),
        ("unet", 48, 4, True),
        ("unet", 64, 3, False),
    ],
)
def test_predicted_int8_size_is_within_two_percent(randomise, photos, family, width, blocks, context) -> None:
    config = PocketConfig(family=family, image_size_px=32, width=width, blocks=blocks, context=context)
    student = randomise(build_student(config))
    assert predict_int8_bytes(cost.layer_costs(student)) == pytest.approx(_written(student, photos), rel=0.02)


@pytest.mark.parametrize(
    ("family", "changed"),
    [
        ("pixel_shuffle", {"upsampler": "bilinear"}),
        ("separable", {"upsampler": "depth_to_space"}),
        ("unet", {"upsampler": "bilinear"}),
        *((family, {"kernel_size": 5, "image_skip": False}) for family in get_args(Family)),
    ],
)
def test_every_setting_is_in_the_prediction(randomise, photos, family, changed) -> None:
    config = PocketConfig(family=family, image_size_px=32, width=24, blocks=2, **changed)
    student = randomise(build_student(config))
    assert predict_int8_bytes(cost.layer_costs(student)) == pytest.approx(_written(student, photos), rel=0.02)


@pytest.mark.parametrize(
    ("precision", "io_type"),
    [
        ("int8", "float"),
        ("int8", "uint8"),
        ("int8", "int8"),
        ("fp32", "float"),
        ("fp16", "float"),
        ("dynamic", "float"),
    ],
)
def test_size_of_every_kind_of_file_is_predicted(randomise, photo_folder, tmp_path, precision, io_type) -> None:
    student = randomise(build_student(PocketConfig(family="unet", image_size_px=32, width=24, blocks=2)))
    student.save(tmp_path / "student.keras")
    config = TfliteConfig(precision=precision, io_type=io_type, data=photo_folder)
    written = export_tflite(tmp_path / "student.keras", config, tmp_path / "out").manifest.cost.size_bytes
    predicted = predict_file_bytes(cost.layer_costs(student), precision=precision, io_type=io_type)
    assert predicted == pytest.approx(written, rel=FILE_ERROR)


@pytest.mark.parametrize("family", get_args(Family))
def test_macs_are_those_of_the_deploy_graph(family) -> None:
    """Counted once more from what is written to the file: every kernel at every output pixel."""
    student = build_student(PocketConfig(family=family, image_size_px=32, width=16, blocks=2))
    graph = lower(student, input_shape=(32, 32, 3))
    weighted = [operation for operation in graph.operations if isinstance(operation, Weighted)]
    assert cost.measure_cost(student).macs == sum(
        operation.shape[0] * operation.shape[1] * operation.kernel.size for operation in weighted
    )


@pytest.mark.parametrize("family", get_args(Family))
def test_the_default_student_of_a_family_fits_a_quarter_of_a_megabyte(family) -> None:
    rows = cost.layer_costs(build_student(PocketConfig(family=family)))
    assert predict_int8_bytes(rows) <= 0.98 * 250_000


def _written(student: keras.Model, photos: list[np.ndarray]) -> int:
    """Bytes of the int8 file."""
    graph = lower(student, input_shape=(32, 32, 3))
    return len(emitter.int8_file(quantize_graph(graph, observe_ranges(graph, photos[:1])), "float"))
