"""The arrows of the design: who imports whom, how large rooms and modules are, and what `--help` loads.

Arrows are derived from every import statement, also those inside functions. Within each package its modules and
sub-packages are siblings; an import between two modules is an arrow between the siblings that hold them.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("compress", "export", "eval", "benchmarks", "pocketgan")
BASIS = {
    *(
        "artifact",
        "bench_record",
        "cache",
        "config",
        "console",
        "errors",
        "faces",
        "files",
        "fleet",
        "image_size",
        "images",
        "model_card",
        "page",
        "printable",
        "strict_json",
    ),
    "text_table",
    "torch_file",
}
"""Modules of `compress` that any package may use."""
ALLOWED: Mapping[str, Mapping[str, set[str] | None]] = {
    "compress": {"compress": None},
    "export": {
        "export": None,
        # The last two are for `export/quantize` alone, which trains the deploy graph as a student is trained.
        "compress": BASIS | {"cost", "data", "models", "teachers", "distill", "training"},
    },
    # The networks that score are deploy graphs, which TFLite's writer emits.
    "eval": {"eval": None, "compress": BASIS, "export": {"graph", "tflite"}},
    # `benchmarks/published` trains peers as students and teachers are trained, and goes through stages as a run does.
    "benchmarks": {
        "benchmarks": None,
        "export": None,
        "compress": BASIS | {"cost", "data", "models", "teachers", "distill", "training", "teach", "run"},
    },
    "pocketgan": {"pocketgan": None, "compress": None, "export": None, "eval": None},
}
"""For each package, what it may import of which; None is all of it."""
TRAINING_ROOMS = {"compress.distill", "compress.training"}
MOST_MODULES, MOST_LINES = 14, 400
HEAVY = {"tensorflow", "keras", "torch", "torchvision", "torch_fidelity", "coremltools", "ray", "optuna"}
"""Packages that `--help` must not load."""


@cache
def _modules() -> dict[str, Path]:
    """Every module by its dotted name; a package's `__init__` under the package's own."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _imports(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, a symbol under its module's."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def _arrows() -> Iterator[tuple[str, str]]:
    """Every import of one module of ours by another."""
    for importer, path in _modules().items():
        for name in _imports(path):
            parts = name.split(".")
            imported = next(
                (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in _modules()), None
            )
            if imported is not None and imported != importer:
                yield importer, imported


def _child_of(package: str, module: str) -> str | None:
    """The module or sub-package of a package that holds a module; `__init__` for the package's own file."""
    if module == package:
        return "__init__"
    rest = module.removeprefix(f"{package}.")
    return None if rest == module else rest.split(".")[0]


def _sibling_arrows(package: str) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for importer, imported in _arrows():
        ours, theirs = _child_of(package, importer), _child_of(package, imported)
        if ours is not None and theirs is not None and ours != theirs:
            graph.setdefault(ours, set()).add(theirs)
    return graph


def _packages() -> list[str]:
    return [name for name, path in _modules().items() if path.name == "__init__.py"]


@pytest.mark.parametrize("package", _packages())
def test_siblings_of_a_package_form_no_circle(package: str) -> None:
    try:
        TopologicalSorter(_sibling_arrows(package)).prepare()
    except CycleError as error:
        pytest.fail(f"{package}: {' -> '.join(error.args[1])}")


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    wrong = []
    for importer, imported in _arrows():
        if importer.split(".")[0] != package:
            continue
        top, _, rest = imported.partition(".")
        members = ALLOWED[package].get(top, set())
        if members is not None and rest.split(".")[0] not in members:
            wrong.append(f"{importer} imports {imported}")
    assert wrong == []


def test_of_export_only_quantize_knows_training() -> None:
    knowing = {
        importer.rpartition(".")[0]
        for importer, imported in _arrows()
        if importer.startswith("export.") and any(imported.startswith(room) for room in TRAINING_ROOMS)
    }
    assert knowing == {"export.quantize"}


def _dynamic_imports(path: Path) -> Iterable[ast.Call]:
    return (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")) == "import_module"
    )


def test_no_arrow_hides_in_a_dynamic_import() -> None:
    """Two modules import by name: the program, whose packages above are strings, and the lazy names of the API."""
    dynamic = {name for name, path in _modules().items() if list(_dynamic_imports(path))}
    assert dynamic <= {"compress.cli", "pocketgan", "pocketgan.child"}


@pytest.mark.parametrize("package", _packages())
def test_a_room_holds_few_modules(package: str) -> None:
    folder = _modules()[package].parent
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, modules


def test_modules_are_short() -> None:
    long = {
        name: lines for name, path in _modules().items() if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}


def test_cyclopts_is_known_only_where_flags_are_read() -> None:
    knowing = {name for name in _modules() if any(one.startswith("cyclopts") for one in _imports(_modules()[name]))}
    assert {name for name in knowing if not name.endswith(".cli")} <= {"compress.console", "compress.console.exits"}


def _importers(framework: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in _modules().values()
        if any(name.partition(".")[0] == framework for name in _imports(path))
    }


def test_torch_is_imported_only_where_torch_fidelity_runs() -> None:
    assert {Path(path).parent.as_posix() for path in _importers("torch")} == {"eval/features/pytorch"}


def test_coremltools_is_imported_only_where_the_child_process_runs() -> None:
    importers = _importers("coremltools")
    assert importers
    assert {Path(path).parent.as_posix() for path in importers} == {"export/coreml"}
    assert not importers & {f"export/coreml/{name}.py" for name in ("child", "job", "stage", "kit", "weights")}


def test_keras_and_tensorflow_are_not_needed_to_score_or_to_time() -> None:
    importers = _importers("keras") | _importers("tensorflow")
    # What the TF converter makes of a student, what trainings do, and the interpreter that TensorFlow brings are among
    # the things compared.
    rooms = {Path(path).parent.as_posix() for path in importers if path.startswith(("eval/", "benchmarks/"))}
    assert rooms <= {f"benchmarks/{room}" for room in ("published", "quantizers", "quantizers/tfmot", "runtimes")}


def test_help_loads_no_framework() -> None:
    program = (
        "import sys; from compress.cli import app; app('--help', result_action='return_value');"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "distill" in finished.stdout
