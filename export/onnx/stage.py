"""`compress export onnx`: a generator in, an artifact with a checked ONNX file out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import images
from compress.artifact import MODEL_NAMES, Artifact, Cost, ImageSpec, Manifest, open_artifact, write_manifest
from compress.config import to_mapping
from compress.errors import ParityError
from compress.files.atomic import atomic_dir, refuse_existing
from compress.model_card import CARD_NAME, export_card
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export import parity
from export.calibration.observe import calibrate_and_quantize
from export.calibration.photos import PARITY_IMAGES, draw_photos, parity_sheet, photo_kind
from export.config import OnnxConfig, OnnxPrecision
from export.cost import measure_described_cost
from export.graph.operations import Graph
from export.graph.passes import SHUFFLES_AS_CONVOLUTIONS, apply_passes
from export.graph.quantized import QuantizedGraph
from export.interpreter.numpy_int8 import run_int8_graph
from export.lens_studio import NOTE_NAME, write_note
from export.onnx.extra import check_onnx
from export.onnx.runner import OnnxGenerator
from export.source import SourceGenerator, load_source

LEAST_PSNR_TO_INTEGERS_DB = 36.0
"""The least PSNR of an int8 file to the integer-exact reference; two steps of a byte in every pixel are 36 dB. The
reference follows XNNPACK, whose additions have multipliers of 20 bits; ONNX's are float, and one step in the mean of a
channel moves the whole picture: 41.6 dB and more over single photos of two students, most of them above 75 dB."""
_REMEDIES: dict[OnnxPrecision, str] = {
    "fp32": "This should not happen: please report it with the model.",
    "fp16": "Its weights leave float16's range: use --precision fp32.",
    "int8": "Calibrate on photos like those it was trained on (--data), on more of them, or use --precision fp16.",
}


@dataclass(frozen=True, kw_only=True)
class _Lowered:
    """A generator that is ready to be written, and what it is checked with."""

    graph: Graph
    quantized: QuantizedGraph | None
    photos: Sequence[np.ndarray]
    """Each `(height, width, 3)` uint8."""
    expected: Sequence[np.ndarray]
    """The source's picture of each."""


