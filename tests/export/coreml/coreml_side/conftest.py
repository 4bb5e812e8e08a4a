"""Fixtures that load coremltools: with torch hidden first, since coremltools imports it and both kill the process."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.modules["torch"] = None  # pyright: ignore[reportArgumentType] - None makes an import fail


def pytest_configure(config: pytest.Config) -> None:
    # coremltools leaves the folder that it writes a package in to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:Implicitly cleaning up <TemporaryDirectory:ResourceWarning")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Any]:
    """Build a graph, save the package, and read it back from disk."""
    from export.coreml import package, program
    from export.coreml.mil_interpreter import MilGenerator

    def save(graph: Any, precision: str = "fp32", **options: Any) -> MilGenerator:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlpackage"
        package.write_package(program.build_program(graph, precision, **options), {}, path)  # pyright: ignore[reportArgumentType]
        return MilGenerator.open(path)

    return save


@pytest.fixture
def psnr_to_keras() -> Callable[..., float]:
    """Compare a package with a model over photos, dB."""
    from compress.images import psnr_db, to_float

    def measure(generator: Any, model: Any, photos: Sequence[np.ndarray]) -> float:
        made = np.stack([generator.translate(photo) for photo in photos])
        wanted = np.asarray(model(to_float(np.stack(photos))))
        return psnr_db(made - np.clip(wanted, -1, 1))

    return measure
