"""`compress export tflite`: a generator in, an artifact with a checked `.tflite` file out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from compress import images
from compress.artifact import MODEL_NAMES, Artifact, Cost, ImageSpec, Manifest, open_artifact, write_manifest
from compress.config import to_mapping
from compress.errors import UsageError
from compress.files.atomic import atomic_dir, refuse_existing
from compress.model_card import CARD_NAME, export_card
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export import parity, sizes
from export.calibration.observe import calibrate_and_quantize
from export.calibration.photos import PARITY_IMAGES, draw_photos, parity_sheet, photo_kind
from export.config import IoType, TfliteConfig
from export.cost import measure_described_cost
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, quantize_like
from export.interpreter.litert import TfliteGenerator
from export.lens_studio import NOTE_NAME, require_size, require_uses, write_note
from export.sample_project import check_place
from export.source import SourceGenerator, load_source
from export.tflite import emitter, targets
from export.tflite.app import write_app
from export.tflite.delegation import log_undelegated, read_coverage
from export.tflite.differences import find_differences
from export.tflite.metadata import ModelMetadata

_DTYPES: dict[IoType, Literal["float32", "int8", "uint8"]] = {"float": "float32", "int8": "int8", "uint8": "uint8"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _SizedGraph:
    """A generator at one of the file's sizes, and what the file is checked with there."""

    graph: Graph
    quantized: QuantizedGraph | None
    photos: Sequence[np.ndarray]
    """Each `(height, width, 3)` uint8."""
    expected: Sequence[np.ndarray]
    """The source's picture of each."""


