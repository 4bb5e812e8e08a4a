"""Commands of `compress eval`: score, perturb, gate, accept, report and card."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from compress import console
from compress.console.headline import EFFECT_TONES, Headline
from compress.files.atomic import atomic_write_text, refuse_existing
from compress.fleet.config import ALONE, FleetConfig
from eval.config import AcceptConfig, CardConfig, GateConfig, PerturbConfig, ReportConfig, ScoreConfig
from eval.score_key import is_distance, is_kernel_distance

Flags = Parameter(name="*")
Flag = Annotated[bool, Parameter(negative="")]

app = console.new_app(
    "eval",
    "Score folders of images, hold a candidate against its baseline, and report a run as one page.",
    default_parameter=Parameter(negative_iterable=()),
)


@app.command
def score(
    config: Annotated[ScoreConfig, Flags],
    *,
    fleet: Annotated[FleetConfig, Flags] | None = None,
    out: Path | None = None,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Score generated images: kernel and Fréchet distance to real ones, similarity to the teacher's, or flicker.

    Args:
        config: The folders, and the network whose features are compared.
        fleet: The processes that share the images.
        out: JSON file to write the scores to.
        overwrite: Replace that file if it exists.
        json: Print the scores as JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from eval import scores

    record = scores.score_folder(config, fleet or ALONE)
    shown, headline = _format_scores(record), _head_scores(config.fake, record)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=shown, headline=headline)


@app.command
def perturb(
    photos: Path,
    *,
    config: Annotated[PerturbConfig, Flags],
    out: Path,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Write perturbed copies of photos, by which flicker is measured: sub-pixel shifts, small noise, JPEG.

    Translate the folder with each model, then: compress eval score --flicker OUT --fake STUDENT'S --teacher TEACHER'S.

    Args:
        photos: A folder of photos.
        config: The image size, how many photos, and the seed.
        out: Folder to write.
        overwrite: Replace that folder if it exists.
        json: Print what was written as JSON.
    """
    from eval.flicker.perturb import perturb_folder

    console.show(perturb_folder(photos, config, out, overwrite=overwrite), as_json=json)


