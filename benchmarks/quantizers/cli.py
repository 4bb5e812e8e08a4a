"""`python -m benchmarks.quantizers`: a developer's program, no command of `compress`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.config import OraclesConfig
from compress import console
from compress.artifact import refuse_existing
from compress.errors import UnusableModel

app = console.new_app(
    "python -m benchmarks.quantizers",
    "Hold a student's int8 export against litert-quantizer's and the TF converter's, on the same photos; by --steps "
    "and --teacher also our quantisation-aware training and its control in float against TFMOT's.",
    default_parameter=Parameter(negative=()),
)


@app.default
def oracles(
    student: Path,
    *,
    config: Annotated[OraclesConfig, Parameter(name="*")],
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write the student by every quantiser, and measure the files.

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
    from benchmarks.host.table import format_quantizers
    from benchmarks.quantizers.oracles import compare_oracles

    record = compare_oracles(student, config)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_quantizers(record))


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))
