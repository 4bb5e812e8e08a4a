"""The copy of a student in tf_keras, in float and prepared for TFMOT."""

import re
from typing import get_args

import numpy as np
import pytest
import tensorflow_model_optimization as tfmot
from ai_edge_litert.interpreter import Interpreter

from benchmarks.quantizers.tfmot.student import build_copy, insert_fake_quantization
from benchmarks.quantizers.tfmot.training import LARGEST_COPY_DIFFERENCE, convert_to_tflite
from compress.models.pocket_generator import Family
from export.inspect.operators import list_operators


@pytest.mark.parametrize("family", get_args(Family))
def test_copy_makes_the_same_pictures_in_float(student, described, pairs, family) -> None:
    model = student(family)
    photos, _ = pairs.batch(np.arange(4))
    made, wanted = (one.predict_on_batch(photos) for one in (build_copy(described(model)), model))
    assert np.abs(wanted).mean() > 0.1
    assert np.abs(made - wanted).max() < LARGEST_COPY_DIFFERENCE


@pytest.mark.parametrize(
    ("family", "message"),
    [("separable", "multiply.Multiply"), ("pixel_shuffle", "DepthToSpace supplied to wrapper")],
    ids=["product", "shuffle"],
)
def test_tfmot_by_itself_refuses_a_student(student, described, family, message) -> None:
    """Why layers are annotated by hand."""
    with pytest.raises((RuntimeError, ValueError), match=re.escape(message)):
        tfmot.quantization.keras.quantize_model(build_copy(described(student(family))))


@pytest.mark.parametrize("family", ["pixel_shuffle", "separable"])
def test_file_computes_in_int8_from_end_to_end(student, described, family) -> None:
    model, by_hand = insert_fake_quantization(build_copy(described(student(family))))
    shuffles = {"DepthToSpace": 2, "SpaceToDepth": 1} if family == "pixel_shuffle" else {}
    assert by_hand == {"Multiply": 1, **shuffles}
    content = convert_to_tflite(model)
    assert {operator.dtype for operator in list_operators(content)} == {"int8"}
    interpreter = Interpreter(model_content=content)
    assert [end["dtype"] for end in (*interpreter.get_input_details(), *interpreter.get_output_details())] == [
        np.int8
    ] * 2
