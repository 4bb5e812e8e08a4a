"""The command `python -m benchmarks.runtimes`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.runtimes.config import RuntimesConfig
from compress import console
from compress.files.atomic import atomic_dir, refuse_existing

app = console.new_app(
    "python -m benchmarks.runtimes",
    "Run files of every form on every runtime that can be had here, and tell how far each is from what their numbers "
    "mean. Runtimes are installed at pinned versions, in environments of their own.",
    default_parameter=Parameter(negative=()),
)


@app.default
def compare(
    *,
    out: Path,
    config: Annotated[RuntimesConfig, Parameter(name="*", negative_iterable=())] | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write the tables.

    Args:
        out: Folder for table.json and table.md.
        overwrite: Replace that folder if it exists.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from benchmarks.runtimes.stage import compare_runtimes
    from benchmarks.runtimes.table import format_summary, format_tables

    record = compare_runtimes(config or RuntimesConfig())
    with atomic_dir(out, overwrite=overwrite) as scratch:
        console.keep_and_show(
            record, out=scratch / "table.json", overwrite=False, as_json=json, text=format_summary(record)
        )
        (scratch / "table.md").write_text(format_tables(record), encoding="utf-8")


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))