def export_tflite(
    source: Path,
    config: TfliteConfig,
    out: Path,
    *,
    app: Path | None = None,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as a `.tflite` file, after checking that the file does what the generator does.

    Args:
        source: An artifact with a model.keras, or any teacher's file.
        config: Precision, sizes, input and output type, and calibration.
        out: The artifact to write.
        app: A folder to write too: an Android app around the file.
        reading: What the user says about the teacher's file.
        overwrite: Whether `out` and `app` may exist.

    Raises:
        UsageError: If `out` or `app` exists, the image size does not fit the model, or the target has no app.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed, or the target does not take an operator.
        ParityError: If the file does something else than its source; nothing is written then.
    """
    refuse_existing(out, overwrite=overwrite)
    if app is not None:
        check_place(app, out, source, flag="--app", overwrite=overwrite)
        if config.target == "mediapipe":
            raise UsageError(
                f"--app {app}: the sample app runs LiteRT by itself, and a file for mediapipe returns values for "
                "MediaPipe's tasks. Leave --app out, or use --target cpu."
            )
    generator = load_source(source, reading=reading)
    graphs = _lower(generator, config)
    content = _emit(graphs, config, _metadata(config, generator))
    targets.require_taken(content, config.target)
    if config.target == "lens-studio":
        require_size(len(content))
        require_uses(graphs[0].graph)
    # The finished file is opened once: for its checks, the delegate's share and the samples.
    exported = TfliteGenerator(content)
    checked = _check(exported, graphs, config)
    coverage = read_coverage(exported.interpreter)
    log_undelegated(coverage)
    _warn_of_differences(content)
    usual = graphs[0]
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / MODEL_NAMES["tflite"]).write_bytes(content)
        if config.data is not None:
            pictures = map(exported.translate, usual.photos)
            images.write_png(scratch / "samples.png", parity_sheet(usual.photos, usual.expected, pictures))
        if config.target == "lens-studio":
            (scratch / NOTE_NAME).write_text(_note(content, usual.graph, generator), encoding="utf-8")
        scores = parity.as_scores(checked) | {"xnnpack": coverage.as_json()}
        write_manifest(scratch, _manifest(out.name, config, generator, usual, len(content), scores))
        (scratch / CARD_NAME).write_text(export_card(open_artifact(scratch)), encoding="utf-8")
    artifact = open_artifact(out)
    if app is not None:
        photo = usual.photos[0]
        write_app(artifact, photo, exported.translate(photo), app, overwrite=overwrite)
    return artifact


def _lower(generator: SourceGenerator, config: TfliteConfig) -> list[_SizedGraph]:
    """Lower and quantize a generator at every size of the file, the usual one first."""
    size = generator.image_size(config.image_size_px)
    photos = draw_photos(config, generator, size)
    lowered = generator.lower(size)
    others = sizes.lower_other_sizes(config, generator, lowered)
    graph, quantized = targets.rewrite_float(lowered, config), None
    if config.precision == "int8":
        chosen = calibrate_and_quantize(graph, photos, generator.scales, generator.float_ops)
        quantized = targets.rewrite_int8(chosen, config.target)
        graph = quantized.graph
    parity_photos = photos[:PARITY_IMAGES]
    expected = generator.translate_each(parity_photos)
    usual = _SizedGraph(graph=graph, quantized=quantized, photos=parity_photos, expected=expected)
    return [usual, *(_quantize_other(other, quantized, config) for other in others)]


def _quantize_other(other: sizes.OtherSize, usual: QuantizedGraph | None, config: TfliteConfig) -> _SizedGraph:
    graph, quantized = targets.rewrite_float(other.graph, config), None
    if usual is not None:
        quantized = targets.rewrite_int8(quantize_like(graph, usual), config.target)
        graph = quantized.graph
    return _SizedGraph(graph=graph, quantized=quantized, photos=other.photos, expected=other.expected)


def _emit(graphs: Sequence[_SizedGraph], config: TfliteConfig, metadata: ModelMetadata) -> bytes:
    rules = targets.RULES[config.target]
    integers = [sized.quantized for sized in graphs if sized.quantized is not None]
    if integers:
        ends = {"integer_ends": rules.integer_ends, "unit_output": rules.unit_output}
        return emitter.int8_file(integers[0], config.io_type, metadata, others=integers[1:], **ends)
    graph, *others = (sized.graph for sized in graphs)
    weights = "fp32" if config.precision == "int8" else config.precision
    return emitter.float_file(graph, weights, metadata, others=others, unit_output=rules.unit_output)


def _check(exported: TfliteGenerator, graphs: Sequence[_SizedGraph], config: TfliteConfig) -> dict[str, parity.Parity]:
    """Run the file at every size.

    Returns:
        Its parity by size, the usual one first.

    Raises:
        ParityError: If a bound is missed.
    """
    checked = {}
    for sized in graphs:
        name = sizes.size_name(sized.graph)
        checked[name] = parity.measure_parity(
            exported,
            sized.photos,
            sized.expected,
            material=photo_kind(config),
            quantized=sized.quantized,
            integer_ends=targets.RULES[config.target].integer_ends,
        )
        parity.require_parity(checked[name], config.precision, at=f" at {name}" if len(graphs) > 1 else "")
    return checked


def _metadata(config: TfliteConfig, generator: SourceGenerator) -> ModelMetadata:
    description = (
        config.description or f"PocketGAN generator {generator.name}, {config.precision}: RGB image to RGB image."
    )
    return ModelMetadata(name=generator.name, description=description, author=config.author, license=config.license)


def _note(content: bytes, graph: Graph, generator: SourceGenerator) -> str:
    return write_note(
        (1, *graph.input_shape),
        emitter.PIXEL_RANGES["float"],
        name=generator.name,
        file=MODEL_NAMES["tflite"],
        size_bytes=len(content),
        ends=(graph.input, graph.output),
        unread=targets.find_unread(content),
    )


def _warn_of_differences(content: bytes) -> None:
    """Tell of operators with which some runtimes spoil pictures; how ends are passed is the caller's choice."""
    for each in find_differences(content):
        if each["spoils"] and each["op"].isupper():
            _log.warning("%s on %s: %s; %s", each["op"], each["runtime"], each["why"], each["what_to_do"])


def _manifest(
    name: str,
    config: TfliteConfig,
    generator: SourceGenerator,
    usual: _SizedGraph,
    size_bytes: int,
    scores: Mapping[str, object],
) -> Manifest:
    graph, quantized = usual.graph, usual.quantized
    macs = measure_described_cost(generator.description, graph.input_shape[:2]).macs
    return Manifest(
        name=name,
        format="tflite",
        stage="export",
        parent=generator.fingerprint,
        input=ImageSpec(
            shape=graph.input_shape, dtype=_DTYPES[config.io_type], range=emitter.PIXEL_RANGES[config.io_type]
        ),
        cost=Cost(params=graph.params, macs=macs, size_bytes=size_bytes),
        config=to_mapping(config) | generator.origin(),
        seed=config.seed,
        quantization=None if quantized is None else quantized.as_json(),
        float_ops=[] if quantized is None else list(quantized.float_ops),
        scores=dict(scores),
    )
