"""Runs the tests of `replicas_side` in a process of their own, whose processor counts as two devices from the start."""

from pathlib import Path

import pytest

SIDE = Path(__file__).parent / "replicas_side"
CHILD_TIMEOUT_S = 600

pytestmark = pytest.mark.timeout(CHILD_TIMEOUT_S)


def test_on_two_devices(side_test: str, side_outcomes) -> None:
    side_outcomes.report(side_test)
