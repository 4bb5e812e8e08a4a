"""Students that can be told by eye or hold real arithmetic, and what LiteRT.js would be without its 19 MB."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.faces.template import AlignmentTemplate, record_template
from compress.files.atomic import atomic_dir
from export.calibration.observe import calibrate_and_quantize
from export.config import IoType
from export.graph.operations import Activate, Convolution, Graph
from export.parity import synthetic_photos
from export.tflite.emitter import int8_file
from export.web import stage

SIDE = 64


@pytest.fixture(scope="session")
def negative() -> Graph:
    """The photo's negative."""
    kernel = -np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    shape = (SIDE, SIDE, 3)
    step = Convolution(
        inputs=("image",), output="out", shape=shape, kernel=kernel, bias=np.zeros(3, np.float32), padding="same"
    )
    return Graph(input="image", output="out", input_shape=shape, operations=(step,))


@pytest.fixture(scope="session")
def two_layers() -> Graph:
    """Two convolutions of random weights and a tanh, in which rounding shows."""
    random = np.random.default_rng(0)
    wide, shape = (SIDE, SIDE, 16), (SIDE, SIDE, 3)
    hidden = Convolution(
        inputs=("image",),
        output="hidden",
        shape=wide,
        kernel=random.normal(0, 0.3, (3, 3, 3, 16)).astype(np.float32),
        bias=random.normal(0, 0.2, 16).astype(np.float32),
        padding="same",
        activation="relu",
    )
    picture = Convolution(
        inputs=("hidden",),
        output="picture",
        shape=shape,
        kernel=random.normal(0, 0.2, (3, 3, 16, 3)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        padding="same",
    )
    squash = Activate(inputs=("picture",), output="out", shape=shape, function="tanh")
    return Graph(input="image", output="out", input_shape=shape, operations=(hidden, picture, squash))


@pytest.fixture(scope="session")
def write_student(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a graph as an int8 export, in an artifact that records a template where one is given."""

    def write(graph: Graph, io_type: IoType = "uint8", template: AlignmentTemplate | None = None) -> Path:
        quantized = calibrate_and_quantize(graph, synthetic_photos((SIDE, SIDE), count=2, seed=1))
        out = tmp_path_factory.mktemp("student") / "small_student"
        with atomic_dir(out) as scratch:
            (scratch / "model.tflite").write_bytes(int8_file(quantized, io_type))
            manifest = Manifest(
                name="small student",
                format="tflite",
                stage="export",
                parent=None,
                input=ImageSpec(shape=(SIDE, SIDE, 3)),
                cost=Cost(params=12, macs=None, size_bytes=1),
                config=record_template(template),
            )
            write_manifest(scratch, manifest)
        return out

    return write


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let LiteRT.js be a few lines that nothing runs."""
    core = (
        'import { createWasmLib } from "@litertjs/wasm-utils";\ncreateWasmLib();\n//# sourceMappingURL=index.js.map\n'
    )
    utils = "var createWasmLib = async () => {};\nexport {\n  createWasmLib\n};\n//# sourceMappingURL=index.js.map\n"
    library = {"@litertjs/core/dist/index.js": core.encode(), "@litertjs/wasm-utils/dist/index.js": utils.encode()}
    for build in ("litert_wasm_internal", "litert_wasm_compat_internal", "litert_wasm_threaded_internal"):
        library |= {f"@litertjs/core/wasm/{build}.{suffix}": b"\0asm" for suffix in ("js", "wasm")}
    monkeypatch.setattr(stage, "load_library", lambda: library)
