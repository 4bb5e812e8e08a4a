"""The arrows of the design: who may import whom, and what `--help` may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("compress", "export", "eval", "benchmarks")
SHARED = {"artifact", "config", "console", "errors", "images"}
TRAINING = {"cost", "models", "teachers", "data", "distill", "training"}
RUNS = {"stages", "closing", "teach"}
"""`compress bench students` follows stages as `compress run` does, and one peer is taught as teachers are."""
ALLOWED = {
    "compress": {"compress": None},
    "export": {"export": None, "compress": SHARED | TRAINING},
    "eval": {"eval": None, "compress": SHARED},
    "benchmarks": {"benchmarks": None, "export": None, "compress": SHARED | TRAINING | RUNS},
}
HEAVY = {"tensorflow", "keras", "torch", "torchvision", "torch_fidelity", "coremltools"}
"""What `--help` must not load."""


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    wrong = []
    for path in _modules(package):
        for name in _imports(path):
            top, _, rest = name.partition(".")
            members = ALLOWED[package].get(top, set())
            if top in PACKAGES and members is not None and rest.split(".")[0] not in members:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_cyclopts_is_known_only_where_flags_are_read(package: str) -> None:
    knowing = {path.name for path in _modules(package) if any(name.startswith("cyclopts") for name in _imports(path))}
    assert knowing <= {"cli.py", "console.py"}


def _importers(framework: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in _modules(package)
        if any(name.partition(".")[0] == framework for name in _imports(path))
    }


def test_torch_is_imported_only_to_score_and_to_read_a_pth() -> None:
    outside = {path for path in _importers("torch") if not path.startswith("eval/")}
    assert outside == {"compress/teachers/pytorch/reader.py"}


def test_coremltools_is_imported_only_where_the_child_process_runs() -> None:
    assert _importers("coremltools") == {
        "export/coreml/contents.py",
        "export/coreml/package.py",
        "export/coreml/program.py",
        "export/coreml/mil_interpreter.py",
    }


def test_keras_and_tensorflow_are_not_needed_to_score_or_to_time() -> None:
    importers = _importers("keras") | _importers("tensorflow")
    # What the TF converter makes of a student, and what trainings do, are among the things compared.
    assert {path for path in importers if path.startswith(("eval/", "benchmarks/"))} == {
        "benchmarks/published/training.py",
        "benchmarks/quantizers/oracles.py",
        "benchmarks/quantizers/tfmot/student.py",
        "benchmarks/quantizers/tfmot/training.py",
        "benchmarks/quantizers/trainings.py",
    }


def test_help_loads_no_framework() -> None:
    program = (
        "import sys; from compress.cli import app; app('--help', result_action='return_value');"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "distill" in finished.stdout
