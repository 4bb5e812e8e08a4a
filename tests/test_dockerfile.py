"""The Dockerfile: not built here, where no daemon runs, so held to what can be read."""

import json
import re
import shlex
import tomllib
from pathlib import Path

from compress.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_its_base_is_pinned_to_a_python_that_the_project_takes() -> None:
    (base,) = re.findall(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE)
    (version,) = re.findall(r"^python:(3\.\d+)-slim-bookworm$", base)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"{version}," in project["requires-python"].replace(">=", "")


def test_it_runs_the_demo_by_commands_that_exist() -> None:
    (line,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    program, *arguments = json.loads(line)
    assert program == "compress"
    command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    assert command.__name__ == "demo"
    assert str(bound.kwargs["out"]).startswith("runs/")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", DOCKERFILE.partition("\nFROM")[2]):
        if not target.startswith("rm"):
            assert f"\n{target}:" in makefile, target


def test_nothing_heavy_or_private_is_sent_to_the_daemon() -> None:
    ignored = shlex.split((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    assert {".git", ".venv", ".tools", "runs"} <= set(ignored)
