"""The documents: links lead somewhere, commands and flags exist, the README and the changelog stay short."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from compress.cli import app

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = ROOT / "findings"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "findings/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
COMMAND = re.compile(r"\bcompress ((?:[a-z]+ ?)+)(.*)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# The diary tells what was run, with the flags of its day.
OF_TODAY = [path for path in DOCUMENTS if path.name != "experiments.md"]
GONE = {("bench", "training"), ("bench", "students"), ("bench", "peer"), ("bench", "table")}
"""Commands that are named where it is told that they are no more."""


def _anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert broken == []


def _commands(document: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The words behind each `compress` in the code of a document, and the flags that follow."""
    for code in CODE.findall(document.read_text(encoding="utf-8")):
        # One command a line, in a block; an inline one may run over a line's end.
        joined = code.replace("\\\n", " ") if code.startswith("```") else code.replace("\n", " ")
        for line in joined.strip("`").splitlines():
            for words, rest in COMMAND.findall(line.partition("#")[0]):
                yield words.split(), FLAG.findall(rest)


def _resolve(words: list[str]) -> tuple[App, list[str]]:
    """The command that words begin with, and the words that it took."""
    found, taken = app, []
    for word in words:
        if word not in found:
            break
        found, taken = found[word], [*taken, word]
    return found, taken


@pytest.mark.parametrize("document", OF_TODAY, ids=lambda path: path.name)
def test_commands_and_flags_of_the_documents_exist(document: Path) -> None:
    unknown = []
    for words, flags in _commands(document):
        command, taken = _resolve(words)
        if tuple(words[:2]) in GONE:
            continue
        if not taken:
            unknown.append(" ".join(words))
        elif flags and command.default_command is not None:
            # What `compress launch` starts in several processes stands in its own line.
            started = [app["distill"], app["teach"]] if taken == ["launch"] else []
            collections = [one.assemble_argument_collection() for one in (command, *started)]
            known = {name for collection in collections for argument in collection for name in argument.names}
            unknown += [f"{' '.join(taken)} {flag}" for flag in flags if flag not in known]
    assert unknown == []


def test_an_unknown_flag_would_be_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("Run `compress export tflite S --ends uint8`, or\n```\ncompress destill --teacher T\n```\n")
    with pytest.raises(AssertionError, match="destill"):
        test_commands_and_flags_of_the_documents_exist(document)
    with pytest.raises(AssertionError, match="export tflite --ends"):
        test_commands_and_flags_of_the_documents_exist(document)


def test_the_findings_are_all_listed() -> None:
    listed = LINK.findall((FINDINGS / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in FINDINGS.glob("*.sh"))


@pytest.mark.parametrize("script", sorted(FINDINGS.glob("*.sh")), ids=lambda path: path.name)
def test_a_finding_runs_by_its_name_at_pinned_versions(script: Path) -> None:
    assert os.access(script, os.X_OK)
    packages = re.search(r"pip install(.*?)(?:2>|\n\n)", script.read_text(encoding="utf-8"), re.DOTALL)
    assert packages is not None
    assert all("==" in package for package in re.findall(r"'([^']+)'", packages[1]))


def test_the_readme_is_one_screen_for_a_reader() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1600


def test_the_changelog_has_a_line_for_each_change() -> None:
    assert len((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()) < 80
