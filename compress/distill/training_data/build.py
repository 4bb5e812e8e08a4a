"""Training data of a student: pairs of photos and the teacher's images, the teacher, and real images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import keras
import numpy as np

from compress.distill.config import FitConfig
from compress.distill.distiller import check_teacher_features, sees_teacher
from compress.distill.training_data.pairs import Pairs, collect_pairs
from compress.distill.training_data.real_images import load_real_images
from compress.distill.training_data.teacher_images import TeacherImages, cache_folder
from compress.distill.training_data.teacher_precision import resolve_teacher_precision
from compress.faces.template import AlignmentTemplate
from compress.files.training_folder import make_training_folder
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.training.precision import Policy

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Training data and the teacher: all that `fit` needs beside the student."""

    pairs: Pairs
    build_teacher: Callable[[], keras.Model] | None
    """Returns the frozen teacher, built when it is first asked for; None where pairs are all there is."""
    real: np.ndarray | None
    """Real images of the target domain, `(count, height, width, 3)` uint8; None without any, or a discriminator."""
    teacher_precision: Policy = "float32"
    """Arithmetic that the teacher's images were made in."""
    alignment: AlignmentTemplate | None = None
    """Where faces lie in the photos; None where nobody knows."""

    def teacher(self, *, needed: bool) -> keras.Model | None:
        """Return the teacher where it is needed and there is one, else None without building it.

        To be called before a training is seeded and its dtype policy set: building draws random numbers, in the policy
        that holds.
        """
        return self.build_teacher() if needed and self.build_teacher else None


def build_training_data(
    paths: list[Path],
    real_paths: Sequence[Path],
    description: GeneratorDescription,
    config: FitConfig,
    work: Path,
    image_size_px: int,
    alignment: AlignmentTemplate | None = None,
) -> TrainingData:
    """Build the training data: translate the photos, or take the teacher's images from the user's cache.

    The teacher itself is built where an image is missing or a loss looks through it.

    Args:
        paths: The photos.
        real_paths: Real images, from `list_real_images`.
        description: Description of the teacher.
        config: Losses and their weights, and the precision of the training.
        work: The run's folder; made if missing.
        image_size_px: Side of the square that photos are cropped and resized to.
        alignment: Template that the photos' faces were aligned to; None where they were not.

    Raises:
        UnusableModel: If the teacher lacks the layers that a loss with a weight compares.
        UnusableData: If too many photos are broken, or fewer than two are left.
    """
    make_training_folder(work)
    build_teacher = cache(partial(build_generator, description))
    if sees_teacher(config):
        check_teacher_features(build_teacher(), image_size_px)
    precision, translate = resolve_teacher_precision(
        config.precision, build_teacher, description, paths, work, image_size_px
    )
    kept = cache_folder(description.fingerprint, image_size_px, precision)
    _log.info("%d photos; the teacher's images are kept in %s", len(paths), kept)
    pairs = collect_pairs(paths, TeacherImages(translate, kept), work=work, image_size_px=image_size_px)
    real = load_real_images(real_paths, work / "real.npy", image_size_px)
    return TrainingData(pairs, build_teacher, real, precision, alignment)
