"""Recipes: found by name or path, checked to the last key."""

from pathlib import Path

import pytest

from compress import cli
from compress.errors import UsageError
from compress.run import recipe
from compress.run.recipe import Recipe


@pytest.mark.parametrize("path", sorted(recipe.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_packaged_recipe_is_valid_and_opens_with_its_command(path: Path) -> None:
    assert cli._load_recipe(path.stem).require_distill().steps > 0
    assert path.read_text(encoding="utf-8").startswith("# compress ")


def _load(folder: Path, text: str) -> Recipe:
    path = folder / "mine.toml"
    path.write_text(text)
    return cli._load_recipe(str(path))


def test_each_table_is_its_stages_own_configuration(tmp_path: Path) -> None:
    found = _load(
        tmp_path,
        "[teacher]\nvalue_range = '0..1'\n"
        "[teach]\nsteps = 9\ndecay_steps = 3\n[distill]\nwidth = 16\n[prune]\nmax_macs = 5\n[quantize]\nfloat_ops = 2\n"
        "[export]\nio_type = 'uint8'\nother_sizes_px = [64]\n[measure]\nruns = 3\n",
    )
    assert found.teach is not None
    assert found.prune is not None
    assert (found.teach.steps, found.require_distill().width, found.prune.max_macs) == (9, 16, 5)
    assert (found.quantize.float_ops, found.quantize.method) == (2, "qat")
    assert found.export == {"precision": "int8", "io_type": "uint8", "other_sizes_px": [64]}
    assert found.measure.runs == 3
    assert found.reading.value_range == "0..1"


def test_stages_without_a_table_are_left_out_but_for_export_and_measure(tmp_path: Path) -> None:
    found = _load(tmp_path, "[distill]\n")
    assert (found.teach, found.prune, found.quantize) == (None, None, None)
    assert found.export == {"precision": "int8"}
    assert found.measure.reference == "teacher"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[distil]\nsteps = 1", "distil"),
        ("steps = 1", "steps"),
        ("[measure]\nthreads = 'two'", "two"),
        ("[measure]\nthreads = 0", r"\[measure\]: threads = 0"),
        ("[measure]\nruns = 0", r"\[measure\]: runs = 0"),
        ("[[", "TOML"),
        ("[teacher]\npadding = 'mirror'", "'reflect', 'zero', 'replicate'"),
        ("[prune]\nsteps = 3", "--max-bytes"),
        ("[prune]\nmax_bytes = 3\nl1_weight = 1.0", "l1_weight was removed"),
        ("[quantize]\nmethod = 'best'", "'ptq', 'qat'"),
        ("[export]\nprecision = 'fp32'\nio_type = 'uint8'", "io_type = uint8"),
        ("[export]\nother_sizes_px = ['a']", "expected a list of int"),
        ("[export]\ndata = 'photos'", r"\[export\] has data"),
        ("[export]\nimage_size_px = 64", r"belongs to \[distill\]"),
        ("[measure]\nio_type = 'uint8'", r"io_type is now \[export\] io_type"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        _load(tmp_path, text)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="demo"):
        cli._load_recipe("nosuch")


@pytest.mark.parametrize(
    "text", ["steps = " + "9" * 5000, "steps = " + "[" * 3000, "steps = \xff", "[distill", "[distill]\rsteps = 5"]
)
def test_a_file_that_is_no_toml_anyone_means_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"mine\.toml is no TOML"):
        recipe.read_recipe(str(path))
