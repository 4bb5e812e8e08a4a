"""Precision of the teacher's images: bfloat16 where this machine is faster in it and it makes the same pictures."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.config import TrainingPrecision
from compress.distill.training_data.teacher_images import Translate, batch_size
from compress.teachers.description import GeneratorDescription
from compress.training.device import choose_trial_clock
from compress.training.fast_layers import copy_to_translate
from compress.training.kept_outcomes import kept_outcome
from compress.training.precision import POLICIES, Policy, remembered, resolve_policy

FEWEST_PHOTOS = 100
"""Of fewer photos the images are made before a trial would be over."""
LEAST_PSNR_DB = 50.0
"""Of the images in bfloat16 to those in float32: closer than one level of 255 on average."""
_LEAST_GAIN = 1.1
_CLEAR_GAIN = 1.3
"""From which, and below whose inverse, one batch of each says which is faster: a busy machine blurs less than that."""
_MOST_TIMED = 3
"""Batches of each that are timed where it is not clear."""
_RECORD = "teacher_precision.txt"

_log = logging.getLogger(__name__)


def resolve_teacher_precision(
    asked: TrainingPrecision,
    build_teacher: Callable[[], keras.Model],
    description: GeneratorDescription,
    paths: Sequence[Path],
    work: Path,
    image_size_px: int,
) -> tuple[Policy, Translate]:
    """Return the dtype policy in which a teacher translates a run's photos, and the teacher as a function in it.

    Args:
        asked: What was asked for; `auto` is float32 where the training is in it, or where a trial on the first photos
            finds that no slower. Anything but float32 has to make the same pictures, `LEAST_PSNR_DB` at least on each.
        build_teacher: Returns the teacher in float32; called before a first image is made, and for a trial.
        description: Description of it, by which the user's cache tells what was found before.
        paths: The photos.
        work: The run's folder, which remembers what was chosen.
        image_size_px: Side of the square that photos are cropped and resized to.

    Raises:
        UnusableData: If too many of the first photos are broken.
    """

    @cache
    def built(policy: Policy) -> Translate:
        return translator(build_teacher(), policy)

    def choose() -> Policy:
        first = paths[: batch_size(image_size_px, image_size_px)]
        photos = images.to_float(np.stack([photo for _, photo in images.read_images(first, image_size_px)]))
        pays = _pays(built("float32"), built("mixed_bfloat16"), photos, is_asked=asked != "auto")
        return "mixed_bfloat16" if pays else "float32"

    policy: Policy = "float32"
    if len(paths) >= FEWEST_PHOTOS and resolve_policy(asked, work) != "float32":
        trial = {"trial": "teacher's images", "asked": asked, "teacher": description.fingerprint, "px": image_size_px}
        policy = remembered(work / _RECORD, lambda: kept_outcome(trial, POLICIES, choose))
    return policy, lambda photos: built(policy)(photos)


def translator(generator: keras.Model, policy: Policy = "float32") -> Translate:
    """Return a generator as a function of photos, in a dtype policy."""
    fast = copy_to_translate(generator, policy)
    return lambda photos: np.asarray(fast.predict_on_batch(photos)).astype(np.float32, copy=False)


def _pays(exact: Translate, short: Translate, photos: np.ndarray, *, is_asked: bool) -> bool:
    """Check that bfloat16 makes the same pictures and, unless it was asked for, that it makes them faster."""
    # The first call of each compiles it.
    psnr_db = _worst_psnr_db(exact(photos), short(photos))
    if psnr_db < LEAST_PSNR_DB:
        _log.info("the teacher's images in float32: in bfloat16 they are %.1f dB from them", psnr_db)
        return False
    if is_asked:
        return True
    gain = _measure_gain(exact, short, photos)
    pays = gain >= _LEAST_GAIN
    chosen = "bfloat16" if pays else "float32"
    _log.info("the teacher's images in %s: bfloat16 is %.2f times as fast, %.1f dB from float32", chosen, gain, psnr_db)
    return pays


def _measure_gain(exact: Translate, short: Translate, photos: np.ndarray) -> float:
    """Return how many times as fast bfloat16 is, from one batch of each where that is clear, else from a few."""
    clock = choose_trial_clock()
    fastest = {exact: float("inf"), short: float("inf")}
    gain = 1.0
    for _ in range(_MOST_TIMED):
        for translate, seconds in fastest.items():
            started = clock()
            translate(photos)
            fastest[translate] = min(seconds, clock() - started)
        gain = fastest[exact] / fastest[short]
        if not 1 / _CLEAR_GAIN < gain < _CLEAR_GAIN:
            break
    return gain


def _worst_psnr_db(exact: np.ndarray, short: np.ndarray) -> float:
    """Return the lowest PSNR of images in [-1, 1] to those of float32, dB."""
    worst = float(np.max(np.mean((exact - short) ** 2, axis=(1, 2, 3))))
    # A picture that is not finite is as far off as can be.
    return float(10 * np.log10(4 / max(worst, 1e-12))) if np.isfinite(worst) else 0.0
