"""Runs the tests of `torch_side` in a process of their own and reports each under its name.

PyTorch is the oracle there; loading it behind TensorFlow ends the process.
"""

import importlib.util
from pathlib import Path

import pytest

SIDE = Path(__file__).parent / "torch_side"
# A few seconds, most of them PyTorch's start; many times that beside a training run.
CHILD_TIMEOUT_S = 300

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"),
    pytest.mark.timeout(CHILD_TIMEOUT_S),
]


def test_with_torch(side_test: str, side_outcomes) -> None:
    side_outcomes.report(side_test)
