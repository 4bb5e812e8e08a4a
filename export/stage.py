"""`compress export tflite`: a generator in, an artifact with a checked `.tflite` file out."""

import logging
from collections import Counter
from pathlib import Path
from typing import Literal

from compress import cost, images
from compress.artifact import (
    MODEL_NAMES,
    Artifact,
    Cost,
    ImageSpec,
    Manifest,
    open_artifact,
    refuse_existing,
    write_manifest,
    written_whole,
)
from compress.config import to_mapping
from export import calibrate, material, parity, tflite
from export.config import Ends, TfliteConfig
from export.coverage import delegate_coverage
from export.graph import Graph
from export.lower import lower
from export.metadata import About
from export.quantization import QuantizedGraph
from export.runner import TfliteGenerator
from export.source import Source, open_source
from export.spelling import without_reflection

_DTYPES: dict[Ends, Literal["float32", "int8", "uint8"]] = {"float": "float32", "int8": "int8", "uint8": "uint8"}
_log = logging.getLogger(__name__)


def export_tflite(source: Path, config: TfliteConfig, out: Path, *, overwrite: bool = False) -> Artifact:
    """Write a generator as a `.tflite` file, after checking that the file does what the generator does.

    Args:
        source: An artifact with a model.keras, or any teacher's file.
        config: Precision, ends and calibration.
        out: The artifact to write.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists, or the image size does not fit the model.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
        ParityError: If the file does something else than its source; nothing is written then.
    """
    refuse_existing(out, overwrite=overwrite)
    opened = open_source(source, lambda_as=config.lambda_as)
    size = opened.image_size(config.image_size_px)
    photos = material.photos(config, opened, size)
    graph = without_reflection(lower(opened.model, input_shape=(*size, 3)))
    quantized = calibrate.quantize_on(graph, photos, opened.scales) if config.precision == "int8" else None
    content = _emit(graph, quantized, config, _about(config, opened))
    shown = photos[: material.PARITY_IMAGES]
    expected = [opened.translate(photo) for photo in shown]
    checked = parity.measure(content, shown, expected, material=material.kind(config), quantized=quantized)
    parity.require(checked, config.precision)
    with written_whole(out, overwrite=overwrite) as scratch:
        (scratch / MODEL_NAMES["tflite"]).write_bytes(content)
        if config.data is not None:
            pictures = map(TfliteGenerator(content).translate, shown)
            images.write_png(scratch / "samples.png", material.sheet(shown, expected, pictures))
        write_manifest(scratch, _manifest(out.name, config, opened, graph, content, checked, quantized))
    return open_artifact(out)


def _emit(graph: Graph, quantized: QuantizedGraph | None, config: TfliteConfig, about: About) -> bytes:
    if quantized is not None:
        return tflite.int8_file(quantized, config.ends, about)
    return tflite.float_file(graph, "fp32" if config.precision == "int8" else config.precision, about)


def _about(config: TfliteConfig, opened: Source) -> About:
    description = (
        config.description or f"PocketGAN generator {opened.name}, {config.precision}: RGB image to RGB image."
    )
    return About(name=opened.name, description=description, author=config.author, license=config.license)


def _manifest(
    name: str,
    config: TfliteConfig,
    opened: Source,
    graph: Graph,
    content: bytes,
    checked: parity.Parity,
    quantized: QuantizedGraph | None,
) -> Manifest:
    macs = cost.measure(opened.model, image_size_px=graph.input_shape[:2]).macs
    coverage = delegate_coverage(content)
    if coverage.left_behind:
        counts = ", ".join(f"{count} {name}" for name, count in Counter(coverage.left_behind).items())
        _log.info("XNNPACK leaves %s to slower kernels", counts)
    return Manifest(
        name=name,
        format="tflite",
        stage="export",
        parent=opened.fingerprint,
        input=ImageSpec(shape=graph.input_shape, dtype=_DTYPES[config.ends], range=tflite.PIXEL_RANGES[config.ends]),
        cost=Cost(params=graph.params, macs=macs, size_bytes=len(content)),
        config=to_mapping(config) | {"domain": opened.domain},
        seed=config.seed,
        quantization=None if quantized is None else quantized.as_json(),
        scores={"parity": checked.as_json(), "xnnpack": coverage.as_json()},
    )
