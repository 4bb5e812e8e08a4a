"""These tests load torch, so they are collected only when they are all that is asked for: see ../test_torch_side.py."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out of a run that also collects tests which may load TensorFlow."""
    asked_for = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return None if all(path.is_relative_to(HERE) for path in asked_for) else True
