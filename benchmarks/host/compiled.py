"""The same files through LiteRT's newer interface, CompiledModel, and timed by LiteRT's own `litert-benchmark`.

CompiledModel is what phones' GPUs and NPUs are reached by. On a CPU it runs the kernels of Interpreter: its output must
be the same bit for bit, and its latency tells what the interface costs.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.options import CpuOptions, Options

from compress.errors import UnusableModel

_TOOL = "ai_edge_litert.tools.benchmark_litert_model"
_ENOUGH_S = 300


class CompiledRunner:
    """A file in a CompiledModel on the CPU, its input that of an interpreter.

    Args:
        model: The `.tflite` file.
        filled: The same file in an Interpreter, whose input is filled.
        threads: Threads to run on.

    Raises:
        UnusableModel: If CompiledModel does not take the file.
    """

    def __init__(self, model: Path, filled: Interpreter, *, threads: int) -> None:
        options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=threads))
        try:
            self._model = CompiledModel.from_file(str(model), options=options)
            self._inputs, self._outputs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        except (RuntimeError, ValueError) as error:
            raise UnusableModel(f"LiteRT's CompiledModel does not take {model}: {error}") from error
        for buffer, detail in zip(self._inputs, filled.get_input_details(), strict=True):
            buffer.write(filled.get_tensor(detail["index"]))
        self._details = filled.get_output_details()

    def invoke(self) -> None:
        """Run it once."""
        self._model.run_by_index(0, self._inputs, self._outputs)

    def equals(self, filled: Interpreter) -> bool:
        """Run both once and check whether they return the same bits."""
        filled.invoke()
        self.invoke()
        return all(
            np.array_equal(
                filled.get_tensor(detail["index"]).ravel(), buffer.read(math.prod(detail["shape"]), detail["dtype"])
            )
            for buffer, detail in zip(self._outputs, self._details, strict=True)
        )


def ask_litert_benchmark(model: Path, *, threads: int, runs: int) -> dict[str, Any]:
    """Time a file by LiteRT's own tool, in a process of its own: a second opinion on our latency.

    Args:
        model: The `.tflite` file.
        threads: Threads to run on.
        runs: Runs that are timed.

    Returns:
        JSON-ready: `median_ms`, `min_ms`, and `fully_accelerated`, whether XNNPACK took the whole file.

    Raises:
        UnusableModel: If the tool fails.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        out = Path(scratch) / "result.json"
        command = [sys.executable, "-P", "-m", _TOOL, "--model", str(model), "--result_json", str(out)]
        command += ["--num_threads", str(threads), "--num_runs", str(runs)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ENOUGH_S)
        if finished.returncode != 0 or not out.is_file():
            said = (finished.stderr.strip().splitlines() or ["nothing"])[-1]
            raise UnusableModel(f"litert-benchmark could not time {model}; it said: {said}")
        return _read_result(json.loads(out.read_text(encoding="utf-8")))


def _read_result(result: dict[str, Any]) -> dict[str, Any]:
    latency = result["latency"]
    return {
        "median_ms": latency["median_ms"],
        "min_ms": latency["min_ms"],
        "fully_accelerated": result["fully_accelerated"],
    }
