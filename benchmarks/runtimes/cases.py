"""The files that runtimes are compared on: what is fed to each, and what its numbers mean.

Every file is written by the emitters of `compress export` from one deploy graph. An int8 file's expected output is that
of the integer-exact reference, a float file's that of the float graph in NumPy with the file's own rounded kernels.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.runtimes.operators import IN_FLOAT_ALONE, SHAPE, operator_graphs
from compress.images import psnr_db, to_float, to_uint8
from export.calibration.observe import calibrate_and_quantize
from export.config import IoType, Precision, Target, TfliteConfig
from export.graph.operations import Graph, Weighted
from export.graph.quantized import (
    QuantizedGraph,
    QuantizedWeights,
    Range,
    TensorScale,
    dequantize_kernel,
    quantize_kernel,
    quantize_like,
    quantize_with_scales,
    scale_groups,
)
from export.interpreter.numpy_float import run_graph
from export.interpreter.numpy_int8 import run_int8_graph
from export.parity import synthetic_photos
from export.source import SourceGenerator
from export.tflite import emitter, targets

Group = Literal["students", "teacher", "operators"]
Format = Literal["tflite", "onnx"]
FLOAT_STEP = 1 / 127.5
"""Step of a byte, in which pictures of float files are compared."""
CALIBRATION_PHOTOS = 8
OTHER_SIZE_PX = 32
"""What a file's second size has more than its usual one."""
_OPSET = 13
_OFF = 255.0
"""Steps that a value which is not finite is off."""
_ROUNDING = 1e-3
"""Steps by which a float may be more than one step off, and count as one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A file, one input for it, and the output that its numbers mean."""

    group: Group
    subject: str
    """The model or the operator."""
    form: str
    """The way in which it is written, alike for both formats."""
    format: Format
    content: bytes
    input: np.ndarray
    """Batch of 1 in the file's own type and layout."""
    expected: np.ndarray
    """Likewise."""
    scale: float
    """Step of the output: of its integers, or of floats that are compared in such."""
    zero_point: float = 0.0
    real: np.ndarray | None = None
    """The float model's output, of an int8 file of a whole model."""
    is_int8: bool = False
    signature: str | None = None
    """Signature to run; the file's usual size if None."""

    def measure(self, made: np.ndarray) -> dict[str, float]:
        """Return how far an output is from the expected one, in steps.

        Returns:
            `largest`, `mean` and `share_beyond_one`; with `real` also `psnr_db` to it, peak 2.0, and that of the
            expected output, `expected_psnr_db`.

        Raises:
            ValueError: If it is of another shape or type.
        """
        if made.shape != self.expected.shape or made.dtype.kind != self.expected.dtype.kind:
            raise ValueError(
                f"returned {made.dtype} {list(made.shape)}, expected {self.expected.dtype} {list(self.expected.shape)}"
            )
        step = self.scale if made.dtype.kind == "f" else 1.0
        difference = np.abs(made.astype(np.float64) - self.expected) / step
        steps = np.minimum(np.nan_to_num(difference, nan=_OFF, posinf=_OFF), _OFF)
        measured = {
            "largest": float(steps.max()),
            "mean": float(steps.mean()),
            "share_beyond_one": float((steps > 1 + _ROUNDING).mean()),
        }
        if self.real is not None:
            measured["psnr_db"] = psnr_db(self._to_real(made) - self.real)
            measured["expected_psnr_db"] = psnr_db(self._to_real(self.expected) - self.real)
        return measured

    def _to_real(self, output: np.ndarray) -> np.ndarray:
        values = output.astype(np.float64)
        return values if output.dtype.kind == "f" else (values - self.zero_point) * self.scale


@dataclass(frozen=True, kw_only=True)
class Form:
    """A way in which `compress export tflite` writes a model."""

    name: str
    precision: Precision
    io_type: IoType = "float"
    target: Target = "cpu"

    @property
    def config(self) -> TfliteConfig:
        """The configuration of that export; its photos are drawn here."""
        data = Path() if self.precision == "int8" else None
        return TfliteConfig(precision=self.precision, io_type=self.io_type, target=self.target, data=data)

    @property
    def rules(self) -> targets.TargetRules:
        """How input and output are reached, and the rewrites."""
        return targets.RULES[self.target]


