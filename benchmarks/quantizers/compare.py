"""Compare the int8 export with other quantisers: same student, same photos, one table.

litert-quantizer quantises the float `.tflite` that our export writes, with the ranges that our calibration chose and
with its own; the TF converter quantises the Keras model. With `steps`, trainings join them: ours, its control in float,
whose Keras model the TF converter quantises as well, and TFMOT's quantisation-aware training of a copy in tf_keras.
"""

import contextlib
import importlib.util
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.host.config import HostConfig
from benchmarks.host.stage import bench_host
from benchmarks.quantizers import trainings
from benchmarks.quantizers.config import QuantizersConfig
from compress.errors import UsageError
from compress.images import psnr_db, to_float
from export.calibration import observe
from export.graph.border_pad import expand_border_pads
from export.graph.lower import lower
from export.graph.operations import Graph
from export.graph.quantized import TensorScale
from export.inspect.operators import list_operators
from export.interpreter.litert import TfliteGenerator
from export.quantize.config import QuantizeConfig
from export.source import SourceGenerator, load_source
from export.tflite import emitter

BASELINE = "student, fp32"
_PACKAGES = {"litert_quantizer": "litert-quantizer", "tensorflow": "tensorflow"}
_TRAINING_PACKAGES = {"tensorflow_model_optimization": "tensorflow-model-optimization", "tf_keras": "tf-keras"}


def check_quantizers(config: QuantizersConfig) -> None:
    """Check that the other quantisers are installed, before anything is loaded.

    Raises:
        UsageError: If one is not installed.
    """
    for module, package in _packages(config).items():
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"this compares with {package}, which is not installed. `uv sync` installs it from the group `dev`; "
                f"else pip install {package}."
            )


def compare_quantizers(student: Path, config: QuantizersConfig) -> dict[str, Any]:
    """Export one student with every quantiser, int8 from end to end, and measure the files.

    Args:
        student: An artifact of a student.
        config: Photos, trainings and rounds.

    Returns:
        JSON-ready, the record of `benchmarks.host.stage.bench_host` with the float student as the baseline. Each entry
        also has `psnr_db` to the Keras student over photos that no range was chosen on, peak 2.0, with trainings
        `teacher_psnr_db` to the teacher's pictures as well, and `float_operators`, the counts by kind of those that
        compute in float. `student`, `data`, `seed`, `calibration_images`, `images` (both as found), `versions` of the
        other quantisers and `trainings` (None without) describe the comparison.

    Raises:
        UsageError: If a quantiser is not installed, or the image size or the teacher does not fit the student.
        UnusableInput: If the student or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
    """
    check_quantizers(config)
    source = load_source(student)
    size = source.image_size(config.image_size_px)
    seen, unseen = (
        draw(config.data, domain=source.domain, count=count, size=size, seed=config.seed)
        for draw, count in (
            (observe.sample_photos, config.calibration_images),
            (observe.held_back_photos, config.images),
        )
    )
    graph = expand_border_pads(lower(source.model, input_shape=(*size, 3)))
    trained = _train(student, config, source, unseen)
    contents = _export_all(source, graph, seen)
    pictures = {"psnr_db": np.stack([source.translate(photo) for photo in unseen])}
    if trained is not None:
        contents |= {**trained.files, "TF converter, of the control": tensorflow_file(trained.control, seen)}
        pictures["teacher_psnr_db"] = trained.pictures
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(contents, Path(folder))
        record = bench_host(
            HostConfig(
                baseline=files[0],
                candidate=tuple(files[1:]),
                threads=(config.threads,),
                runs=config.runs,
                warmup=config.warmup,
            )
        )
        measured = [_measure_file(file, unseen, pictures) for file in files]
    entries = [
        own | {key: value for key, value in entry.items() if key != "path"}
        for entry, own in zip(record["entries"], measured, strict=True)
    ]
    return {
        "student": str(student),
        "data": str(config.data),
        "seed": config.seed,
        "calibration_images": len(seen),
        "images": len(unseen),
        "versions": {package: metadata.version(package) for package in _packages(config).values()},
        "trainings": trained.facts if trained is not None else None,
        **record,
        "entries": entries,
    }


def litert_quantizer_file(
    graph: Graph, photos: Sequence[np.ndarray], scales: Mapping[str, TensorScale] | None = None
) -> bytes:
    """Quantise our float file of a graph with litert-quantizer.

    Args:
        graph: A float graph.
        photos: `(height, width, 3)` uint8, to calibrate on.
        scales: The scales of our int8 file, for the same ranges; its own calibration when None.
    """
    from litert_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.tflite"
        source.write_bytes(emitter.float_file(graph))
        other = quantizer.Quantizer(str(source))
    other.load_quantization_recipe(recipe.static_wi8_ai8())
    images = [{graph.input: to_float(photo)[np.newaxis]} for photo in photos]
    seen: dict[str, Any] = other.calibrate({"serving_default": images}, num_threads=1)
    scales = scales or {}
    for name in seen.keys() & scales.keys():
        least, greatest = scales[name].dequantize(np.array([-128, 127]))
        seen[name] = {key: np.full_like(seen[name][key], value) for key, value in (("min", least), ("max", greatest))}
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


def _export_all(source: SourceGenerator, graph: Graph, photos: Sequence[np.ndarray]) -> dict[str, bytes]:
    # The others get the graph as it is: biases that are corrected for our rounding are part of our file.
    quantized = observe.calibrate_and_quantize(graph, photos, source.scales)
    return {
        BASELINE: emitter.float_file(graph),
        "compress export": emitter.int8_file(quantized, "int8"),
        "litert-quantizer, our ranges": litert_quantizer_file(graph, photos, quantized.tensors),
        "litert-quantizer": litert_quantizer_file(graph, photos),
        "TF converter": tensorflow_file(source.model, photos),
    }


def _write_files(contents: Mapping[str, bytes], folder: Path) -> list[Path]:
    files = [folder / f"{name}.tflite" for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        file.write_bytes(content)
    return files


def _packages(config: QuantizersConfig) -> dict[str, str]:
    return _PACKAGES | (_TRAINING_PACKAGES if config.steps else {})


def _train(
    student: Path, config: QuantizersConfig, source: SourceGenerator, photos: Sequence[np.ndarray]
) -> trainings.Trainings | None:
    if config.steps is None or config.teacher is None:
        return None
    settings = QuantizeConfig(steps=config.steps, calibration_images=config.calibration_images, seed=config.seed)
    return trainings.train_candidates(student, config.teacher, config.data, settings, source, photos)


def _measure_file(file: Path, photos: Sequence[np.ndarray], pictures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a file's distance to each of the `pictures`, and its operators that compute in float."""
    generator = TfliteGenerator.open(file)
    translated = np.stack([generator.translate(photo) for photo in photos])
    floating = [operator.code for operator in list_operators(file.read_bytes()) if operator.dtype.startswith("float")]
    return {
        **{name: psnr_db(translated - wanted) for name, wanted in pictures.items()},
        "float_operators": dict(Counter(floating)),
    }