def export_onnx(
    source: Path,
    config: OnnxConfig,
    out: Path,
    *,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as an ONNX file, after checking that the file does what the generator does.

    Args:
        source: An artifact with a model.keras, or any teacher's file.
        config: Precision, size, input and output values, target and calibration.
        out: The artifact to write.
        reading: What the user says about the teacher's file.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists, the package onnx is not installed, or the image size does not fit the model.
        UnusableInput: If the model or the photos cannot be used, or the file is too large for the target.
        UnsupportedLayer: If a layer cannot be expressed, or the target does not take an operator.
        ParityError: If the file does something else than its source; nothing is written then.
    """
    refuse_existing(out, overwrite=overwrite)
    check_onnx()
    # From here on the package onnx is needed.
    from export.onnx import lens_studio

    if config.target == "lens-studio":
        lens_studio.require_settings(config)
    generator = load_source(source, reading=reading)
    lowered = _lower(generator, config)
    content = _emit(lowered, config, generator)
    unread = None
    if config.target == "lens-studio":
        unread = lens_studio.require_lens_studio(content, lowered.graph)
    exported = OnnxGenerator(content, config.resolved_io_type)
    pictures = [exported.translate(photo) for photo in lowered.photos]
    scores = _check(pictures, lowered, config)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / MODEL_NAMES["onnx"]).write_bytes(content)
        if config.data is not None:
            images.write_png(scratch / "samples.png", parity_sheet(lowered.photos, lowered.expected, pictures))
        if unread is not None:
            (scratch / NOTE_NAME).write_text(_note(generator, lowered, config, content, unread), "utf-8")
        scores |= {"ran_in": exported.engine} | ({} if unread is None else {"not_in_snaps_list_as_read": unread})
        write_manifest(scratch, _manifest(out.name, config, generator, lowered, len(content), scores))
        (scratch / CARD_NAME).write_text(export_card(open_artifact(scratch)), encoding="utf-8")
    return open_artifact(out)


def _lower(generator: SourceGenerator, config: OnnxConfig) -> _Lowered:
    size = generator.image_size(config.image_size_px)
    photos = draw_photos(config, generator, size)
    graph, quantized = generator.lower(size), None
    if config.target == "lens-studio":
        graph = apply_passes(graph, SHUFFLES_AS_CONVOLUTIONS)
    if config.precision == "int8":
        quantized = calibrate_and_quantize(graph, photos, generator.scales, generator.float_ops)
        graph = quantized.graph
    photos = photos[:PARITY_IMAGES]
    return _Lowered(graph=graph, quantized=quantized, photos=photos, expected=generator.translate_each(photos))


def _emit(lowered: _Lowered, config: OnnxConfig, generator: SourceGenerator) -> bytes:
    from export.onnx import emitter

    texts = {
        "description": f"PocketGAN generator {generator.name}, {config.precision}: RGB image to RGB image.",
        "author": config.author,
        "license": config.license,
    }
    opset, io_type = config.resolved_opset, config.resolved_io_type
    if lowered.quantized is not None:
        return emitter.int8_file(lowered.quantized, opset=opset, io_type=io_type, texts=texts)
    weights = "fp16" if config.precision == "fp16" else "fp32"
    return emitter.float_file(lowered.graph, opset=opset, weights=weights, io_type=io_type, texts=texts)


def _check(pictures: Sequence[np.ndarray], lowered: _Lowered, config: OnnxConfig) -> dict[str, Any]:
    """Compare the file's pictures with its source's, and an int8 file's with what its integers mean.

    Returns:
        The manifest's `parity` and, of an int8 file, `integers`: PSNR to the integer-exact reference, and the share of
        values within a step of it.

    Raises:
        ParityError: If a bound is missed.
    """
    precision = config.precision
    checked = parity.compute_parity(pictures, lowered.expected, material=photo_kind(config))
    least_db = parity.LEAST_PSNR_DB[precision]
    parity.require_psnr(checked, f"{precision} ONNX file", least_db=least_db, remedy=_REMEDIES[precision])
    scores: dict[str, Any] = {"parity": checked.as_json()}
    if lowered.quantized is not None:
        scores["integers"] = _check_integers(pictures, lowered.quantized, lowered.photos)
    return scores


def _check_integers(
    pictures: Sequence[np.ndarray], quantized: QuantizedGraph, photos: Sequence[np.ndarray]
) -> dict[str, float]:
    first, last = (quantized.tensors[name] for name in (quantized.graph.input, quantized.graph.output))
    integers = [run_int8_graph(quantized, first.quantize(images.to_float(photo))[np.newaxis])[0] for photo in photos]
    steps = [
        np.abs(last.quantize(picture).astype(np.int16) - exact)
        for picture, exact in zip(pictures, integers, strict=True)
    ]
    apart = images.psnr_db(np.stack(pictures) - last.dequantize(np.stack(integers)))
    if not apart >= LEAST_PSNR_TO_INTEGERS_DB:
        raise ParityError(
            f"the int8 ONNX file is {apart:.1f} dB from the integer-exact reference; expected at least "
            f"{LEAST_PSNR_TO_INTEGERS_DB:.0f} dB. Nothing was written. This runtime computes something else than the "
            "integers mean: try another version of onnxruntime, and report it."
        )
    return {"psnr_db": apart, "share_within_a_step": float((np.stack(steps) <= 1).mean())}


def _note(generator: SourceGenerator, lowered: _Lowered, config: OnnxConfig, content: bytes, unread: list[str]) -> str:
    height, width, channels = lowered.graph.input_shape
    return write_note(
        (1, channels, height, width),
        config.pixel_range,
        name=generator.name,
        file=MODEL_NAMES["onnx"],
        size_bytes=len(content),
        ends=(lowered.graph.input, lowered.graph.output),
        unread=unread,
    )


def _manifest(
    name: str,
    config: OnnxConfig,
    generator: SourceGenerator,
    lowered: _Lowered,
    size_bytes: int,
    scores: Mapping[str, Any],
) -> Manifest:
    graph, quantized = lowered.graph, lowered.quantized
    macs = measure_described_cost(generator.description, graph.input_shape[:2]).macs
    resolved = {"opset": config.resolved_opset, "io_type": config.resolved_io_type}
    return Manifest(
        name=name,
        format="onnx",
        stage="export",
        parent=generator.fingerprint,
        input=ImageSpec(shape=graph.input_shape, layout="NCHW", range=config.pixel_range),
        cost=Cost(params=graph.params, macs=macs, size_bytes=size_bytes),
        config=to_mapping(config) | resolved | generator.origin(),
        seed=config.seed,
        quantization=None if quantized is None else quantized.as_json(),
        float_ops=[] if quantized is None else list(quantized.float_ops),
        scores=dict(scores),
    )
