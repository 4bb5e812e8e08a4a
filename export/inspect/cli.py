"""The command `compress inspect`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from compress import console
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.delegates.table import DelegateName

Switch = Annotated[bool, Parameter(negative="")]
"""A flag that is given or not: no --no- form in the help."""


def inspect(
    model: Path,
    *,
    reading: Annotated[ReadingConfig, Parameter(name="*", negative_iterable=())] | None = None,
    image_size_px: int | None = None,
    time_operators: Switch = False,
    chart: Path | None = None,
    overwrite: Switch = False,
    fail_on: Literal["fallback"] | None = None,
    target: DelegateName | None = None,
    json: Switch = False,
) -> None:
    """Show what a generator is, what it costs, and what will not run on a phone and why.

    Args:
        model: A generator file (.h5, .keras, .pth, SavedModel), a .tflite, a .mlpackage, or an artifact.
        image_size_px: Side of the square to count MACs for; the model's own size when not given.
        time_operators: Of a .tflite, time each operator by itself; takes seconds.
        chart: PNG file to draw those times to, the slowest operators first.
        overwrite: Replace that file if it exists.
        fail_on: fallback: exit with 1 where anything runs outside a phone's fast kernels.
        target: The delegate whose fallbacks are named of a .tflite, by its sources; the CPU's when not given, measured.
        json: Print JSON.
    """
    from export.inspect.stage import inspect_model, require_no_fallback

    inspection = inspect_model(
        model,
        reading=reading or AS_FOUND,
        image_size_px=image_size_px,
        time_operators=time_operators,
        chart=chart,
        overwrite=overwrite,
        require_operators=fail_on is not None,
        target=target,
    )
    console.show(inspection.report, as_json=json, text=inspection.text)
    if fail_on == "fallback":
        require_no_fallback(inspection.report)
