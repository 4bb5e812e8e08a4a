"""Files that this repository offers to CIs: the action and the GitLab job call commands that exist."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from compress.cli import app
from eval.config import GateConfig

ROOT = Path(__file__).resolve().parent.parent
ACTION = ROOT / ".github/actions/fid-gate/action.yml"
WORKFLOW = ROOT / ".github/workflows/fid-gate.yml"
GITLAB = ROOT / "docs/ci/gitlab-fid-gate.yml"


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _shell(script: str, **environment: str) -> str:
    """Return what a script prints, run as GitHub runs it."""
    run = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], **environment},
    )
    return run.stdout


def _gate(line: str) -> GateConfig:
    """Return the gate configuration of a command line; refused where it names a flag that does not exist."""
    _, bound, _ = app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)
    config = bound.args[0]
    assert isinstance(config, GateConfig)
    return config


def _action_line(given: dict[str, str]) -> str:
    action = _read(ACTION)
    defaults = {name: declared["default"] for name, declared in action["inputs"].items() if "default" in declared}
    inputs = {**defaults, **given}
    assert inputs.keys() == action["inputs"].keys()
    step = action["runs"]["steps"][0]
    environment = {
        name: inputs[value.removeprefix("${{ inputs.").removesuffix(" }}")] for name, value in step["env"].items()
    }
    return _shell(step["run"], **environment | {"COMMAND": r"printf %q\n"})


def test_the_action_hands_every_input_to_the_gate() -> None:
    config = _gate(
        _action_line(
            {
                "candidate": "new images",
                "baseline": "base.json",
                "data": "photos",
                "cache": "kept",
                "flags": "--max-fid-increase 3% --inconclusive fail",
            }
        )
    )
    assert (config.candidate, config.baseline, config.data) == (Path("new images"), Path("base.json"), Path("photos"))
    assert (config.cache, config.max_fid_increase, config.inconclusive) == (Path("kept"), "3%", "fail")


@pytest.mark.parametrize("written", [True, False])
def test_the_action_shows_a_summary_where_there_is_one(written: bool, tmp_path: Path) -> None:
    if written:
        (tmp_path / "summary.md").write_text("Pass\n")
    summary = tmp_path / "shown.md"
    summary.write_text("before\n")
    step = _read(ACTION)["runs"]["steps"][1]
    _shell(step["run"], OUT=str(tmp_path), GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text() == ("before\nPass\n" if written else "before\n")


def test_the_gitlab_job_calls_commands_that_exist() -> None:
    job = _read(GITLAB)["fid-gate"]
    lines = [line for line in job["script"] if line.startswith("compress ")]
    translate, gate = (_shell(f"echo {line.removeprefix('compress ')}", **job["variables"]) for line in lines)
    app.parse_args(shlex.split(translate), exit_on_error=False, print_error=False)
    assert _gate(gate).max_bytes == 250_000


def test_the_workflow_gates_the_demo_student_against_a_committed_baseline() -> None:
    steps = _read(WORKFLOW)["jobs"]["fid-gate"]["steps"]
    (gated,) = (step for step in steps if step.get("uses") == "./.github/actions/fid-gate")
    config = _gate(_action_line(gated["with"]))
    assert (ROOT / config.baseline).is_file()
    assert config.max_bytes == 250_000
    assert any(step.get("run") == "make demo" for step in steps)


def test_actions_of_others_are_pinned_to_a_commit() -> None:
    used = [
        line.split("uses:")[1].split("#")[0].strip()
        for path in (ROOT / ".github").rglob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    foreign = [name for name in used if not name.startswith("./")]
    assert len(foreign) >= 5
    assert [name for name in foreign if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name)] == []


def test_uv_is_pinned_where_make_installs_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^UV_PINNED := \d+\.\d+\.\d+$", makefile, re.MULTILINE)
    assert "'uv==$(UV_PINNED)'" in makefile
