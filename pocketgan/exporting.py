"""A student becomes files for phones, and any of its forms translates folders of photos."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.artifact import Artifact
    from compress.teachers.reading.config import ReadingConfig
    from export.config import CoremlConfig, OnnxConfig, TfliteConfig, TranslateConfig


def export_tflite(
    source: str | PathLike[str],
    out: str | PathLike[str],
    config: TfliteConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as a `.tflite` file, checked against its source, as `compress export tflite`.

    Args:
        source: An artifact with a Keras model, or a file that `load_teacher` reads.
        out: The artifact's folder to write; the file in it is `model.tflite`, `(1, height, width, 3)` to the same in
            the type that `config.io_type` names.
        config: Precision, input and output type, sizes and calibration; fp32 when not given.
        reading: What a teacher's file does not say, see `ReadingConfig`; of an artifact nothing can be said.
        overwrite: Whether `out` may exist.

    Returns:
        The export's artifact; `manifest.scores["parity"]` tells how close the file is to its source.

    Raises:
        UsageError: If `out` exists, or the image size does not fit the model.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
        ParityError: If the file does something else than its source; nothing is written then.

    Example:
        >>> config = pocketgan.TfliteConfig(precision="int8", io_type="uint8", data=Path("photos"))
        >>> phone = pocketgan.export_tflite("student", "phone", config)
        >>> phone.model_path.name
        'model.tflite'
    """
    from compress.config import check_config
    from compress.teachers.reading.config import AS_FOUND
    from export.config import TfliteConfig
    from export.tflite.stage import export_tflite as export_stage

    return export_stage(
        Path(source),
        check_config(config or TfliteConfig(), TfliteConfig),
        Path(out),
        reading=reading or AS_FOUND,
        overwrite=overwrite,
    )


def export_coreml(
    source: str | PathLike[str],
    out: str | PathLike[str],
    config: CoremlConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as a Core ML package that takes and returns pictures, as `compress export coreml`.

    Args:
        source: An artifact with a Keras model, or a file that `load_teacher` reads.
        out: The artifact's folder to write; the package in it is `model.mlpackage`.
        config: Precision, sizes and calibration; fp16 when not given.
        reading: What a teacher's file does not say, see `ReadingConfig`; of an artifact nothing can be said.
        overwrite: Whether `out` may exist.

    Returns:
        The export's artifact.

    Raises:
        UsageError: If `out` exists, the image size does not fit the model, or coremltools is not installed.
        UnusableInput: If the model or the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
        ParityError: If the package does something else than its source; nothing is written then.

    Example:
        >>> package = pocketgan.export_coreml("student", "package", pocketgan.CoremlConfig(data=Path("photos")))
        >>> package.model_path.name
        'model.mlpackage'
    """
    from compress.config import check_config
    from compress.teachers.reading.config import AS_FOUND
    from export.config import CoremlConfig
    from export.coreml.stage import export_coreml as export_stage

    return export_stage(
        Path(source),
        check_config(config or CoremlConfig(), CoremlConfig),
        Path(out),
        reading=reading or AS_FOUND,
        overwrite=overwrite,
    )


def export_onnx(
    source: str | PathLike[str],
    out: str | PathLike[str],
    config: OnnxConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Write a generator as an ONNX file, for Lens Studio and other runtimes, as `compress export onnx`.

    Args:
        source: An artifact with a Keras model, or a file that `load_teacher` reads.
        out: The artifact's folder to write; the file in it is `model.onnx`, `(1, 3, height, width)` to the same in
            float32, whose values `config.io_type` names.
        config: Precision, input and output values, target, size and calibration; fp32 when not given.
        reading: What a teacher's file does not say, see `ReadingConfig`; of an artifact nothing can be said.
        overwrite: Whether `out` may exist.

    Returns:
        The export's artifact; `manifest.scores["ran_in"]` tells what it was run in to check it.

    Raises:
        UsageError: If `out` exists, the image size does not fit the model, or the package onnx is not installed.
        UnusableInput: If the model or the photos cannot be used, or the file is too large for the target.
        UnsupportedLayer: If a layer cannot be expressed, or the target does not take an operator.
        ParityError: If the file does something else than its source; nothing is written then.

    Example:
        >>> lens = pocketgan.export_onnx("student", "lens", pocketgan.OnnxConfig(target="lens-studio"))
        >>> lens.model_path.name
        'model.onnx'
    """
    from compress.config import check_config
    from compress.teachers.reading.config import AS_FOUND
    from export.config import OnnxConfig
    from export.onnx.stage import export_onnx as export_stage

    return export_stage(
        Path(source),
        check_config(config or OnnxConfig(), OnnxConfig),
        Path(out),
        reading=reading or AS_FOUND,
        overwrite=overwrite,
    )


def translate(
    model: str | PathLike[str],
    images: str | PathLike[str],
    out: str | PathLike[str],
    config: TranslateConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a model over a folder of images, one PNG each, as `compress translate`.

    Args:
        model: An artifact, a `.tflite` file, or a file that `load_teacher` reads.
        images: A folder of photos of any size; they are cut and resized to what the model takes.
        out: The folder to write: for each photo a `(height, width, 3)` PNG of the same stem.
        config: Image size, and how to load and run the model.
        reading: What a teacher's file does not say, see `ReadingConfig`; of an artifact nothing can be said.
        overwrite: Whether `out` may exist.

    Returns:
        How many `images` were written and `skipped`, and at which `height_px` and `width_px`.

    Raises:
        UsageError: If `out` exists, or the image size does not fit the model or is missing.
        UnusableInput: If the model or the folder cannot be used.

    Example:
        >>> pocketgan.translate("phone", "photos/testA", "fakes")["images"]
        4
    """
    from compress.config import check_config
    from compress.teachers.reading.config import AS_FOUND
    from export.config import TranslateConfig
    from export.translate import translate as translate_stage

    checked = check_config(config or TranslateConfig(), TranslateConfig)
    return translate_stage(
        Path(model), Path(images), Path(out), checked, reading=reading or AS_FOUND, overwrite=overwrite
    )
