"""A sweep's file, written in a line."""

from collections.abc import Callable
from pathlib import Path

import pytest

RECIPE = """
[distill]
image_size_px = 64
width = 8
blocks = 1
steps = 100
sample_every = 10
checkpoint_every = 20
"""


@pytest.fixture
def write_sweep(tmp_path: Path, photo_folders: Path, teacher_file: Path) -> Callable[..., Path]:
    """Write a SWEEP.toml over a small recipe: `write_sweep('[space]…', recipe="[distill]…")`."""

    def write(tables: str, *, recipe: str = RECIPE, head: str | None = None) -> Path:
        (tmp_path / "recipe.toml").write_text(recipe)
        usual = f'recipe = "{tmp_path}/recipe.toml"\ndata = "{photo_folders}"\nteacher = "{teacher_file}"\n'
        path = tmp_path / "sweep.toml"
        path.write_text(f"{usual if head is None else head}\n{tables}")
        return path

    return write
