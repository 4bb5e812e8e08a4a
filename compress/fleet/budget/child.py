"""Untrained students, built in a process of their own: the sweep's own loads no framework and holds no accelerator.

Reads a JSON list of students from stdin, writes the list of their costs to stdout, and the models that are asked for.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress.models.cost import layer_costs
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student

_DRAWN = 0.05
"""Deviation of what is added to weights that start at a constant."""


def answer(student: dict[str, Any], save: str | None) -> list[dict[str, Any]]:
    """Return the layers' costs of a student.

    Args:
        student: Fields of `PocketConfig`.
        save: Path of the `.keras` file to write it to; None to write none.
    """
    model = build_student(PocketConfig(**student))
    if save is not None:
        draw_weights(model)
        model.save(Path(save))
    return [asdict(row) for row in layer_costs(model)]


def draw_weights(model: keras.Model) -> None:
    """Add noise to a student's trainable weights.

    Untrained ones hold kernels of zeros, which are equal: a file stores equal ones once, and would be smaller than any
    of a trained student.
    """
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        variable.assign(value + generator.normal(0, _DRAWN, value.shape).astype(value.dtype))


def _main() -> None:
    answers = [answer(**job) for job in json.load(sys.stdin)]
    print(json.dumps(answers))


if __name__ == "__main__":
    _main()
