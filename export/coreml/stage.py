"""`compress export coreml`: a generator in, an artifact with a checked Core ML package out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from compress import images
from compress.artifact import MODEL_NAMES, Artifact, Cost, ImageSpec, Manifest, open_artifact, write_manifest
from compress.config import to_mapping
from compress.files.atomic import atomic_dir, refuse_existing
from compress.model_card import CARD_NAME, export_card
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export import parity, sizes
from export.calibration.observe import calibrate_and_quantize
from export.calibration.photos import PARITY_IMAGES, draw_photos, parity_sheet, photo_kind
from export.config import CoremlConfig, CoremlPrecision
from export.coreml import child, kit, overflow
from export.coreml.job import Job, JobResult
from export.cost import measure_described_cost
from export.graph.operations import Graph
from export.graph.passes import apply_passes, mixed_precision
from export.graph.quantized import QuantizedGraph
from export.sample_project import check_place
from export.sizes import OtherSize
from export.source import SourceGenerator, load_source

LEAST_PSNR_DB: dict[CoremlPrecision, float] = {
    "fp32": 90.0,
    "fp16": 45.0,
    "int8_weights": 40.0,
    "palette8": 40.0,
    "palette6": 30.0,
    "int8": 30.0,
}
"""The least PSNR to the float source, as `parity.LEAST_PSNR_DB`. Measured on the `vintage` student and its teacher at
256x256: fp32 148 and 110 dB, fp16 78 and 77, int8_weights 67 and 55, palette8 71 and 61, palette6 59 and 50, int8 46;
on tiny untrained students fp16 72, int8_weights 57, palette8 54, palette6 45."""
_REMEDIES: dict[CoremlPrecision, str] = {
    "fp32": "This should not happen: please report it with the model.",
    "fp16": "Pass --data with photos like those it was trained on, or use --precision fp32.",
    "int8_weights": "Use --precision palette8 or fp16.",
    "palette8": "Use --precision fp16.",
    "palette6": "Use --precision palette8 or fp16.",
    "int8": "Calibrate on photos like those it was trained on (--data), on more of them, or use --precision fp16.",
}


@dataclass(frozen=True, kw_only=True)
class _Lowered:
    """A generator that is ready to be written, and what it is checked with."""

    graph: Graph
    quantized: QuantizedGraph | None
    photos: Sequence[np.ndarray]
    """Each `(height, width, 3)` uint8, of the usual size."""
    expected: Sequence[np.ndarray]
    """The source's picture of each."""
    others: Sequence[OtherSize]
    largest: Mapping[str, float]
    """Largest magnitude in each tensor, over all sizes."""
    in_float32: frozenset[str]
    """Tensors that float16 is too narrow for."""

    @property
    def graphs(self) -> list[Graph]:
        """One for each size, the usual one first."""
        return [self.graph, *(other.graph for other in self.others)]


