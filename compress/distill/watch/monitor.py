"""Monitor of a distillation: measures held-back photos on the way with the weights that would be kept, and keeps them.

Each time, the student's weights are compared with their average over the steps, with BatchNorm statistics that fit it,
by PSNR to the teacher; the better ones are measured, drawn and, where `History.chosen` says so, kept on disk.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.distill.config import HISTORY, FitConfig
from compress.distill.training_data.pairs import Pairs
from compress.distill.watch.history import History, Point, Weights, describe_point
from compress.distill.watch.pictures import Pictures, draw_sheet, translate_held_back
from compress.distill.watch.reference import Watch
from compress.training import kid
from compress.training.averaging import averaged_weights, has_batch_norm, refresh_batch_statistics
from compress.training.checkpoint import checkpoint_steps, load_weights, save_weights

BATCH_NORM_STEPS = 20
"""Batches that BatchNorm's statistics are the mean of."""
STATISTICS_STEPS = 100
"""Batches that other running statistics see, such as the ranges of fake quantisation: their memory is that long."""
_log = logging.getLogger(__name__)


class Monitor:
    """Monitor of one training; what it knows lies in the run's folder, so that a killed run resumes with it.

    Args:
        model: The compiled distiller.
        student: A float32 student of its shape, which is given each candidate's weights in turn.
        photos: Returns the training photos of a step, for BatchNorm's statistics.
        held_back: The held-back photos.
        config: The training.
        work: The run's folder.
        watch: How KID is watched; None watches PSNR alone.
    """

    def __init__(
        self,
        model: keras.Model,
        student: keras.Model,
        photos: Callable[[int], np.ndarray],
        held_back: Pairs,
        config: FitConfig,
        work: Path,
        watch: Watch | None,
    ) -> None:
        self._model, self._student, self._photos, self._held_back = model, student, photos, held_back
        self._config, self._work = config, work
        self._watch = watch if watch and _has_enough(held_back) else None
        if self._watch:
            self._write_real_images(self._watch)

    def history(self, done: int) -> History:
        """Return the history after so many steps, without later points of a run that was killed."""
        return History.read(self._work / HISTORY).up_to(done)

    def sample(self, done: int) -> Mapping[str, float]:
        """Measure and draw the held-back photos; keep the weights where they are the chosen ones now."""
        weights, pictures = self._better_weights(done)
        images.write_png(self._work / f"samples-{done:06d}.png", draw_sheet(self._held_back, pictures.pixels))
        known = self.history(done - 1)
        measured = self._measure_kid(pictures.pixels, known.network) if self._watch else None
        point = Point(step=done, held_back_psnr_db=pictures.psnr_db, weights=weights, kid=measured)
        history = known.with_point(point)
        if history.chosen == point:
            save_weights(self._student.get_weights(), self._weights_file(done))
        # Written last: whatever the history calls chosen is on disk.
        history.write(self._work / HISTORY)
        self._delete_stale_weights(history, done)
        _log.info("%s", describe_point(point, history.teacher_kid))
        return {"held_back_psnr_db": pictures.psnr_db, **({measured.metric: measured.mean} if measured else {})}

    def finished(self, done: int) -> bool:
        """Check whether KID has stopped to improve for as long as was asked for."""
        return self.explain_end(done) is not None

    def explain_end(self, done: int) -> str | None:
        """Return why a training that was at so many steps ends there before its last step; None where it goes on."""
        patience = self._watch.patience if self._watch else None
        if patience is None or done >= self._config.steps:
            return None
        if not self.history(done).has_stalled(patience, from_step=self._config.last_change):
            return None
        return (
            f"stopped at step {done} of {self._config.steps}: no KID of the last {patience} lies below the best before "
            "them by more than its spread"
        )

    def load_chosen(self, done: int) -> None:
        """Give the student the chosen weights, and say why; without a step, it keeps those that it has."""
        history = self.history(done)
        if history.chosen is None:
            return
        if ended := self.explain_end(done):
            _log.info("%s", ended)
        _log.info("kept are the weights of step %d: %s", history.chosen.step, history.explain_choice())
        self._student.set_weights(load_weights(self._weights_file(history.chosen.step)))

    def _better_weights(self, done: int) -> tuple[Weights, Pictures]:
        """Give the student the better of both weights on the held-back photos."""
        raw = self._model.student.get_weights()
        self._student.set_weights(raw)
        of_raw = translate_held_back(self._student, self._held_back)
        if not self._config.ema_momentum:
            return "raw", of_raw
        with averaged_weights(self._model):
            averaged = self._model.student.get_weights()
        self._student.set_weights(averaged)
        steps = BATCH_NORM_STEPS if has_batch_norm(self._student) else STATISTICS_STEPS
        refresh_batch_statistics(self._student, self._photos, min(steps, done))
        of_averaged = translate_held_back(self._student, self._held_back)
        if of_averaged.psnr_db >= of_raw.psnr_db:
            return "averaged", of_averaged
        self._student.set_weights(raw)
        return "raw", of_raw

    def _write_real_images(self, watch: Watch) -> None:
        """Write the images that KID is measured to; where they are real ones, measure the teacher's own KID once."""
        _, targets = self._held_back.batch(np.arange(len(self._held_back)))
        made = images.to_uint8(targets)
        kid.write_real_images(_read_images(watch, made.shape[1]) if watch.real else made, self._real)
        if (self._work / HISTORY).exists():
            return
        of_teacher = self._measure_kid(made, "auto") if watch.real else None
        History(kid_to="real" if watch.real else "teacher", teacher_kid=of_teacher).write(self._work / HISTORY)

    @property
    def _real(self) -> Path:
        return self._work / "held_back_real"

    def _measure_kid(self, pixels: np.ndarray, network: str) -> kid.Kid | None:
        return kid.measure_kid(pixels, self._real, self._work, network=network)

    def _weights_file(self, step: int) -> Path:
        return self._work / f"chosen-{step:09d}.npz"

    def _delete_stale_weights(self, history: History, done: int) -> None:
        """Delete weights that are not chosen, now or at one of the two checkpoints, where a killed run resumes."""
        kept = checkpoint_steps(done, self._config.checkpoint_every)
        chosen = (history.chosen, *(history.up_to(step).chosen for step in kept))
        needed = {self._weights_file(point.step) for point in chosen if point}
        for path in self._work.glob("chosen-*.npz"):
            if path not in needed:
                path.unlink()


def _read_images(watch: Watch, side_px: int) -> Iterable[np.ndarray]:
    return (image for _, image in images.read_images(watch.real, side_px))


def _has_enough(held_back: Pairs) -> bool:
    """Check whether there are enough held-back photos for KID; say so where there are not."""
    enough = len(held_back) >= kid.FEWEST_IMAGES
    if not enough:
        _log.warning(
            "KID is not watched: of so few photos %d are held back, and it needs %d", len(held_back), kid.FEWEST_IMAGES
        )
    return enough
