"""The runtimes that are compared, each in the environment that has it.

What this project depends on runs in its own Python; everything else is installed at a pinned version, from the package
registry, into an environment of its own that uv makes once.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.runtimes.cases import Case, Format
from compress.console.installing import find_checkout
from compress.printable import printable

INSTALL_LIMIT_S = 600


class Unavailable(Exception):
    """Raised for a runtime that cannot be had here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A runtime in one of its modes."""

    name: str
    kind: str
    """What `worker.py` calls it."""
    package: str
    """Package whose version is told."""
    formats: tuple[Format, ...] = ("tflite",)
    pins: tuple[str, ...] = ()
    """Packages of its own environment; this Python's when empty."""
    python: str = "3.11"
    """Python of its own environment."""
    integers: bool = True
    """Whether int8 `.tflite` files are tried on it."""

    @property
    def version(self) -> str:
        """The version that is, or would be, run.

        Raises:
            Unavailable: If this Python should have it and does not.
        """
        pinned = dict(pin.split("==") for pin in self.pins if "==" in pin)
        if self.package in pinned:
            return pinned[self.package]
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            raise Unavailable(f"the package {self.package} is not installed") from None

    def takes(self, case: Case) -> bool:
        """Check whether it is asked to run a file."""
        if case.format not in self.formats:
            return False
        return self.integers or case.format == "onnx" or not case.is_int8


_OPENVINO = ("openvino==2026.4.1", "numpy==2.4.6")
_OPENCV = ("opencv-python-headless==4.13.0.92",)
RUNTIMES: Sequence[Runtime] = (
    Runtime(name="LiteRT, XNNPACK", kind="ai_edge_litert:xnnpack", package="ai-edge-litert"),
    Runtime(name="LiteRT, own kernels", kind="ai_edge_litert:own", package="ai-edge-litert"),
    Runtime(name="LiteRT, reference kernels", kind="ai_edge_litert:reference", package="ai-edge-litert"),
    Runtime(name="LiteRT, CompiledModel", kind="compiled_model", package="ai-edge-litert"),
    Runtime(name="TensorFlow Lite, XNNPACK", kind="tensorflow:xnnpack", package="tensorflow"),
    Runtime(
        name="LiteRT 1.4, XNNPACK",
        kind="ai_edge_litert:xnnpack",
        package="ai-edge-litert",
        pins=("ai-edge-litert==1.4.0", "numpy==2.4.6"),
    ),
    Runtime(
        name="LiteRT 1.0, XNNPACK",
        kind="ai_edge_litert:xnnpack",
        package="ai-edge-litert",
        pins=("ai-edge-litert==1.0.1", "numpy<2"),
    ),
    Runtime(
        name="tflite-runtime 2.14",
        kind="tflite_runtime:xnnpack",
        package="tflite-runtime",
        pins=("tflite-runtime==2.14.0", "numpy<2"),
    ),
    Runtime(name="onnxruntime", kind="onnxruntime", package="onnxruntime", formats=("onnx",)),
    Runtime(name="onnxruntime, unoptimized", kind="onnxruntime:unoptimized", package="onnxruntime", formats=("onnx",)),
    Runtime(name="OpenVINO, .tflite", kind="openvino", package="openvino", pins=_OPENVINO),
    Runtime(name="OpenVINO, .onnx", kind="openvino", package="openvino", formats=("onnx",), pins=_OPENVINO),
    # Of an int8 .tflite it reads hardly an operator.
    Runtime(name="OpenCV, .tflite", kind="opencv", package="opencv-python-headless", pins=_OPENCV, integers=False),
    Runtime(name="OpenCV, .onnx", kind="opencv", package="opencv-python-headless", formats=("onnx",), pins=_OPENCV),
    Runtime(
        name="tract", kind="tract", package="tract", formats=("onnx",), pins=("tract==0.23.9", "numpy==2.4.6")
    ),
)  # fmt: skip


def find_python(runtime: Runtime, folder: Path) -> Path:
    """Return the Python that has a runtime, whose environment is made where it is not there.

    Args:
        runtime: The runtime.
        folder: Folder of all environments.

    Raises:
        Unavailable: If it cannot be installed, or this Python should have it and does not.
    """
    if not runtime.pins:
        _ = runtime.version
        return Path(sys.executable)
    environment = folder / "-".join(pin.replace("==", "-").replace("<", "-before-") for pin in runtime.pins)
    python, done = environment / "bin" / "python", environment / "installed"
    if not done.is_file():
        uv = _find_uv()
        _run([uv, "venv", "--quiet", "--clear", "--python", runtime.python, str(environment)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *runtime.pins])
        done.touch()
    return python


def _find_uv() -> str:
    checkout = find_checkout()
    own = None if checkout is None else shutil.which(checkout / ".tools" / "bin" / "uv")
    if (uv := shutil.which("uv") or own) is None:
        raise Unavailable("uv, which makes its environment, is not on PATH")
    return uv


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"it was not installed within {INSTALL_LIMIT_S} s") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or "nothing"
        raise Unavailable(f"it could not be installed: {printable(said[-300:])}")
