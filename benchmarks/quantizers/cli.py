"""`python -m benchmarks.quantizers`: a developer's program, no command of `compress`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.quantizers.config import QuantizersConfig
from compress import console
from compress.errors import UnusableModel
from compress.files.atomic import refuse_existing

app = console.new_app(
    "python -m benchmarks.quantizers",
    "Compare a student's int8 export with litert-quantizer's and the TF converter's, on the same photos; with --steps "
    "and --teacher also our quantisation-aware training and its control in float with TFMOT's.",
    default_parameter=Parameter(negative=()),
)


@app.default
def compare(
    student: Path,
    *,
    config: Annotated[QuantizersConfig, Parameter(name="*")],
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Export the student with every quantiser, and measure the files.

    Args:
        student: The student's artifact.
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    if not student.exists():
        raise UnusableModel(f"{student} does not exist; expected a student's artifact.")
    from benchmarks.quantizers.compare import compare_quantizers
    from benchmarks.quantizers.table import format_table

    record = compare_quantizers(student, config)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))