def export_coreml(
    source: Path,
    config: CoremlConfig,
    out: Path,
    *,
    swift: Path | None = None,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as a Core ML package, after reading it back from disk and checking what it does.

    Args:
        source: An artifact with a model.keras, or any teacher's file.
        config: Precision, sizes and the texts that Xcode shows.
        out: The artifact to write.
        swift: A folder to write too: a Swift package that runs and times the model.
        reading: What the user says about the teacher's file.
        overwrite: Whether `out` and `swift` may exist.

    Raises:
        UsageError: If `out` or `swift` exists, coremltools is not installed, or the image size does not fit the model.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
        ParityError: If the package does something else than its source; nothing is written then.
    """
    refuse_existing(out, overwrite=overwrite)
    if swift is not None:
        check_place(swift, out, source, flag="--swift", overwrite=overwrite)
    child.check_coremltools()
    generator = load_source(source, reading=reading)
    lowered = _lower(generator, config)
    photos, expected = lowered.photos, lowered.expected
    with atomic_dir(out, overwrite=overwrite) as scratch:
        package = scratch / MODEL_NAMES["mlpackage"]
        result = child.run_job(_job(lowered, config, generator), package)
        scores = _check(result, lowered, config)
        if config.data is not None:
            sheet = parity_sheet(photos, expected, result.pictures[: len(photos)])
            images.write_png(scratch / "samples.png", sheet)
        scores["coreml"] = _package_facts(package, result, lowered)
        write_manifest(scratch, _manifest(out.name, config, generator, lowered, package, scores))
        (scratch / CARD_NAME).write_text(export_card(open_artifact(scratch)), encoding="utf-8")
    exported = open_artifact(out)
    if swift is not None:
        kit.write_kit(exported, photos[0], result.pictures[0], swift, overwrite=overwrite)
    return exported


def _lower(generator: SourceGenerator, config: CoremlConfig) -> _Lowered:
    """Lower and quantize a generator at every size of the package, and measure its activations."""
    size = generator.image_size(config.image_size_px)
    photos = draw_photos(config, generator, size)
    parity_photos = photos[:PARITY_IMAGES]
    graph = generator.lower(size)
    others = sizes.lower_other_sizes(config, generator, graph)
    sizes.require_same_operations(graph, others)
    quantized = None
    if config.precision == "int8":
        quantized = calibrate_and_quantize(graph, photos, generator.scales, generator.float_ops)
        graph, passes = quantized.graph, mixed_precision(quantized.float_ops)
        others = [replace(other, graph=apply_passes(other.graph, passes)) for other in others]
    found = [overflow.measure_activations(graph, parity_photos)]
    found += [overflow.measure_activations(other.graph, other.photos) for other in others]
    largest = {name: float(np.max([each[name] for each in found])) for name in found[0]}
    return _Lowered(
        graph=graph,
        quantized=quantized,
        photos=parity_photos,
        expected=generator.translate_each(parity_photos),
        others=others,
        largest=largest,
        in_float32=overflow.find_overflows(largest),
    )


def _job(lowered: _Lowered, config: CoremlConfig, generator: SourceGenerator) -> Job:
    return Job(
        graph=lowered.graph,
        precision=config.precision,
        in_float32=lowered.in_float32,
        quantized=lowered.quantized,
        metadata=_metadata(config, generator, lowered),
        photos=(*lowered.photos, *(photo for other in lowered.others for photo in other.photos)),
        others=tuple(other.graph.shapes for other in lowered.others),
    )


def _check(result: JobResult, lowered: _Lowered, config: CoremlConfig) -> dict[str, Any]:
    """Compare the package's pictures with its source's, at every size.

    Returns:
        The manifest's `parity` and, where there are other sizes, `parity_at` each of them.

    Raises:
        ParityError: If a bound is missed.
    """
    expected = {sizes.size_name(lowered.graph): lowered.expected}
    expected |= {other.name: other.expected for other in lowered.others}
    pictures, checked = iter(result.pictures), {}
    for name, unclipped in expected.items():
        # A picture holds no more than this; a generator without tanh may go beyond.
        clipped = [np.clip(picture, -1, 1) for picture in unclipped]
        own = list(islice(pictures, len(clipped)))
        checked[name] = parity.compute_parity(own, clipped, material=photo_kind(config))
        parity.require_psnr(
            checked[name],
            f"{config.precision} package" + (f" at {name}" if lowered.others else ""),
            least_db=LEAST_PSNR_DB[config.precision],
            remedy=_REMEDIES[config.precision],
        )
    return parity.as_scores(checked)


def _metadata(config: CoremlConfig, generator: SourceGenerator, lowered: _Lowered) -> dict[str, str]:
    width_by_height = [f"{graph.input_shape[1]}x{graph.input_shape[0]}" for graph in lowered.graphs]
    return {
        "author": config.author,
        "license": config.license,
        "version": config.model_version,
        "short_description": (
            f"{generator.name}: a {' or '.join(width_by_height)} RGB photo in, a picture of that size out."
        ),
        # The parent of the artifact's manifest: the manifest, or a teacher's file, that it was made from.
        "pocketgan.parent_sha256": generator.fingerprint,
        "pocketgan.precision": config.precision,
    }


def _package_facts(package: Path, result: JobResult, lowered: _Lowered) -> dict[str, Any]:
    weights_bytes = sum(path.stat().st_size for path in package.rglob("weight.bin"))
    return {
        "graph_bytes": _size_bytes(package) - weights_bytes,
        "weights_bytes": weights_bytes,
        "operations": dict(result.operations),
        "largest_activations": {name: float(f"{value:.4g}") for name, value in lowered.largest.items()},
        "float16_largest": overflow.FLOAT16_LARGEST,
        "in_float32": sorted(lowered.in_float32),
    }


def _size_bytes(package: Path) -> int:
    return sum(path.stat().st_size for path in package.rglob("*") if path.is_file())


def _manifest(
    name: str,
    config: CoremlConfig,
    generator: SourceGenerator,
    lowered: _Lowered,
    package: Path,
    scores: dict[str, Any],
) -> Manifest:
    graph = lowered.graph
    macs = measure_described_cost(generator.description, graph.input_shape[:2]).macs
    return Manifest(
        name=name,
        format="mlpackage",
        stage="export",
        parent=generator.fingerprint,
        input=ImageSpec(shape=graph.input_shape, layout="NCHW", dtype="uint8", range=(0.0, 255.0)),
        cost=Cost(params=graph.params, macs=macs, size_bytes=_size_bytes(package)),
        config=to_mapping(config) | generator.origin(),
        seed=config.seed,
        quantization=None if lowered.quantized is None else lowered.quantized.as_json(),
        float_ops=[] if lowered.quantized is None else list(lowered.quantized.float_ops),
        scores=scores,
    )
