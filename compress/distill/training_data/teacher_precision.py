"""Precision of the teacher's images: bfloat16 where this machine is faster in it and it makes the same pictures."""

import logging
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.config import TrainingPrecision
from compress.distill.training_data.teacher_images import Translate, batch_size
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.training.precision import Policy, dtype_policy_scope, remembered

FEWEST_PHOTOS = 100
"""Of fewer photos the images are made before a trial would be over."""
LEAST_PSNR_DB = 50.0
"""Of the images in bfloat16 to those in float32: closer than one level of 255 on average."""
_LEAST_GAIN = 1.1
_TIMED_BATCHES = 2
_RECORD = "teacher_precision.txt"

_log = logging.getLogger(__name__)


def resolve_teacher_precision(
    asked: TrainingPrecision,
    generator: keras.Model,
    description: GeneratorDescription,
    paths: Sequence[Path],
    work: Path,
    image_size_px: int,
) -> tuple[Policy, Translate]:
    """Return the dtype policy in which a teacher translates a run's photos, and the teacher as a function in it.

    Args:
        asked: What was asked for; `auto` is whichever a trial on the first photos finds faster. Anything but float32
            has to make the same pictures, `LEAST_PSNR_DB` at least on each.
        generator: The teacher in float32.
        description: Description of it.
        paths: The photos.
        work: The run's folder, which remembers what was chosen.
        image_size_px: Side of the square that photos are cropped and resized to.

    Raises:
        UnusableData: If too many of the first photos are broken.
    """
    exact = translator(generator)
    if asked == "float32" or len(paths) < FEWEST_PHOTOS:
        return "float32", exact

    @cache
    def short() -> Translate:
        with dtype_policy_scope("mixed_bfloat16"):
            return translator(build_generator(description))

    def choose() -> Policy:
        first = paths[: batch_size(image_size_px, image_size_px)]
        photos = images.to_float(np.stack([photo for _, photo in images.read_images(first, image_size_px)]))
        return "mixed_bfloat16" if _pays(exact, short(), photos, is_asked=asked != "auto") else "float32"

    policy = remembered(work / _RECORD, choose)
    return policy, exact if policy == "float32" else short()


def translator(generator: keras.Model) -> Translate:
    """Return a generator as a function of photos."""
    return lambda photos: np.asarray(generator.predict_on_batch(photos)).astype(np.float32, copy=False)


def _pays(exact: Translate, short: Translate, photos: np.ndarray, *, is_asked: bool) -> bool:
    """Check that bfloat16 makes the same pictures and, unless it was asked for, that it makes them faster."""
    # The first call of each compiles it.
    psnr_db = _worst_psnr_db(exact(photos), short(photos))
    if psnr_db < LEAST_PSNR_DB:
        _log.info("the teacher's images in float32: in bfloat16 they are %.1f dB from them", psnr_db)
        return False
    if is_asked:
        return True
    durations: dict[Translate, list[float]] = {exact: [], short: []}
    for _ in range(_TIMED_BATCHES):
        for translate, taken in durations.items():
            started = time.perf_counter()
            translate(photos)
            taken.append(time.perf_counter() - started)
    gain = min(durations[exact]) / min(durations[short])
    pays = gain >= _LEAST_GAIN
    chosen = "bfloat16" if pays else "float32"
    _log.info("the teacher's images in %s: bfloat16 is %.2f times as fast, %.1f dB from float32", chosen, gain, psnr_db)
    return pays


def _worst_psnr_db(exact: np.ndarray, short: np.ndarray) -> float:
    """Return the lowest PSNR of images in [-1, 1] to those of float32, dB."""
    worst = float(np.max(np.mean((exact - short) ** 2, axis=(1, 2, 3))))
    # A picture that is not finite is as far off as can be.
    return float(10 * np.log10(4 / max(worst, 1e-12))) if np.isfinite(worst) else 0.0
