"""The Swift package around a model: whole, in Swift's grammar, and honest about names."""

import json
from pathlib import Path

import numpy as np
import pytest

from compress.artifact import Artifact, Cost, ImageSpec, Manifest, file_fingerprint, write_manifest
from compress.errors import UsageError
from export.coreml import kit
from export.sample_project import check_place

HEIGHT, WIDTH = 4, 6


@pytest.fixture
def exported(tmp_path: Path) -> Artifact:
    """Return as much of an export as the kit needs: a manifest, and a package to copy."""
    folder = tmp_path / "exported"
    inside = folder / "model.mlpackage/Data"
    inside.mkdir(parents=True)
    (inside / "model.mlmodel").write_bytes(b"a model")
    manifest = Manifest(
        name='a "bold" \\(name)\n',
        format="mlpackage",
        stage="export",
        parent=None,
        input=ImageSpec(shape=(HEIGHT, WIDTH, 3), layout="NCHW", dtype="uint8"),
        cost=Cost(params=1, macs=1, size_bytes=7),
        config={"precision": "int8"},
    )
    write_manifest(folder, manifest)
    return Artifact(folder, manifest)


@pytest.fixture
def written(exported: Artifact, tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture = random.uniform(-1.2, 1.2, (HEIGHT, WIDTH, 3)).astype(np.float32)
    kit.write_kit(exported, photo, picture, tmp_path / "swift")
    return tmp_path / "swift"


def test_every_swift_file_is_in_the_grammar(written: Path) -> None:
    tree_sitter = pytest.importorskip("tree_sitter")
    grammar = pytest.importorskip("tree_sitter_swift")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    files = sorted(written.rglob("*.swift"))
    assert len(files) == 10
    for path in files:
        assert not parser.parse(path.read_bytes()).root_node.has_error, path
    assert parser.parse(b"struct Broken {").root_node.has_error


def test_names_are_filled_in_and_cannot_break_out_of_their_literal(written: Path, exported: Artifact) -> None:
    for path in written.rglob("*"):
        if path.suffix in (".swift", ".md"):
            assert "${" not in path.read_text(encoding="utf-8"), path
    model = (written / "Sources/PocketGenerator/ExportedModel.swift").read_text(encoding="utf-8")
    assert r'name = "a \"bold\" \\(name)\u{a}"' in model
    assert f'packageSHA256 = "{file_fingerprint(exported.model_path)}"' in model
    assert f"heightPx = {HEIGHT}\n" in model
    assert f"widthPx = {WIDTH}\n" in model
    # Activations of int8 need iOS 17.
    assert ".iOS(.v17), .macOS(.v14)" in (written / "Package.swift").read_text(encoding="utf-8")
    assert (written / "README.md").read_text(encoding="utf-8").startswith('# a "bold" \\(name)\n')


def test_everything_that_the_package_names_is_there(written: Path) -> None:
    manifest = (written / "Package.swift").read_text(encoding="utf-8")
    library = written / "Sources/PocketGenerator"
    for name in ("model.mlpackage", "photo.bgra", "expected.bgra"):
        assert f'.copy("{name}")' in manifest
        assert (library / name).exists()
    for name in ("photo.bgra", "expected.bgra"):
        assert (library / name).stat().st_size == 4 * HEIGHT * WIDTH
    assert (library / "model.mlpackage/Data/model.mlmodel").read_bytes() == b"a model"
    assert (written / "Sources/pocket-benchmark/main.swift").exists()


def test_readme_explains_every_key_of_the_json(written: Path) -> None:
    readme = (written / "README.md").read_text(encoding="utf-8")
    report = (written / "Sources/PocketGenerator/BenchmarkReport.swift").read_text(encoding="utf-8")
    # The keys of nested tables stand in the rows of `model` and `device`.
    keys = [line.split('"')[1] for line in report.splitlines() if "case" in line and '"' in line]
    assert len(keys) > 20
    assert [key for key in keys if f"`{key}`" not in readme] == []
    assert "not compiled and not run" in readme


def _check_place(place: Path, out: Path, source: Path, *, overwrite: bool) -> None:
    check_place(place, out, source, flag="--swift", overwrite=overwrite)


def test_a_place_that_another_needs_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "models/teacher.h5"
    source.parent.mkdir()
    source.touch()
    out = tmp_path / "out"
    _check_place(tmp_path / "swift", out, source, overwrite=False)
    (tmp_path / "swift").mkdir()
    with pytest.raises(UsageError, match="--overwrite"):
        _check_place(tmp_path / "swift", out, source, overwrite=False)
    with pytest.raises(UsageError, match=r"holds .*teacher\.h5"):
        _check_place(source.parent, out, source, overwrite=True)
    for beside in (out, out / "swift", tmp_path):
        with pytest.raises(UsageError):
            _check_place(beside, out, source, overwrite=True)


def test_a_failure_leaves_no_half_package(exported: Artifact, tmp_path: Path) -> None:
    (exported.model_path / "Data/model.mlmodel").unlink()
    (exported.model_path / "Data").rmdir()
    exported.model_path.rmdir()
    with pytest.raises(FileNotFoundError):
        kit.write_kit(
            exported, np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH, 3)), tmp_path / "swift"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    assert json.loads((exported.path / "manifest.json").read_text())["name"].startswith("a ")
