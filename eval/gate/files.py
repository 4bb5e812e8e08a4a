"""What a gate leaves behind: JSON for programs, Markdown for a pull request, JUnit for a CI, pictures for eyes."""

import json
from pathlib import Path
from xml.etree import ElementTree

from compress.artifact import atomic_dir
from compress.images import contact_sheet, read_image, write_png
from compress.text_table import format_columns
from eval.gate import format
from eval.gate.outcome import Case, Outcome

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
        (folder / "summary.md").write_text(summary(outcome), encoding="utf-8")
        junit(outcome).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)
        if outcome.worst:
            (folder / "worst").mkdir()
        for rank, case in enumerate(outcome.worst, start=1):
            draw_case(case, folder / "worst" / f"{rank}.png")


def text(outcome: Outcome) -> str:
    """The result as people read it in a terminal."""
    rows = [format.HEADINGS, *(format.cells(check) for check in outcome.checks)]
    return "\n".join([_headline(outcome), *format_columns(rows), *_not_checked(outcome), *_power(outcome)])


def summary(outcome: Outcome) -> str:
    """The result as Markdown: the verdict in words, a row for each check, the power, how it was measured."""
    table = [format.HEADINGS, tuple("---" for _ in format.HEADINGS), *(format.cells(check) for check in outcome.checks)]
    parts = [
        f"## {_headline(outcome)}",
        "\n".join(f"- {format.sentence(check)}" for check in outcome.checks if check.verdict != "pass"),
        "\n".join(f"| {' | '.join(row)} |" for row in table),
        "\n".join(f"- {line}" for line in [*_not_checked(outcome), *_power(outcome)]),
        _worst(outcome),
        f"How it was measured: {_method(outcome)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def junit(outcome: Outcome) -> ElementTree.ElementTree:
    """One test case for each check; what cannot be told is skipped, or fails where the configuration says so."""
    failed = outcome.failed_checks
    undecided = [check for check in outcome.checks if check.verdict == "inconclusive" and check not in failed]
    counts = {"tests": len(outcome.checks), "failures": len(failed), "skipped": len(undecided), "errors": 0}
    suite = ElementTree.Element(
        "testsuite", {"name": "compress eval gate"} | {name: str(count) for name, count in counts.items()}
    )
    for check in outcome.checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "gate", "name": check.name})
        if check.verdict != "pass":
            kind = "failure" if check in failed else "skipped"
            ElementTree.SubElement(case, kind, {"message": format.sentence(check)})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return ElementTree.ElementTree(root)


def draw_case(case: Case, path: Path) -> None:
    """Draw the input, the teacher's or baseline's image and the candidate's in a row; the input is fitted to them."""
    candidate = read_image(case.candidate)
    size = (candidate.shape[0], candidate.shape[1])
    write_png(path, contact_sheet([[read_image(case.input, size), read_image(case.reference), candidate]]))


def _headline(outcome: Outcome) -> str:
    if outcome.verdict == "inconclusive":
        return f"{_VERDICTS['inconclusive']} ({'passes' if outcome.passed else 'fails'} by --inconclusive)"
    return _VERDICTS[outcome.verdict]


def _not_checked(outcome: Outcome) -> list[str]:
    return [f"not checked: {unchecked.name}: {unchecked.why}." for unchecked in outcome.unchecked]


def _power(outcome: Outcome) -> list[str]:
    notes = [format.power_note(check) for check in outcome.checks]
    return [f"with these {outcome.candidate.images} images, {note}" for note in notes if note]


def _worst(outcome: Outcome) -> str:
    if not outcome.worst:
        return ""
    reference = "baseline" if outcome.config.teacher is None else "teacher"
    lines = [
        f"{rank}. `{case.stem.replace('`', chr(39))}`: {format.number(case.psnr_db)} dB"
        for rank, case in enumerate(outcome.worst, start=1)
    ]
    heading = f"Worst images by PSNR to the {reference} (in `worst/`: input, {reference}, candidate):"
    return "\n".join([heading, "", *lines])


def _method(outcome: Outcome) -> str:
    key, config = outcome.candidate.key, outcome.config
    height, width = key["image_size_px"]
    versions = ", ".join(f"{package} {version}" for package, version in key["versions"].items())
    return (
        f"{key['fake_images']} images of {width}x{height} px against {key['real_images']} real ones, features "
        f"of {key['network']} ({key['layer']}, weights {key['weights_sha256'][:12]}); 95 % intervals by a paired "
        f"bootstrap over the inputs, {key['resamples']} resamples, seed {key['seed']}; {versions}. "
        f"Candidate `{config.candidate}`, baseline `{config.baseline}`."
    )
