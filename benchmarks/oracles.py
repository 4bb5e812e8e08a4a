"""Hold the int8 export against other quantisers: same student, same photos, one table.

litert-quantizer quantises the float `.tflite` that our export writes, with the ranges that our calibration chose and
with its own; the TF converter quantises the Keras model. TFMOT's quantisation-aware training is not here: it takes
models of tf_keras alone.
"""

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.config import HostConfig, OraclesConfig
from benchmarks.host import bench_host
from compress.errors import UsageError
from compress.images import to_float
from export import calibrate, parity, tflite
from export.lower import lower
from export.quantization import QuantizedGraph
from export.runner import TfliteGenerator
from export.source import Source, open_source
from export.spelling import without_reflection

BASELINE = "student, fp32"
_PACKAGES = {"litert_quantizer": "litert-quantizer", "tensorflow": "tensorflow"}


def check_available() -> None:
    """See that both other quantisers are there, before anything is loaded.

    Raises:
        UsageError: If one is not installed.
    """
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"this compares with {package}, which is not installed. `uv sync` installs it from the group `dev`; "
                f"else pip install {package}."
            )


def compare_oracles(student: Path, config: OraclesConfig) -> dict[str, Any]:
    """Export one student with every quantiser, int8 from end to end, and measure the files.

    Args:
        student: An artifact of a student.
        config: Photos and rounds.

    Returns:
        JSON-ready, as `benchmarks.host.bench_host` returns it, the float student being the baseline. Each entry also
        has `psnr_db` to the Keras student over photos that no range was chosen on, peak 2.0. `student`, `data`, `seed`,
        `calibration_images`, `images` (both as found) and `versions` of the other quantisers say what was compared.

    Raises:
        UsageError: If a quantiser is not installed, or the image size does not fit the student.
        UnusableInput: If the student or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
    """
    check_available()
    source = open_source(student)
    size = source.image_size(config.image_size_px)
    seen, unseen = (
        draw(config.data, domain=source.domain, count=count, size=size, seed=config.seed)
        for draw, count in (
            (calibrate.sample_photos, config.calibration_images),
            (calibrate.held_back_photos, config.images),
        )
    )
    graph = without_reflection(lower(source.model, input_shape=(*size, 3)))
    quantized = calibrate.quantize_on(graph, seen, source.scales)
    with tempfile.TemporaryDirectory() as folder:
        files = _write(_export(source, quantized, seen), Path(folder))
        record = bench_host(
            HostConfig(
                baseline=files[0],
                candidate=tuple(files[1:]),
                threads=(config.threads,),
                runs=config.runs,
                warmup=config.warmup,
            )
        )
        expected = np.stack([source.translate(photo) for photo in unseen])
        distances = [_distance_db(file, unseen, expected) for file in files]
    entries = [
        {"psnr_db": distance} | {key: value for key, value in entry.items() if key != "path"}
        for entry, distance in zip(record["entries"], distances, strict=True)
    ]
    return {
        "student": str(student),
        "data": str(config.data),
        "seed": config.seed,
        "calibration_images": len(seen),
        "images": len(unseen),
        "versions": {package: metadata.version(package) for package in _PACKAGES.values()},
        **record,
        "entries": entries,
    }


def litert_quantizer_file(quantized: QuantizedGraph, photos: Sequence[np.ndarray], *, with_our_ranges: bool) -> bytes:
    """Quantise our float file of a graph with litert-quantizer.

    Args:
        quantized: The graph, and the ranges that were chosen for it.
        photos: `(height, width, 3)` uint8, to calibrate on.
        with_our_ranges: Whether the ranges are those of `quantized`, or those that it sees itself.
    """
    from litert_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.tflite"
        source.write_bytes(tflite.float_file(quantized.graph))
        other = quantizer.Quantizer(str(source))
    other.load_quantization_recipe(recipe.static_wi8_ai8())
    images = [{quantized.graph.input: to_float(photo)[np.newaxis]} for photo in photos]
    seen: dict[str, Any] = other.calibrate({"serving_default": images}, num_threads=1)
    if with_our_ranges:
        for name in seen.keys() & quantized.tensors.keys():
            least, greatest = quantized.tensors[name].dequantize(np.array([-128, 127]))
            seen[name] = {
                key: np.full_like(seen[name][key], value) for key, value in (("min", least), ("max", greatest))
            }
    return bytes(other.quantize(seen, enable_progress_report=False).quantized_model)


def tensorflow_file(model: Any, photos: Sequence[np.ndarray]) -> bytes:
    """Quantise a Keras model with the TF converter.

    Args:
        model: A `keras.Model`.
        photos: `(height, width, 3)` uint8, to calibrate on.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([to_float(photo)[np.newaxis]] for photo in photos)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # Keras prints every tensor of what it saves on the way; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr):
        return converter.convert()


def _export(source: Source, quantized: QuantizedGraph, photos: Sequence[np.ndarray]) -> dict[str, bytes]:
    return {
        BASELINE: tflite.float_file(quantized.graph),
        "compress export": tflite.int8_file(quantized, "int8"),
        "litert-quantizer, our ranges": litert_quantizer_file(quantized, photos, with_our_ranges=True),
        "litert-quantizer": litert_quantizer_file(quantized, photos, with_our_ranges=False),
        "TF converter": tensorflow_file(source.model, photos),
    }


def _write(contents: Mapping[str, bytes], folder: Path) -> list[Path]:
    files = [folder / f"{name}.tflite" for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        file.write_bytes(content)
    return files


def _distance_db(file: Path, photos: Sequence[np.ndarray], expected: np.ndarray) -> float:
    generator = TfliteGenerator.open(file)
    return parity.psnr_db(np.stack([generator.translate(photo) for photo in photos]) - expected)
