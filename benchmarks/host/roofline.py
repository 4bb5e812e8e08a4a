"""A model's rate of MACs as a share of this machine's peak rate.

The peak is measured, not looked up: the best of a few 1x1 convolutions whose weights and activations fit into a core's
cache, each one operator that XNNPACK runs whole. They take turns with the models, on as many threads. Of both
the best round counts; on a busy machine a peak layer of 1 ms still finds a quiet moment where a model of 500 ms finds
none: there a share comes out too low, not too high.

Source: Williams et al. 2009, Roofline: an insightful visual performance model, doi:10.1145/1498765.1498785; of its two
bounds, the one of arithmetic.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.graph.operations import Convolution, Graph
from export.graph.quantized import quantize_graph
from export.interpreter.open_file import fill_inputs
from export.tflite.emitter import float_file, int8_file

Arithmetic = Literal["fp32", "int8"]
SHAPES = ((16, 256), (32, 256), (16, 512))
"""Side in pixels, and channels in and out, of the peak layers. Of nine shapes from 8 to 64 pixels and 128 to 1024
channels, the best in fp32 and in int8 on an AMD EPYC with AVX-512 VNNI and 1 MB of L2 (57 and 213 GMAC/s); the slowest
reached 82 %."""
_MULTIPLYING = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
_KERNEL_AT, _TRANSPOSED_INPUT_AT = 1, 2
"""Positions among an operator's inputs."""
_BUILTINS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True, kw_only=True)
class PeakLayer:
    """A 1x1 convolution that measures the peak, ready to run."""

    arithmetic: Arithmetic
    image_size_px: int
    channels: int
    interpreter: Interpreter

    @property
    def macs(self) -> int:
        return self.image_size_px**2 * self.channels**2

    def invoke(self) -> None:
        """Run it once."""
        self.interpreter.invoke()


def open_peak_layers(*, threads: int) -> list[PeakLayer]:
    """Open the layers whose best rate is the peak, each in fp32 and in int8."""
    layers = []
    for image_size_px, channels in SHAPES:
        for arithmetic in get_args(Arithmetic):
            content = peak_layer_file(arithmetic, image_size_px, channels)
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
            fill_inputs(interpreter)
            layers.append(
                PeakLayer(
                    arithmetic=arithmetic, image_size_px=image_size_px, channels=channels, interpreter=interpreter
                )
            )
    return layers


def peak_layer_file(arithmetic: Arithmetic, image_size_px: int, channels: int) -> bytes:
    """Write a `.tflite` of one 1x1 convolution, of int8 from end to end or of float."""
    shape = (image_size_px, image_size_px, channels)
    kernel = np.random.default_rng(0).normal(0, 1 / math.sqrt(channels), (1, 1, channels, channels))
    layer = Convolution(
        inputs=("image",),
        output="out",
        shape=shape,
        kernel=kernel.astype(np.float32),
        bias=np.zeros(channels, np.float32),
    )
    graph = Graph(input="image", output="out", input_shape=shape, operations=(layer,))
    if arithmetic == "fp32":
        return float_file(graph)
    # The output of noise in [-1, 1] has a standard deviation of 0.6.
    return int8_file(quantize_graph(graph, {"image": (-1.0, 1.0), "out": (-3.0, 3.0)}), "int8")


def count_macs(content: bytes) -> dict[Arithmetic, int]:
    """Count a file's multiply-accumulates, by arithmetic.

    Convolutions and fully connected layers alone, without bias. A transposed convolution is counted at its input's
    resolution, which is what is computed; `compress inspect` counts it at its output's, as the papers do. An operator
    with an int8 kernel computes in int8, also where it takes floats ("dynamic"); a kernel that is unpacked at load is
    float.

    Args:
        content: A whole `.tflite` of one subgraph.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    tensors = model.subgraphs[0].tensors
    macs: dict[Arithmetic, int] = {"fp32": 0, "int8": 0}
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = _BUILTINS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if name not in _MULTIPLYING:
            continue
        kernel = tensors[operator.inputs[_KERNEL_AT]]
        at = operator.inputs[_TRANSPOSED_INPUT_AT] if name == "TRANSPOSE_CONV" else operator.outputs[0]
        positions = math.prod(map(int, tensors[at].shape[:-1]))
        arithmetic = "int8" if kernel.type == schema.TensorType.INT8 else "fp32"
        macs[arithmetic] += positions * math.prod(map(int, kernel.shape))
    return macs


def find_peaks(layers: Sequence[PeakLayer], rounds: Sequence[Sequence[float]]) -> dict[Arithmetic, float]:
    """Return the peak: the best rate of each arithmetic, GMAC/s.

    Args:
        layers: The peak layers that were timed.
        rounds: Milliseconds of each layer in each round.
    """
    peaks: dict[Arithmetic, float] = {}
    for layer, least_ms in zip(layers, map(min, zip(*rounds, strict=True)), strict=True):
        rate = layer.macs / least_ms / 1e6
        peaks[layer.arithmetic] = max(rate, peaks.get(layer.arithmetic, 0.0))
    return peaks


def compare_with_peak(
    macs: Mapping[Arithmetic, int], least_ms: float, peaks: Mapping[Arithmetic, float]
) -> dict[str, Any]:
    """Return a model's rate and its share of the peak.

    Args:
        macs: From `count_macs`.
        least_ms: Its least latency: like the peaks, measured while nothing disturbs it.
        peaks: From `find_peaks`.

    Returns:
        `macs`; `gmacs_per_s`; `share_of_peak`, the time that its MACs would take at the peaks over what it took, so
        that a model of both arithmetics is compared with both peaks.
    """
    at_peak_ms = sum(count / peaks[arithmetic] / 1e6 for arithmetic, count in macs.items())
    return {
        "macs": dict(macs),
        "gmacs_per_s": sum(macs.values()) / least_ms / 1e6,
        "share_of_peak": at_peak_ms / least_ms,
    }
