"""Runs the tests of `coreml_side` in a process of their own and reports each under its name.

coremltools imports torch where it finds it, and TensorFlow beside torch ends the process.
"""

import importlib.util
from pathlib import Path

import pytest

SIDE = Path(__file__).parent / "coreml_side"
# 40 s of computing; beside a training run it took ten minutes.
CHILD_TIMEOUT_S = 900

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("coremltools") is None, reason="the extra `coreml` is not installed"),
    pytest.mark.timeout(CHILD_TIMEOUT_S),
]


def test_with_coremltools(side_test: str, side_outcomes) -> None:
    side_outcomes.report(side_test)