@app.command
def gate(
    config: Annotated[GateConfig, Flags],
    *,
    out: Path | None = None,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Compare a candidate with its baseline: pass, regression (exit code 1) or inconclusive.

    Args:
        config: The folders, and how much worse the candidate may be.
        out: Folder to write gate.json, summary.md, junit.xml and the worst images to.
        overwrite: Replace that folder if it exists.
        json: Print the result as JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from eval.gate import files, stage

    outcome = stage.run_gate(config)
    if out is not None:
        files.write_files(outcome, out, overwrite=overwrite)
    console.show(outcome.to_mapping(), as_json=json, text=files.format_text(outcome))
    outcome.raise_if_failed()


@app.command
def accept(
    config: Annotated[AcceptConfig, Flags],
    *,
    out: Path,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Make a candidate the baseline: write the small file that later candidates are compared with.

    Args:
        config: The folders to measure.
        out: Baseline file to write.
        overwrite: Replace that file if it exists, and say what changes.
        json: Print what was written as JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from eval.gate import baseline, stage

    old = baseline.read_replaced_baseline(out)
    measurement = stage.accept_baseline(config)
    changed = baseline.find_changes(old, measurement) if old else None
    baseline.write_baseline(measurement, out, overwrite=overwrite)
    record = {"baseline": str(out), "size_bytes": out.stat().st_size, "changes": changed}
    text = f"wrote {out} ({record['size_bytes'] / 1e3:.0f} kB)"
    console.show(record, as_json=json, text=text if changed is None else f"{text}; {baseline.format_changes(changed)}")


@app.command
def report(
    config: Annotated[ReportConfig, Flags],
    *,
    out: Path,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Write one self-contained HTML page: baseline against students in tables, plots and pictures.

    Args:
        config: The sources of the page.
        out: HTML file to write.
        overwrite: Replace that file if it exists.
        json: Print what was written as JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from eval.report import page

    document = page.render_page(config)
    atomic_write_text(out, document, overwrite=overwrite)
    console.show({"report": str(out), "size_bytes": len(document.encode())}, as_json=json)


@app.command
def card(
    config: Annotated[CardConfig, Flags],
    *,
    out: Path,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Write a model card: what a model is, where it comes from, its scores, sizes, speed and limits.

    Args:
        config: The model, and what was measured of it.
        out: Markdown file to write, such as model_card.md.
        overwrite: Replace that file if it exists.
        json: Print what was written as JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from eval.model_card import write_card

    document = write_card(config)
    atomic_write_text(out, document, overwrite=overwrite)
    console.show({"card": str(out), "size_bytes": len(document.encode())}, as_json=json)


def main() -> None:
    """Run `python -m eval`."""
    raise SystemExit(console.run(app))


def _head_scores(fake: Path, record: dict[str, Any]) -> Headline | None:
    """Say what the student does beyond the untouched photos, where they were scored beside it."""
    if effect := record.get("effect"):
        return Headline(text=f"{fake.name} {effect['text']}", tone=EFFECT_TONES[effect["verdict"]])
    return None


def _format_scores(record: dict[str, Any]) -> str:
    """Format scores for people, each beside that of the untouched photos; single images are left to the JSON."""
    sister = f"; in a sister of {record['sister']}, which trained it" if "sister" in record else ""
    lines = _format_measures(record, remark=sister)
    lines += _format_measures(record.get("control", {}), prefix="control ")
    lines += [line for kind, value in record.get("flicker", {}).items() for line in _format_flicker(kind, value)]
    spent = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in record["seconds"].items())
    return "\n".join([*lines, *(f"note: {note}" for note in record["notes"]), f"spent: {spent}"])


def _format_measures(record: dict[str, Any], prefix: str = "", remark: str = "") -> list[str]:
    lines = _format_distances(record, prefix, remark)
    for key, other in (("similarity", "the teacher"), ("truth", "the truth")):
        lines += [f"{prefix}{line}" for line in _format_similarity(record.get(key, {}), other, remark)]
    return lines


def _format_distances(record: dict[str, Any], prefix: str, remark: str) -> list[str]:
    lines = []
    for name, value in record.items():
        if is_kernel_distance(name):
            low, high = _interval_of(record, name)
            lines.append(f"{prefix}{name}: {value['mean']:.5f} (95 %: {low:.5f} to {high:.5f}){remark}")
        elif is_distance(name):
            low, high = _interval_of(record, name)
            lines.append(f"{prefix}{name}: {value:.3f} (95 %: {low:.3f} to {high:.3f}){remark}")
        elif name.startswith(("precision_", "recall_")):
            lines.append(f"{prefix}{name}: {value:.1%}{remark}")
    return lines


def _interval_of(record: dict[str, Any], name: str) -> tuple[float, float]:
    return record["intervals"][name]["low"], record["intervals"][name]["high"]


def _format_similarity(similarity: dict[str, Any], other: str, remark: str) -> list[str]:
    lines = []
    for name, value in similarity.items():
        if name == "colour_offset":
            red, green, blue = value["mean"]
            lines.append(f"{name} from {other}: R {red:+.2f}, G {green:+.2f}, B {blue:+.2f} levels of 255")
        elif name != "images" and isinstance(value, dict):
            unit = " dB" if name.endswith("_db") else ""
            is_in_features = name.startswith("perceptual")
            worst = value["max" if is_in_features else "min"]
            text = f"{name} to {other}: {value['mean']:.4g}{unit} (worst image {worst:.4g}{unit})"
            lines.append(text + (remark if is_in_features else ""))
    return lines


def _format_flicker(kind: str, value: dict[str, Any]) -> list[str]:
    """Format the flicker under one kind of change, and which image's is the worst."""
    changes = {name: image["output_change"] for name, image in value["images"].items()}
    worst = max(changes, key=changes.__getitem__)
    lines = [
        f"flicker, {kind}: {_format_ratio(value)} the photos' change of {value['input_change']:.2f} levels of 255; "
        f"largest change {changes[worst]:.2f} levels, of {worst}"
    ]
    if "teacher" in value:
        lines.append(f"flicker, {kind}, of the teacher: {_format_ratio(value['teacher'])} the photos' change")
    if held := value.get("to_teacher"):
        lines.append(f"flicker, {kind}, against the teacher: {_format_ratio(held)} its change: {held['verdict']}")
    return lines


def _format_ratio(value: dict[str, float]) -> str:
    return f"{value['ratio']:.3f} (95 %: {value['low']:.3f} to {value['high']:.3f}) times"
