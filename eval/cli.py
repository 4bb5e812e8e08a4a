"""`compress eval`: images are scored against references, runs are reported."""

from json import dumps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from compress import console
from compress.artifact import refuse_existing, write_text_whole
from eval.config import ReportConfig, ScoreConfig

Flags = Parameter(name="*")
Flag = Annotated[bool, Parameter(negative="")]

app = console.new_app(
    "eval",
    "Score folders of images, and report a run as one page.",
    default_parameter=Parameter(negative_iterable=()),
)


@app.command
def score(
    config: Annotated[ScoreConfig, Flags],
    *,
    out: Path | None = None,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Score generated images: kernel and Fréchet distance to real ones, PSNR and SSIM to the teacher's.

    Args:
        config: What is scored against what.
        out: JSON file to write the scores to.
        overwrite: Replace that file if it exists.
        json: Print the scores as JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from eval import scores

    record = scores.score(config)
    if out is not None:
        write_text_whole(out, dumps(record, indent=2) + "\n", overwrite=overwrite)
    console.show(record, as_json=json, text=_scores_text(record))


@app.command
def report(
    config: Annotated[ReportConfig, Flags],
    *,
    out: Path,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Write one self-contained HTML page: the table baseline against student, and pictures side by side.

    Args:
        config: What the page shows.
        out: HTML file to write.
        overwrite: Replace that file if it exists.
        json: Print what was written as JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from eval.report import page

    document = page.render(config)
    write_text_whole(out, document, overwrite=overwrite)
    console.show({"report": str(out), "size_bytes": len(document.encode())}, as_json=json)


def main() -> None:
    """Run `python -m eval`."""
    raise SystemExit(console.run(app))


def _scores_text(record: dict[str, Any]) -> str:
    """The scores as people read them; single images are left to the JSON."""
    lines = [*_distance_lines(record), *_distance_lines(record.get("control", {}), prefix="control ")]
    for name, unit in (("psnr_db", " dB"), ("ssim", "")):
        if summary := record.get("fidelity", {}).get(name):
            lines.append(f"{name} to the teacher: {summary['mean']:.4g}{unit} (worst image {summary['min']:.4g}{unit})")
    return "\n".join([*lines, *(f"note: {note}" for note in record["notes"])])


def _distance_lines(record: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for name, value in record.items():
        if name.startswith("kid"):
            lines.append(f"{prefix}{name}: {value['mean']:.5f} ± {value['spread']:.5f}")
        elif name.startswith(("fid_", "fd_")) or name == "fid":
            lines.append(f"{prefix}{name}: {value:.3f}")
    return lines
