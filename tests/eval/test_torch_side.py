"""Runs the tests of `torch_side` in a process of their own and reports each under its name.

Loading torch behind TensorFlow ends the process: both register the same LLVM options.
"""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

TORCH_SIDE = Path(__file__).parent / "torch_side"
# Half a minute of computing on two free cores; ten times that beside a training run.
CHILD_TIMEOUT_S = 900

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("torch_fidelity") is None, reason="the extra `score` is not installed"),
    pytest.mark.timeout(CHILD_TIMEOUT_S),
]


def names_of_tests() -> Iterator[str]:
    for path in sorted(TORCH_SIDE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.stem}::{node.name}"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ElementTree.Element]]:
    """What became of each test, by name; a parametrised one has several outcomes."""
    record = tmp_path_factory.mktemp("torch_side") / "outcomes.xml"
    command = [sys.executable, "-m", "pytest", str(TORCH_SIDE), "-q", "-p", "no:cacheprovider", f"--junitxml={record}"]
    # Beside other work, torch's threads wait for each other longer than they compute.
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False, env=alone)
    if not record.exists():
        pytest.fail(f"the child process ended with {child.returncode}:\n{child.stdout}\n{child.stderr}")
    found: dict[str, list[ElementTree.Element]] = {}
    for case in ElementTree.parse(record).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name', '').split('[')[0]}"
        found.setdefault(name, []).append(case)
    return found


@pytest.mark.parametrize("name", list(names_of_tests()))
def test_with_torch(name: str, outcomes: dict[str, list[ElementTree.Element]]) -> None:
    assert name in outcomes, f"{name} did not run; it ran: {sorted(outcomes)}"
    for case in outcomes[name]:
        for trouble in (*case.findall("failure"), *case.findall("error")):
            pytest.fail(f"{trouble.get('message')}\n{trouble.text}")
    skipped = [case.find("skipped") for case in outcomes[name]]
    if reasons := [reason.get("message", "") for reason in skipped if reason is not None]:
        pytest.skip(reasons[0])
