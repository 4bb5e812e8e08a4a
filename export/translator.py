"""Any artifact or model file as what translates photos, and the record beside its pictures of what it learnt from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import TRANSLATION_NAME, find_trained_with, is_artifact, open_artifact
from compress.errors import UnsupportedLayer, UnusableArtifact, UsageError
from compress.images import to_float
from compress.teachers.packed import read_packed_config
from compress.teachers.reading.config import ReadingConfig, require_teacher_file
from export.config import TranslateConfig

Translator = Callable[[np.ndarray], np.ndarray]
"""Turns a `(height, width, 3)` uint8 photo into a float picture in [-1, 1]."""


def write_record(model: Path, folder: Path) -> Path | None:
    """Write beside a model's pictures what it was trained with, and return the file; None where nothing tells."""
    if not (trained_with := _trained_with(model)):
        return None
    record = {"model": model.name, "trained_with": trained_with}
    path = folder / TRANSLATION_NAME
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def _trained_with(model: Path) -> str | None:
    """Return what the manifest of an artifact tells, of the artifact that a file lies in, or of a packed student."""
    artifacts = [path for path in (model, model.parent) if is_artifact(path)]
    if artifacts:
        return open_artifact(artifacts[0]).manifest.trained_with
    return find_trained_with(read_packed_config(model))


def open_translator(model: Path, config: TranslateConfig, reading: ReadingConfig) -> tuple[Translator, tuple[int, int]]:
    """Open any artifact or model file.

    Returns:
        What translates a photo, and the height and width of the photos that it takes, pixels.

    Raises:
        UsageError: If the image size does not fit the model or is missing.
        UnusableInput: If the model cannot be used.
    """
    if is_artifact(model):
        artifact = open_artifact(model)
        if artifact.manifest.format == "tflite":
            return _open_tflite(artifact.model_path, config, reading)
        if artifact.manifest.format == "onnx":
            return _open_source(artifact.model_path, config, reading)
        if artifact.manifest.format == "mlpackage":
            raise UnusableArtifact(f"{model} holds a Core ML package, which runs on Apple devices only.")
    elif model.suffix == ".tflite":
        return _open_tflite(model, config, reading)
    return _open_source(model, config, reading)


def _open_tflite(path: Path, config: TranslateConfig, reading: ReadingConfig) -> tuple[Translator, tuple[int, int]]:
    require_teacher_file(path, reading)
    from export.interpreter.litert import TfliteGenerator

    wanted = config.image_size_px
    size = None if wanted is None else (wanted, wanted)
    generator = TfliteGenerator.open(path, threads=config.threads, size=size)
    if wanted is not None and generator.size != (wanted, wanted):
        if (wanted, wanted) not in generator.sizes:
            taken = " or ".join(f"{height}x{width}" for height, width in generator.sizes)
            raise UsageError(f"{path} takes {taken} images, but image_size_px = {wanted}. Leave --image-size-px out.")
        generator = generator.at_size((wanted, wanted))
    return generator.translate, generator.size


def _open_source(path: Path, config: TranslateConfig, reading: ReadingConfig) -> tuple[Translator, tuple[int, int]]:
    """Open a Keras or PyTorch generator as the float file that it would be exported as, the fastest way to run it."""
    from export.graph.passes import TFLITE, apply_passes
    from export.interpreter.litert import TfliteGenerator
    from export.source import load_source
    from export.tflite.emitter import float_file

    source = load_source(path, reading=reading)
    size = source.image_size(config.image_size_px)
    try:
        graph = source.lower(size)
    except UnsupportedLayer:
        # What no file can hold, such as a PReLU, Keras runs all the same.
        return _in_keras(source.model), size
    content = float_file(apply_passes(graph, TFLITE), "fp32")
    return TfliteGenerator(content, name=path.name, threads=config.threads).translate, size


def _in_keras(model: Any) -> Translator:
    return lambda photo: np.asarray(model.predict_on_batch(to_float(photo)[np.newaxis]), dtype=np.float32)[0]
