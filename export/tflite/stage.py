"""`compress export tflite`: a generator in, an artifact with a checked `.tflite` file out."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from compress import cost, images
from compress.artifact import (
    MODEL_NAMES,
    Artifact,
    Cost,
    ImageSpec,
    Manifest,
    atomic_dir,
    open_artifact,
    refuse_existing,
    write_manifest,
)
from compress.config import to_mapping
from export import parity, sizes
from export.calibration import observe
from export.calibration import photos as material
from export.config import IoType, TfliteConfig
from export.graph.lower import lower
from export.graph.operations import Graph
from export.graph.passes import TFLITE, apply_passes
from export.graph.quantized import QuantizedGraph, quantize_like
from export.interpreter.litert import TfliteGenerator
from export.sizes import OtherSize
from export.source import Source, open_source
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage
from export.tflite.metadata import About

_DTYPES: dict[IoType, Literal["float32", "int8", "uint8"]] = {"float": "float32", "int8": "int8", "uint8": "uint8"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """A generator at one of the file's sizes."""

    graph: Graph
    quantized: QuantizedGraph | None
    photos: Sequence[np.ndarray]
    """What the file is checked with, `(height, width, 3)` uint8."""
    expected: Sequence[np.ndarray]
    """What the source makes of each."""


def export_tflite(source: Path, config: TfliteConfig, out: Path, *, overwrite: bool = False) -> Artifact:
    """Write a generator as a `.tflite` file, after checking that the file does what the generator does.

    Args:
        source: An artifact with a model.keras, or any teacher's file.
        config: Precision, sizes, ends and calibration.
        out: The artifact to write.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists, or the image size does not fit the model.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
        ParityError: If the file does something else than its source; nothing is written then.
    """
    refuse_existing(out, overwrite=overwrite)
    opened = open_source(source, lambda_layers=config.lambda_layers)
    size = opened.image_size(config.image_size_px)
    photos = material.draw_photos(config, opened, size)
    usual = lower(opened.model, input_shape=(*size, 3))
    others = sizes.lower_others(config, opened, usual)
    graph, quantized = apply_passes(usual, TFLITE), None
    if config.precision == "int8":
        quantized = observe.quantize_on(graph, photos, opened.scales, opened.float_ops)
    shown = photos[: material.PARITY_IMAGES]
    expected = [opened.translate(photo) for photo in shown]
    forms = [_Form(graph=graph, quantized=quantized, photos=shown, expected=expected)]
    forms += [_form(other, quantized) for other in others]
    content = _emit(forms, config, _about(config, opened))
    checked = _check(content, forms, config)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / MODEL_NAMES["tflite"]).write_bytes(content)
        if config.data is not None:
            pictures = map(TfliteGenerator(content).translate, shown)
            images.write_png(scratch / "samples.png", material.contact_sheet(shown, expected, pictures))
        write_manifest(scratch, _manifest(out.name, config, opened, forms[0], content, checked))
    return open_artifact(out)


def _form(other: OtherSize, usual: QuantizedGraph | None) -> _Form:
    graph = apply_passes(other.graph, TFLITE)
    quantized = None if usual is None else quantize_like(graph, usual)
    return _Form(graph=graph, quantized=quantized, photos=other.photos, expected=other.expected)


def _emit(forms: Sequence[_Form], config: TfliteConfig, about: About) -> bytes:
    integers = [form.quantized for form in forms if form.quantized is not None]
    if integers:
        return emitter.int8_file(integers[0], config.io_type, about, others=integers[1:])
    graph, *others = (form.graph for form in forms)
    return emitter.float_file(graph, "fp32" if config.precision == "int8" else config.precision, about, others=others)


def _check(content: bytes, forms: Sequence[_Form], config: TfliteConfig) -> dict[str, parity.Parity]:
    """Run the file at every size.

    Returns:
        Its parity by size, the usual one first.

    Raises:
        ParityError: If a bound is missed.
    """
    checked = {}
    for form in forms:
        name = sizes.size_name(form.graph)
        checked[name] = parity.measure_parity(
            content, form.photos, form.expected, material=material.material_kind(config), quantized=form.quantized
        )
        parity.require_parity(checked[name], config.precision, at=f" at {name}" if len(forms) > 1 else "")
    return checked


def _about(config: TfliteConfig, opened: Source) -> About:
    description = (
        config.description or f"PocketGAN generator {opened.name}, {config.precision}: RGB image to RGB image."
    )
    return About(name=opened.name, description=description, author=config.author, license=config.license)


def _manifest(
    name: str,
    config: TfliteConfig,
    opened: Source,
    usual: _Form,
    content: bytes,
    checked: Mapping[str, parity.Parity],
) -> Manifest:
    graph, quantized = usual.graph, usual.quantized
    macs = cost.measure_cost(opened.model, image_size_px=graph.input_shape[:2]).macs
    coverage = delegate_coverage(content)
    if coverage.left_behind:
        counts = ", ".join(f"{count} {name}" for name, count in Counter(coverage.left_behind).items())
        _log.info("XNNPACK leaves %s to slower kernels", counts)
    return Manifest(
        name=name,
        format="tflite",
        stage="export",
        parent=opened.fingerprint,
        input=ImageSpec(
            shape=graph.input_shape, dtype=_DTYPES[config.io_type], range=emitter.PIXEL_RANGES[config.io_type]
        ),
        cost=Cost(params=graph.params, macs=macs, size_bytes=len(content)),
        config=to_mapping(config) | {"domain": opened.domain},
        seed=config.seed,
        quantization=None if quantized is None else quantized.as_json(),
        float_ops=[] if quantized is None else list(quantized.float_ops),
        scores=parity.as_scores(checked) | {"xnnpack": coverage.as_json()},
    )
