"""`python -m benchmarks.toolkit`: a developer's program, no command of `compress`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.toolkit.config import ToolkitConfig
from compress import console
from compress.files.atomic import refuse_existing

app = console.new_app(
    "python -m benchmarks.toolkit",
    "Time the commands of compress themselves: their start, their imports, their work and training. Takes minutes.",
    default_parameter=Parameter(negative=()),
)


@app.default
def toolkit(
    config: Annotated[ToolkitConfig, Parameter(name="*")] | None = None,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time all commands in interleaved rounds.

    Args:
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.toolkit.stage import bench_toolkit
    from benchmarks.toolkit.table import format_table

    record = bench_toolkit(config or ToolkitConfig())
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


@app.command
def spread(*measurements: Path, json: bool = False) -> None:
    """Show how far runs of a benchmark over the same models lie apart, beyond what their own noise explains.

    Args:
        measurements: Records of `compress bench host --out` or `python -m benchmarks.toolkit --out`, or table.json of
            `compress bench published`, of several runs; of 10 runs the spread is known within a quarter.
        json: Print JSON.
    """
    from benchmarks.timing.baseline import read_benchmark, require_quotable
    from benchmarks.toolkit.spread import format_spread, measure_spread, spread_record

    measured = [read_benchmark(path) for path in measurements]
    for measurement, path in zip(measured, measurements, strict=True):
        require_quotable(measurement, path)
    spreads = measure_spread(measured)
    console.show(spread_record(spreads), as_json=json, text=format_spread(spreads))


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))
