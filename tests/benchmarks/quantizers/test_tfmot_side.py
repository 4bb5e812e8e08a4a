"""Runs the tests of `tfmot_side` in a process of their own and reports each under its name.

TensorFlow takes tf_keras, of which TFMOT's models are, for its Keras only where a variable says so from the start.
"""

import importlib.util
from pathlib import Path

import pytest

SIDE = Path(__file__).parent / "tfmot_side"
# A minute or two of computing; beside a training run and other tests it took a quarter of an hour.
CHILD_TIMEOUT_S = 1200

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow_model_optimization") is None,
        reason="tensorflow-model-optimization, of the group `dev`, is not installed",
    ),
    pytest.mark.timeout(CHILD_TIMEOUT_S),
]


def test_with_tfmot(side_test: str, side_outcomes) -> None:
    side_outcomes.report(side_test)
