"""Fixtures that every test may use: a command line, a tiny data set, and real material where a developer has it.

Tests of a folder `…_side` need a process of their own, since what they load does not go with what other tests load. A
module beside the folder sets `SIDE` to it and has one test that asks for `side_test` and `side_outcomes`: it stands for
all of them, each under its name.
"""

import ast
import importlib.util
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

# Tests run on the CPU and say nothing about missing GPUs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixtures of `real_browser.py`, which no import reaches: `tests` is no package."""
    spec = importlib.util.spec_from_file_location("real_browser", Path(__file__).with_name("real_browser.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config.pluginmanager.register(module, "real_browser")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a test the same weights each time, alone or after others: where no seed is named, Keras draws one here."""
    random.seed(item.nodeid)


@pytest.fixture(scope="session")
def command() -> CommandLine:
    """Run `python -m compress …` as a user would; stdout and stderr are captured apart."""

    def run(*arguments: object, module: str = "compress", **options: Any) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-P", "-m", module, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, **options)

    return run


# Where a shell runs the tests in the background, Ctrl-C is ignored and children inherit that.
_HEEDING_CTRL_C = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("compress", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="session")
def start_command() -> Callable[..., subprocess.Popen[Any]]:
    """Start a `compress` command that heeds Ctrl-C and go on beside it; what it says is thrown away."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[Any]:
        line = [sys.executable, "-P", "-c", _HEEDING_CTRL_C, *map(str, arguments)]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    return start


@pytest.fixture(scope="session")
def material() -> Path:
    """The folder of real teachers and photos that developers keep beside the checkout; tests that ask for it skip
    where it is missing.
    """
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get("POCKETGAN_MATERIAL", beside))
    if not folder.is_dir():
        pytest.skip("real teachers and photos are not here; POCKETGAN_MATERIAL names their folder")
    return folder


@pytest.fixture(scope="session")
def photo_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CycleGAN data set of soft coloured blobs: 12 photos a training folder, 4 a test folder, 48 x 40 pixels."""
    from compress import images

    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(7)
    for folder, count in (("trainA", 12), ("trainB", 12), ("testA", 4), ("testB", 4)):
        (root / folder).mkdir()
        for index in range(count):
            coarse = random.integers(0, 256, (6, 5, 3)).astype(np.uint8)
            smooth = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
            images.write_png(root / folder / f"{index:03d}.png", smooth)
    return root


@pytest.fixture(scope="session")
def draw_face() -> Callable[[int], np.ndarray]:
    """Draw a face that detectors take for one: `(side, side, 3)` uint8; eyes at (41, 48) and (59, 48), nose at
    (50, 60), mouth at (50, 67), hundredths of the side.
    """
    from PIL import Image, ImageDraw, ImageFilter

    def draw(side: int) -> np.ndarray:
        image = Image.new("RGB", (side, side), (90, 120, 150))
        pen = ImageDraw.Draw(image)
        for x, y, half_width, half_height, colour in _FACE_ELLIPSES:
            box = [(x - half_width), (y - half_height), (x + half_width), (y + half_height)]
            pen.ellipse([value * side / 100 for value in box], fill=colour)
        return np.asarray(image.filter(ImageFilter.GaussianBlur(side / 200)))

    return draw


_SKIN, _DARK = (224, 172, 140), (60, 40, 30)
_FACE_ELLIPSES = (
    (50, 100, 34, 26, (60, 70, 110)),
    (50, 44, 27, 32, _DARK),
    (50, 74, 8, 9, (205, 150, 120)),
    (50, 50, 22, 28, _SKIN),
    *((x, 52, 3, 6, _SKIN) for x in (28, 72)),
    *((x, 42, 6, 1.4, _DARK) for x in (41, 59)),
    *((x, 48, 4.2, 2.4, (245, 240, 235)) for x in (41, 59)),
    *((x, 48, 2.1, 2.2, (40, 25, 15)) for x in (41, 59)),
    (50, 57, 2.5, 4, (208, 150, 120)),
    *((x, 60, 1.2, 0.9, (150, 90, 70)) for x in (47.5, 52.5)),
    (50, 67, 8, 2.6, (180, 80, 80)),
    (50, 66.7, 7.5, 0.6, (120, 40, 40)),
)
"""Centre, half width, half height and colour of the parts of a face, in hundredths of the picture's side."""


@pytest.fixture(scope="session")
def convolution_chain() -> Callable[..., bytes]:
    """Write small `.tflite` files: chains of 3x3 convolutions from and to a 32x32 image, in float."""
    from export.graph.operations import Convolution, Graph, Operation, Pad
    from export.tflite.emitter import float_file

    side = 32

    def write(*, filters: int, mirrored: bool = False, inner: int = 1) -> bytes:
        """`inner` of the convolutions lie between `filters`; `mirrored` pads each by reflection."""
        generator = np.random.default_rng(0)
        channels = [3, *[filters] * (inner + 1), 3]
        operations: list[Operation] = []
        last = "image"
        for number, (before, after) in enumerate(pairwise(channels)):
            if mirrored:
                shape = (side + 2, side + 2, before)
                pad = Pad(inputs=(last,), output=f"p{number}", shape=shape, margins=((1, 1), (1, 1)), mode="reflect")
                operations.append(pad)
                last = pad.output
            convolution = Convolution(
                inputs=(last,),
                output=f"c{number}",
                shape=(side, side, after),
                kernel=generator.normal(0, 0.1, (3, 3, before, after)).astype(np.float32),
                bias=np.zeros(after, np.float32),
                padding="valid" if mirrored else "same",
                activation="relu" if number <= inner else "none",
            )
            operations.append(convolution)
            last = convolution.output
        return float_file(Graph(input="image", output=last, input_shape=(side, side, 3), operations=tuple(operations)))

    return write


@pytest.fixture(scope="session")
def write_pth() -> Callable[..., Path]:
    """Write float32 arrays as `torch.save` writes a state dict, operation by operation, without PyTorch."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def tensor(key: str, value: np.ndarray) -> bytes:
        strides = [stride // value.itemsize for stride in value.strides]
        numbers = (b"(" + b"".join(map(number, numbers)) + b"t" for numbers in (value.shape, strides))
        storage = (
            b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(value.size) + b"tQ"
        )
        hooks = b"\x89ccollections\nOrderedDict\n)R"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(0) + b"".join(numbers) + hooks + b"tR"

    def write(path: Path, state: Mapping[str, np.ndarray]) -> Path:
        items = (text(name) + tensor(str(place), value) for place, (name, value) in enumerate(state.items()))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02}(" + b"".join(items) + b"u.")
            archive.writestr("archive/byteorder", "little")
            for place, value in enumerate(state.values()):
                archive.writestr(f"archive/data/{place}", value.astype("<f4").tobytes())
            archive.writestr("archive/version", "3\n")
        return path

    return write


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory: pytest.TempPathFactory, write_pth: Callable[..., Path]) -> Path:
    """A tiny CycleGAN ResNet generator of random weights in PyTorch's layout: 8 filters, 2 blocks, any image size."""
    shapes = {"1": (8, 3, 7, 7), "4": (16, 8, 3, 3), "7": (32, 16, 3, 3)}
    shapes |= {f"{block}.conv_block.{layer}": (32, 32, 3, 3) for block in (10, 11) for layer in (1, 5)}
    shapes |= {"12": (32, 16, 3, 3), "15": (16, 8, 3, 3), "19": (3, 8, 7, 7)}
    random = np.random.default_rng(3)
    state = {}
    for layer, shape in shapes.items():
        # A transposed convolution's output channels are its second axis.
        filters = shape[1] if layer in ("12", "15") else shape[0]
        state[f"model.{layer}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
        state[f"model.{layer}.bias"] = random.normal(0, 0.3, filters).astype(np.float32)
    return write_pth(tmp_path_factory.mktemp("teacher") / "tiny.pth", state)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Run training steps at once instead of compiling them, which takes longer where there are few."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


_SIDE_SUFFIX = "_side"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect a side folder only where nothing else is asked for."""
    if not collection_path.name.endswith(_SIDE_SUFFIX):
        return None
    asked_for = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return None if all(path.is_relative_to(collection_path) for path in asked_for) else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "side_test" in metafunc.fixturenames:
        metafunc.parametrize("side_test", list(_names_of_tests(vars(metafunc.module)["SIDE"])))


def _names_of_tests(side: Path) -> Iterator[str]:
    for path in sorted(side.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.stem}::{node.name}"


class SideOutcomes:
    """Outcomes of the tests of a side folder; a parametrised one has several outcomes."""

    def __init__(self, record: Path) -> None:
        self._cases: dict[str, list[ElementTree.Element]] = {}
        for case in ElementTree.parse(record).iter("testcase"):
            name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name', '').split('[')[0]}"
            self._cases.setdefault(name, []).append(case)

    def report(self, name: str) -> None:
        """Fail or skip as the test did."""
        assert name in self._cases, f"{name} did not run; it ran: {sorted(self._cases)}"
        for case in self._cases[name]:
            for trouble in (*case.findall("failure"), *case.findall("error")):
                pytest.fail(f"{trouble.get('message')}\n{trouble.text}")
        skipped = [case.find("skipped") for case in self._cases[name]]
        if reasons := [reason.get("message", "") for reason in skipped if reason is not None]:
            pytest.skip(reasons[0])


@pytest.fixture(scope="module")
def side_outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SideOutcomes:
    """Run the tests of the module's `SIDE`, within its `CHILD_TIMEOUT_S`."""
    side, limit_s = request.module.SIDE, request.module.CHILD_TIMEOUT_S
    record = tmp_path_factory.mktemp(side.name) / "outcomes.xml"
    command = [sys.executable, "-m", "pytest", str(side), "-q", "-p", "no:cacheprovider", f"--junitxml={record}"]
    # Beside other work, threads wait for each other longer than they compute.
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, env=alone)
    if not record.exists():
        pytest.fail(f"the child process ended with {child.returncode}:\n{child.stdout}\n{child.stderr}")
    return SideOutcomes(record)
