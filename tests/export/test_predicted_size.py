"""The size that `compress.cost` predicts against the file that is written."""

import pytest

from compress import cost
from compress.models.pocket_generator import PocketConfig, build
from export import tflite
from export.calibrate import observe_ranges
from export.lower import lower
from export.quantization import quantize


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
    ],
)
def test_predicted_int8_size_is_within_two_percent(randomise, photos, family, width, blocks, context) -> None:
    config = PocketConfig(family=family, image_size_px=32, width=width, blocks=blocks, context=context)
    student = randomise(build(config))
    graph = lower(student, input_shape=(32, 32, 3))
    written = len(tflite.int8_file(quantize(graph, observe_ranges(graph, photos[:1])), "float"))
    assert cost.predict_int8_bytes(cost.layer_costs(student)) == pytest.approx(written, rel=0.02)
