"""A teacher becomes a student: loaded, distilled, pruned, made ready for int8."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from compress.artifact import Artifact
    from compress.distill.config import DistillConfig
    from compress.prune.config import PruneConfig
    from compress.teachers.reading.config import ReadingConfig
    from export.quantize.config import QuantizeConfig


def load_teacher(path: str | PathLike[str], *, reading: ReadingConfig | None = None) -> keras.Model:
    """Load a trained generator from any file that people have; no code in the file is run.

    Args:
        path: Keras 2 or 3 `.h5`, `.keras`, PyTorch `.pth`, a SavedModel directory, or an artifact.
        reading: What the teacher's file does not say, see `ReadingConfig`.

    Returns:
        A functional model, `(batch, height, width, 3)` float32 in [-1, 1] to the same; height and width are None where
        the generator takes any size.

    Raises:
        UnusableModel: If the file is missing, torn, of an unknown format, or no image-to-image generator.

    Example:
        >>> teacher = pocketgan.load_teacher("g_m2f.h5")
        >>> teacher.output_shape[-1]
        3
    """
    from compress import teachers
    from compress.teachers.reading.config import AS_FOUND

    return teachers.load(Path(path), reading=reading or AS_FOUND)


def distill(
    teacher: str | PathLike[str],
    data: str | PathLike[str],
    out: str | PathLike[str],
    config: DistillConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Train a small student to do what a teacher does, as `compress distill`.

    A run that was killed goes on from its checkpoint in `OUT.training` when it is called again.

    Args:
        teacher: A file that `load_teacher` reads.
        data: A folder with `trainA` and `trainB`: photos of any size, which are cut and resized to
            `(image_size_px, image_size_px, 3)`.
        out: The artifact's folder to write.
        config: The student and its training. When not given, at 256 pixels by the recipe that suits what the teacher's
            images change, as `compress distill` chooses it.
        reading: What the teacher's file does not say, see `ReadingConfig`.
        overwrite: Whether `out` may exist.

    Returns:
        The student's artifact: `path`, and `manifest` with its cost and scores.

    Raises:
        UsageError: If `out` exists, or the image size is not the teacher's.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.

    Example:
        >>> config = pocketgan.DistillConfig(image_size_px=32, width=8, blocks=1, steps=20)
        >>> student = pocketgan.distill("g_m2f.h5", "photos", "student", config)
        >>> student.manifest.input.shape
        (32, 32, 3)
    """
    from compress.config import check_config
    from compress.distill.config import DistillConfig
    from compress.distill.stage import distill as distill_stage
    from compress.run.suited import suit_config
    from compress.teachers.reading.config import AS_FOUND

    if config is None:
        config = suit_config(
            DistillConfig(),
            (),
            Path(teacher),
            Path(data),
            Path(out),
            overwrite=overwrite,
            reading=reading or AS_FOUND,
        )
    return distill_stage(
        Path(teacher),
        Path(data),
        check_config(config, DistillConfig),
        Path(out),
        overwrite=overwrite,
        reading=reading or AS_FOUND,
    )


def prune(
    student: str | PathLike[str],
    teacher: str | PathLike[str],
    data: str | PathLike[str],
    out: str | PathLike[str],
    config: PruneConfig,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Remove a student's least important channels until it fits a budget, then fine-tune it, as `compress prune`.

    Args:
        student: The artifact that `distill` wrote.
        teacher: The generator file that it was distilled from.
        data: The folder that it was trained on.
        out: The artifact's folder to write.
        config: The budget, `max_bytes` of the int8 file or `max_macs`, and the fine-tuning.
        reading: What the teacher's file does not say, see `ReadingConfig`.
        overwrite: Whether `out` may exist.

    Returns:
        The pruned student's artifact.

    Raises:
        UsageError: If `out` exists, or the budget is impossible or met already.
        UnusableInput: If student, teacher or photos cannot be used.

    Example:
        >>> config = pocketgan.PruneConfig(max_bytes=8000, steps=5)
        >>> pruned = pocketgan.prune("student", "g_m2f.h5", "photos", "pruned", config)
        >>> pruned.manifest.stage
        'prune'
    """
    from compress.config import check_config
    from compress.prune.config import PruneConfig
    from compress.prune.stage import prune as prune_stage
    from compress.teachers.reading.config import AS_FOUND

    return prune_stage(
        Path(student),
        Path(teacher),
        Path(data),
        check_config(config, PruneConfig),
        Path(out),
        overwrite=overwrite,
        reading=reading or AS_FOUND,
    )


def quantize(
    student: str | PathLike[str],
    teacher: str | PathLike[str],
    data: str | PathLike[str],
    out: str | PathLike[str],
    config: QuantizeConfig | None = None,
    *,
    reading: ReadingConfig | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Choose a student's int8 ranges and train it with int8's rounding where that pays, as `compress quantize`.

    Args:
        student: The artifact that `distill` or `prune` wrote.
        teacher: The generator file that it was distilled from.
        data: The folder that it was trained on.
        out: The artifact's folder to write.
        config: Method, ranges and training; the defaults when not given.
        reading: What the teacher's file does not say, see `ReadingConfig`.
        overwrite: Whether `out` may exist.

    Returns:
        An artifact whose manifest holds the scale of every tensor, which `export_tflite` takes for int8.

    Raises:
        UsageError: If `out` exists.
        UnusableInput: If student, teacher or photos cannot be used.
        UnsupportedLayer: If a layer has no int8 kernel on phones.

    Example:
        >>> config = pocketgan.QuantizeConfig(method="ptq", calibration_images=4)
        >>> ready = pocketgan.quantize("student", "g_m2f.h5", "photos", "student_ready", config)
        >>> ready.manifest.quantization["image"]["zero_point"]
        0
    """
    from compress.config import check_config
    from compress.teachers.reading.config import AS_FOUND
    from export.quantize.config import QuantizeConfig
    from export.quantize.stage import quantize as quantize_stage

    return quantize_stage(
        Path(student),
        Path(teacher),
        Path(data),
        check_config(config or QuantizeConfig(), QuantizeConfig),
        Path(out),
        overwrite=overwrite,
        reading=reading or AS_FOUND,
    )