FLOAT_FORMS = tuple(Form(name=each, precision=each) for each in ("fp32", "fp16", "dynamic"))
FORMS = (
    *FLOAT_FORMS,
    Form(name="int8, float ends", precision="int8"),
    Form(name="int8, int8 ends", precision="int8", io_type="int8"),
    Form(name="int8, uint8 ends", precision="int8", io_type="uint8"),
    Form(name="gpu, fp16", precision="fp16", target="gpu"),
    Form(name="gpu, int8 ends", precision="int8", io_type="int8", target="gpu"),
    Form(name="npu-mediatek, uint8 ends", precision="int8", io_type="uint8", target="npu-mediatek"),
    Form(name="npu-qualcomm, uint8 ends", precision="int8", io_type="uint8", target="npu-qualcomm"),
    Form(name="npu-google, uint8 ends", precision="int8", io_type="uint8", target="npu-google"),
    Form(name="mediapipe, fp32", precision="fp32", target="mediapipe"),
    Form(name="mediapipe, uint8 ends", precision="int8", io_type="uint8", target="mediapipe"),
    Form(name="lens-studio, fp32", precision="fp32", target="lens-studio"),
)
"""Every form of a student at one size."""


def student_cases(source: SourceGenerator, subject: str, size_px: int) -> Iterator[Case]:
    """Yield a student in every form, as `.tflite` and as ONNX, each with one photo."""
    size = (size_px, size_px)
    *photos, photo = synthetic_photos(size, count=CALIBRATION_PHOTOS + 1, seed=0)
    graph = source.at_size(size).lower(size)
    quantized = calibrate_and_quantize(graph, photos, source.scales, source.float_ops)
    picture = run_graph(graph, to_float(photo)[np.newaxis])
    for form in FORMS:
        if form.precision == "int8":
            written = targets.rewrite_int8(quantized, form.target)
            content = emitter.int8_file(
                written,
                form.io_type,
                integer_ends=form.rules.integer_ends,
                unit_output=form.rules.unit_output,
            )
            yield _int8_case(subject, form, content, written, photo, picture)
        else:
            yield _float_case("students", subject, form, targets.rewrite_float(graph, form.config), photo)
    yield from _several_sizes(source, subject, quantized, photo)
    for case in _onnx_cases("students", subject, graph, quantized, to_float(photo)[np.newaxis]):
        yield replace(case, real=picture.transpose(0, 3, 1, 2)) if case.is_int8 else case


def teacher_cases(source: SourceGenerator, subject: str, size_px: int) -> Iterator[Case]:
    """Yield a teacher in each form that it has: its norms stay in float."""
    size = (size_px, size_px)
    (photo,) = synthetic_photos(size, count=1, seed=0)
    graph = source.at_size(size).lower(size)
    for form in FLOAT_FORMS:
        yield _float_case("teacher", subject, form, targets.rewrite_float(graph, form.config), photo)
    yield from _onnx_cases("teacher", subject, graph, None, to_float(photo)[np.newaxis])


def operator_cases() -> Iterator[Case]:
    """Yield a float and an int8 file of each operator, in both formats."""
    values = np.random.default_rng(1).normal(0.4, 0.5, (1, *SHAPE)).clip(-0.7, 1.9).astype(np.float32)
    for name, graph in operator_graphs():
        expected = run_graph(graph, values)
        # There is no picture whose bytes would be the steps.
        scale = float(np.ptp(expected)) / 255
        made: dict[str, Any] = {"group": "operators", "subject": name, "input": values, "expected": expected}
        yield Case(form="fp32", format="tflite", content=emitter.float_file(graph), scale=scale, **made)
        quantized = None if name in IN_FLOAT_ALONE else _quantize_observed(graph, values)
        if quantized is not None:
            integers = quantized.tensors[graph.input].quantize(values)
            made |= {"input": integers, "expected": run_int8_graph(quantized, integers), "is_int8": True}
            content = emitter.int8_file(quantized, "int8")
            yield Case(form="int8", format="tflite", content=content, scale=1.0, **made)
        for case in _onnx_cases("operators", name, graph, quantized, values):
            if case.form != "fp16":
                yield replace(case, form="int8") if case.is_int8 else replace(case, scale=scale)


def _quantize_observed(graph: Graph, values: np.ndarray) -> QuantizedGraph:
    """Quantize a graph whose input has a range, and a zero point, of its own."""
    ranges: dict[str, Range] = {}
    run_graph(graph, values, lambda name, seen: ranges.update({name: (float(seen.min()), float(seen.max()))}))
    scales = {}
    for group in scale_groups(graph):
        chosen = replace(group, fixed=None) if graph.input in group.members else group
        least, greatest = chosen.settle(ranges)
        scale = float(np.float32((max(greatest, 0.0) - min(least, 0.0)) / 255))
        zero_point = int(np.clip(np.rint(-128 - min(least, 0.0) / scale), -128, 127))
        scales |= dict.fromkeys(group.members, TensorScale(scale, zero_point))
    return quantize_with_scales(graph, scales)


