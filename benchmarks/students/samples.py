"""The picture beside the table: a row for each test photo, a column for each model's images."""

import io
from pathlib import Path

import numpy as np

from benchmarks.students.commands import IMAGES, INPUTS
from benchmarks.students.inputs import ComparisonInputs
from compress import images
from compress.files.atomic import replace_bytes

SAMPLES = "samples.png"
_ROWS = 6


def list_columns(inputs: ComparisonInputs) -> dict[str, str]:
    """Return the columns from left to right: names in the table, and their folders of images."""
    columns = [model for model in inputs.models if model == inputs.baseline or _has_column(model.kind, model.precision)]
    return {INPUTS: INPUTS, **{model.name: model.key for model in columns}}


def write_samples(inputs: ComparisonInputs, out: Path) -> None:
    """Write `samples.png`: up to 6 photos, from all over the test set.

    Raises:
        UnusableData: If there are no images, or one is broken.
    """
    photos = images.list_images(out / IMAGES / INPUTS)
    chosen = np.linspace(0, len(photos) - 1, min(_ROWS, len(photos))).round().astype(int)
    folders = [out / IMAGES / folder for folder in list_columns(inputs).values()]
    rows = [[images.read_image(folder / photos[index].name) for folder in folders] for index in chosen]
    buffer = io.BytesIO()
    images.write_png(buffer, images.contact_sheet(rows, columns=list(list_columns(inputs))))
    replace_bytes(out / SAMPLES, buffer.getvalue())


def _has_column(kind: str, precision: str) -> bool:
    return kind == "peer" or (kind == "student" and precision == "int8")
