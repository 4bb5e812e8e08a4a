"""Runs the tests of `torch_side` in a process of their own and reports each under its name.

Loading torch behind TensorFlow ends the process: both register the same LLVM options.
"""

import importlib.util
from pathlib import Path

import pytest

SIDE = Path(__file__).parent / "torch_side"
# Half a minute of computing on two free cores; ten times that beside a training run.
CHILD_TIMEOUT_S = 900

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("torch_fidelity") is None, reason="the extra `torch` is not installed"),
    pytest.mark.timeout(CHILD_TIMEOUT_S),
]


def test_with_torch(side_test: str, side_outcomes) -> None:
    side_outcomes.report(side_test)