def _float_case(group: Group, subject: str, form: Form, graph: Graph, photo: np.ndarray) -> Case:
    unit = form.rules.unit_output
    picture = run_graph(_round_kernels(graph, form.precision), to_float(photo)[np.newaxis])
    weights = "fp32" if form.precision == "int8" else form.precision
    return Case(
        group=group,
        subject=subject,
        form=form.name,
        format="tflite",
        content=emitter.float_file(graph, weights, unit_output=unit),
        input=to_float(photo)[np.newaxis],
        expected=picture / 2 + np.float32(0.5) if unit else picture,
        scale=FLOAT_STEP / 2 if unit else FLOAT_STEP,
    )


def _round_kernels(graph: Graph, precision: Precision) -> Graph:
    """Return the graph with the kernels that a file of that precision holds."""
    if precision == "fp32":
        return graph
    operations = tuple(
        replace(one, kernel=_rounded(one, precision)) if isinstance(one, Weighted) else one for one in graph.operations
    )
    return replace(graph, operations=operations)


def _rounded(operation: Weighted, precision: Precision) -> np.ndarray:
    if precision == "fp16":
        return operation.kernel.astype(np.float16).astype(np.float32)
    integers, scales = quantize_kernel(operation)
    return dequantize_kernel(operation, QuantizedWeights(integers, operation.bias, scales))


def _int8_case(
    subject: str,
    form: Form,
    content: bytes,
    quantized: QuantizedGraph,
    photo: np.ndarray,
    real: np.ndarray,
    signature: str | None = None,
) -> Case:
    graph, as_bytes = quantized.graph, form.rules.integer_ends
    first, last = quantized.tensors[graph.input], quantized.tensors[graph.output]
    taken = (photo.astype(np.int16) - 128).astype(np.int8) if as_bytes else first.quantize(to_float(photo))
    exact = run_int8_graph(quantized, taken[np.newaxis])
    byte = emitter.INTEGER_BYTE_SCALE if as_bytes else TensorScale(FLOAT_STEP, 0)
    ends: dict[IoType, tuple[np.ndarray, np.ndarray, float, float]] = {
        "int8": (taken, exact, last.scale, last.zero_point),
        "float": (to_float(photo), last.dequantize(exact), last.scale, 0),
        "uint8": (
            photo,
            (exact.astype(np.int16) + 128).astype(np.uint8) if as_bytes else to_uint8(last.dequantize(exact)),
            byte.scale,
            byte.zero_point if as_bytes else 127.5,
        ),
    }
    fed, expected, scale, zero_point = ends[form.io_type]
    return Case(
        group="students",
        subject=subject,
        form=form.name,
        format="tflite",
        content=content,
        input=fed[np.newaxis],
        expected=expected,
        scale=scale,
        zero_point=zero_point,
        real=real,
        is_int8=True,
        signature=signature,
    )


def _several_sizes(source: SourceGenerator, subject: str, usual: QuantizedGraph, photo: np.ndarray) -> Iterator[Case]:
    """Yield a file of two sizes, run at each."""
    other_px = usual.graph.input_shape[0] + OTHER_SIZE_PX
    (other_photo,) = synthetic_photos((other_px, other_px), count=1, seed=0)
    resized = source.at_size((other_px, other_px)).lower((other_px, other_px))
    other = quantize_like(resized, usual)
    content = emitter.int8_file(usual, "uint8", others=[other])
    runs = (("usual", usual, photo, None), ("other", other, other_photo, emitter.signature_of(other.graph)))
    for which, quantized, image, signature in runs:
        form = Form(name=f"int8, uint8 ends, of two sizes the {which}", precision="int8", io_type="uint8")
        picture = source.at_size(image.shape[:2]).translate(image)[np.newaxis]
        yield _int8_case(subject, form, content, quantized, image, picture, signature)


def _onnx_cases(
    group: Group, subject: str, graph: Graph, quantized: QuantizedGraph | None, image: np.ndarray
) -> Iterator[Case]:
    """Yield the ONNX files of a graph, with float ends; none where the package onnx is not installed."""
    if importlib.util.find_spec("onnx") is None:
        return
    from export.onnx import emitter as onnx_emitter

    made: dict[str, Any] = {"group": group, "subject": subject, "format": "onnx", "input": _nchw(image)}
    for weights in ("fp32", "fp16"):
        expected = run_graph(_round_kernels(graph, weights), image)
        content = onnx_emitter.float_file(graph, opset=_OPSET, weights=weights)
        yield Case(form=weights, content=content, expected=_nchw(expected), scale=FLOAT_STEP, **made)
    if quantized is not None:
        first, last = (quantized.tensors[name] for name in (graph.input, graph.output))
        expected = last.dequantize(run_int8_graph(quantized, first.quantize(image)))
        content = onnx_emitter.int8_file(quantized, opset=_OPSET)
        made |= {"expected": _nchw(expected), "scale": last.scale, "is_int8": True}
        yield Case(form="int8, float ends", content=content, **made)


def _nchw(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
