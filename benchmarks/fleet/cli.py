"""`python -m benchmarks.fleet`: a developer's program, no command of `compress`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.fleet.config import LoadConfig
from compress import console
from compress.files.atomic import refuse_existing

app = console.new_app(
    "python -m benchmarks.fleet",
    "Score images of noise by one process and by workers, and model the time of many machines. Takes minutes.",
    default_parameter=Parameter(negative=()),
)


@app.default
def fleet(
    config: Annotated[LoadConfig, Parameter(name="*")] | None = None,
    *,
    trial_s: float = 600.0,
    trial_driver_s: float = 0.5,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time scoring in interleaved turns, and predict it and sweeps for many nodes of as many cores.

    Args:
        config: Numbers of images and workers.
        trial_s: Seconds of a trial of a sweep, on one core; for the model.
        trial_driver_s: Seconds that a sweep's driver takes for a trial; for the model.
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.fleet import load, table
    from benchmarks.fleet.model import SweepCosts

    start_s, dispatch_s = load.measure_dispatch_s()
    scorings = load.measure_load(config or LoadConfig())
    costs, cores = load.find_costs(scorings, start_s, dispatch_s), os.cpu_count() or 1
    sweep = SweepCosts(start_s=start_s, trial_s=trial_s, driver_s=trial_driver_s)
    record = {"scorings": [asdict(one) for one in scorings], "costs": asdict(costs), "cores": cores}
    costs_line = ", ".join(f"{name} {value:.3g}" for name, value in asdict(costs).items())
    text = f"{table.format_load(scorings)}\n\n{costs_line}\n\n{table.format_model(costs, sweep, cores)}"
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=text)


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))
