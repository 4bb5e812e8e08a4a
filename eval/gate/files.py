"""Files of a gate: JSON for programs, Markdown for a pull request, JUnit for a CI, pictures to look at."""

import json
from pathlib import Path
from xml.etree import ElementTree

from compress.files.atomic import atomic_dir
from compress.images import contact_sheet, read_image, write_png
from compress.text_table import format_columns, format_markdown
from eval.gate.collector import WorstImage
from eval.gate.format import HEADINGS, format_cells, format_number, format_power, format_sentence
from eval.gate.outcome import Outcome

_VERDICTS = {
    "pass": "Pass: every limit is kept",
    "regression": "Regression: the candidate is worse than its limits allow",
    "inconclusive": "Inconclusive: these test images do not decide whether a limit is kept",
}


def write_files(outcome: Outcome, out: Path, *, overwrite: bool = False) -> None:
    """Write `gate.json`, `summary.md`, `junit.xml` and the pictures of `worst/`, all or nothing.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    with atomic_dir(out, overwrite=overwrite) as folder:
        (folder / "gate.json").write_text(json.dumps(outcome.to_mapping(), indent=2) + "\n", encoding="utf-8")
        (folder / "summary.md").write_text(format_summary(outcome), encoding="utf-8")
        build_junit(outcome).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)
        if outcome.worst:
            (folder / "worst").mkdir()
        for rank, image in enumerate(outcome.worst, start=1):
            draw_worst_image(image, folder / "worst" / f"{rank}.png", reference=_name_reference(outcome))


def format_text(outcome: Outcome) -> str:
    """Format a gate's result for a terminal."""
    lines = [*format_columns(_rows(outcome)), *_format_notes(outcome), *_format_power(outcome)]
    return "\n".join([_format_headline(outcome), *lines])


def format_summary(outcome: Outcome) -> str:
    """Format a gate's result as Markdown: verdict in words, a row for each check, the power, how it was measured."""
    parts = [
        f"## {_format_headline(outcome)}",
        "\n".join(f"- {format_sentence(check)}" for check in outcome.checks if check.verdict != "pass"),
        format_markdown(_rows(outcome)),
        "\n".join(f"- {line}" for line in [*_format_notes(outcome), *_format_power(outcome)]),
        _format_worst(outcome),
        f"How it was measured: {_format_method(outcome)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def build_junit(outcome: Outcome) -> ElementTree.ElementTree:
    """Build a test case for each check; an inconclusive one is skipped, or fails where the configuration says so."""
    failed = outcome.failed_checks
    inconclusive = [check for check in outcome.checks if check.verdict == "inconclusive" and check not in failed]
    counts = {"tests": len(outcome.checks), "failures": len(failed), "skipped": len(inconclusive), "errors": 0}
    suite = ElementTree.Element(
        "testsuite", {"name": "compress eval gate"} | {name: str(count) for name, count in counts.items()}
    )
    for check in outcome.checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "gate", "name": check.name})
        if check.verdict != "pass":
            kind = "failure" if check in failed else "skipped"
            ElementTree.SubElement(case, kind, {"message": format_sentence(check)})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return ElementTree.ElementTree(root)


def draw_worst_image(image: WorstImage, path: Path, *, reference: str) -> None:
    """Draw the photo, the teacher's or baseline's image and the candidate's in a row; the photo is fitted to them."""
    size = (image.candidate.shape[0], image.candidate.shape[1])
    row = [read_image(image.input, size), image.reference, image.candidate]
    write_png(path, contact_sheet([row], columns=("photo", reference, "candidate")))


def _rows(outcome: Outcome) -> list[tuple[str, ...]]:
    return [HEADINGS, *(format_cells(check) for check in outcome.checks)]


def _format_headline(outcome: Outcome) -> str:
    if outcome.verdict == "inconclusive":
        return f"{_VERDICTS['inconclusive']} ({'passes' if outcome.passed else 'fails'} by --inconclusive)"
    return _VERDICTS[outcome.verdict]


def _format_notes(outcome: Outcome) -> list[str]:
    equal = "the candidate's images are the teacher's, so no limit on their quality is exceeded."
    notes = [equal] if outcome.equals_teacher else []
    return [*notes, *(f"not checked: {unchecked.name}: {unchecked.why}." for unchecked in outcome.unchecked)]


def _format_power(outcome: Outcome) -> list[str]:
    notes = [format_power(check) for check in outcome.checks]
    return [f"with these {outcome.candidate.images} images, {note}" for note in notes if note]


def _format_worst(outcome: Outcome) -> str:
    if not outcome.worst:
        return ""
    reference = _name_reference(outcome)
    lines = [
        f"{rank}. `{image.stem.replace('`', chr(39))}`: {format_number(image.psnr_db)} dB"
        for rank, image in enumerate(outcome.worst, start=1)
    ]
    heading = f"Worst images by PSNR to the {reference} (in `worst/`: photo, {reference}, candidate):"
    return "\n".join([heading, "", *lines])


def _name_reference(outcome: Outcome) -> str:
    return "baseline" if outcome.config.teacher is None else "teacher"


def _format_method(outcome: Outcome) -> str:
    key, config = outcome.candidate.key, outcome.config
    height, width = key["image_size_px"]
    versions = ", ".join(f"{package} {version}" for package, version in key["versions"].items())
    return (
        f"{key['fake_images']} images of {width}x{height} px against {key['real_images']} real ones, features "
        f"of {key['network']} ({key['layer']}, weights {key['weights_sha256'][:12]}); 95 % intervals by a paired "
        f"bootstrap over the inputs, {key['resamples']} resamples, seed {key['seed']}; {versions}. "
        f"Candidate `{config.candidate}`, baseline `{config.baseline}`."
    )
