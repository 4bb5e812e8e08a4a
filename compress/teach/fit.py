"""Training of both generators: KID of held-back images on the way, each direction's best kept."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.errors import UnusableArtifact
from compress.teach import convergence, cyclegan
from compress.teach.batches import Batches, DomainImages, downscale
from compress.teach.config import TeachConfig
from compress.teach.convergence import DIRECTIONS, Direction, KidCheck, KidHistory
from compress.teach.kid import measure_directions
from compress.training import averaging, kid, loop, replicas, schedules
from compress.training.checkpoint import checkpoint_steps
from compress.training.precision import Policy, dtype_policy_scope, resolve_policy

_SHEET_COLUMNS = 8
_TRANSLATED_AT_ONCE = 8
_STATISTICS_STEPS = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedTeachers:
    """Both finished generators, in float32, and the record of their training."""

    generators: Mapping[Direction, keras.Model]
    steps: Mapping[Direction, int]
    """Steps after which each generator was best."""
    history: KidHistory
    step_s: float | None
    """Median time of a step, see `loop.TrainResult`."""
    precision: Policy
    """Dtype policy of the training."""
    sheet: np.ndarray
    """Contact sheet of held-back A, fake B, cycled A, held-back B, fake A; `(height, width, 3)` uint8."""


class _Monitor:
    """Monitor of the held-back images: sample sheets, KID in both directions, the best weights kept."""

    def __init__(self, model: cyclegan.CycleGan, batches: Batches, work: Path) -> None:
        self._model, self._batches, self._work = model, batches, work
        size = batches.config.image_size
        self.held_back: Mapping[Direction, np.ndarray] = {
            "a2b": batches.a.held_back_images(size),
            "b2a": batches.b.held_back_images(size),
        }
        self._trained: Mapping[Direction, keras.Model] = {"a2b": model.a2b, "b2a": model.b2a}
        self.generators: Mapping[Direction, keras.Model] = self._trained
        if replicas.current().count > 1:
            # What several replicas are asked to generate, all of them do, and wait for each other.
            build = cyclegan.build_cyclegan_generator
            self.generators = {"a2b": build(batches.config), "b2a": build(batches.config)}
        self._history_file = work / "kid.json"
        self._real = {domain: work / f"held_back_{domain}" for domain in "ab"}
        if batches.config.watch_kid:
            self._write_control()

    def take_weights(self) -> None:
        """Give the generators the weights that the trained ones have now."""
        for one, generator in self.generators.items():
            if generator is not self._trained[one]:
                generator.set_weights(self._trained[one].get_weights())

    def history(self, done: int) -> KidHistory:
        """Return the history after so many steps, without later checks of a run that was killed."""
        return KidHistory.read(self._history_file).up_to(done)

    def sample(self, done: int) -> Mapping[str, float]:
        """Draw a sample sheet and, once trained at full size, check KID and keep the best weights.

        KID at smaller sizes would say nothing about the full size.
        """
        config = self._batches.config
        reduction = config.reduction(done - 1)
        with _averaged_weights(self._model, self._batches, done):
            self.take_weights()
            images.write_png(self._work / f"samples-{done:06d}.png", self.draw_sheet(reduction))
            return self._check_kid(done) if config.watch_kid and reduction == 1 else {}

    def weights_file(self, direction: Direction, step: int) -> Path:
        """Return the file of a direction's weights that were the best at a check."""
        return self._work / f"best_{direction}-{step:09d}.weights.h5"

    def draw_sheet(self, reduction: int = 1) -> np.ndarray:
        """Draw the contact sheet of `FittedTeachers.sheet`, downscaled to the size that is trained at."""
        columns = min(_SHEET_COLUMNS, *map(len, self.held_back.values()))
        photos = {one: downscale(images.to_float(self.held_back[one][:columns]), reduction) for one in DIRECTIONS}
        fake = {one: _generate(self.generators[one], photos[one]) for one in DIRECTIONS}
        cycled = _generate(self.generators["b2a"], fake["a2b"])
        rows = [photos["a2b"], fake["a2b"], cycled, photos["b2a"], fake["b2a"]]
        names = ("real A", "fake B", "cycled A", "real B", "fake A")
        return images.contact_sheet([list(images.to_uint8(row)) for row in rows], names=names)

    def _write_control(self) -> None:
        """Write the real images, and measure the control once: KID of the untouched inputs."""
        kid.write_real_images(self.held_back["a2b"], self._real["a"])
        kid.write_real_images(self.held_back["b2a"], self._real["b"])
        if not self._history_file.exists():
            KidHistory(control=self._measure_kid(0, self.held_back)).write(self._history_file)

    def _measure_kid(self, done: int, fake: Mapping[Direction, np.ndarray], network: str = "auto") -> KidCheck:
        return measure_directions(
            done,
            fake_a=fake["b2a"],
            fake_b=fake["a2b"],
            real_a=self._real["a"],
            real_b=self._real["b"],
            scratch=self._work,
            network=network,
        )

    def _check_kid(self, done: int) -> Mapping[str, float]:
        known = self.history(done - 1)
        check = self._measure_kid(
            done,
            {one: _translate(self.generators[one], self.held_back[one]) for one in DIRECTIONS},
            known.network,
        )
        history = known.with_check(check)
        for direction in DIRECTIONS:
            if history.has_improved(direction):
                _save_weights(self.generators[direction], self.weights_file(direction, done))
        # Written last: whatever the history calls best is on disk.
        history.write(self._history_file)
        self._delete_stale_weights(history, done)
        convergence.plot_history(history, self._work / "kid.png")
        _log.info("%s", history.verdict(self._batches.config.patience))
        return {f"kid_{one}": measured.mean for one in DIRECTIONS if (measured := check.kid(one))}

    def _delete_stale_weights(self, history: KidHistory, done: int) -> None:
        """Delete weights that are not the best, now or at one of the two checkpoints, where a killed run resumes."""
        kept = checkpoint_steps(done, self._batches.config.checkpoint_every)
        at_checkpoints = [history.up_to(step) for step in kept]
        for direction in DIRECTIONS:
            bests = (known.best(direction) for known in (history, *at_checkpoints))
            needed = {self.weights_file(direction, best.step) for best in bests if best}
            for path in self._work.glob(f"best_{direction}-*.weights.h5"):
                if path not in needed:
                    path.unlink()


def fit_teachers(
    a: DomainImages, b: DomainImages, config: TeachConfig, work: Path, run_identity: str
) -> FittedTeachers:
    """Train a CycleGAN, resuming from the checkpoint in `work` if there is one.

    Args:
        a: Images of domain A.
        b: Images of domain B.
        config: The nets and their training.
        work: Folder of checkpoint, logs, sample sheets and the history of KID.
        run_identity: See `loop.train`.
    """
    policy = resolve_policy(config.precision, work)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy_scope(policy), replicas.current().scope():
        model = cyclegan.compile_cyclegan(config)
    batches = Batches(a, b, config)
    monitor = _Monitor(model, batches, work)

    def batch(step: int) -> tuple[dict[str, np.ndarray]]:
        if config.grows and step > 0 and step == config.first_step_at_size(step):
            _carry_over(model, batches, step)
        return batches(step)

    def finished(done: int) -> bool:
        return config.stop_when_converged and monitor.history(done).has_stalled(config.patience)

    trained = loop.train(
        model,
        _training_plan(config),
        batch,
        work=work,
        run_identity=run_identity,
        sample=monitor.sample,
        finished=finished,
        name="teach",
    )
    return _best_generators(monitor, batches, model, trained, policy)


def _best_generators(
    monitor: _Monitor,
    batches: Batches,
    model: cyclegan.CycleGan,
    trained: loop.TrainResult,
    policy: Policy,
) -> FittedTeachers:
    """Return each direction's generator at its lowest KID; without any KID, both at the end."""
    history = monitor.history(trained.steps)
    steps: dict[Direction, int] = {}
    finished: dict[Direction, keras.Model] = {}
    with _averaged_weights(model, batches, trained.steps):
        monitor.take_weights()
        for direction in DIRECTIONS:
            generator, best = monitor.generators[direction], history.best(direction)
            if best is not None:
                _load_weights(generator, monitor.weights_file(direction, best.step))
            steps[direction] = trained.steps if best is None else best.step
            finished[direction] = cyclegan.build_cyclegan_generator(batches.config)
            finished[direction].set_weights(generator.get_weights())
        sheet = monitor.draw_sheet()
    return FittedTeachers(finished, steps, history, trained.step_s, policy, sheet)


def _load_weights(generator: keras.Model, path: Path) -> None:
    try:
        generator.load_weights(path)
    # Whatever h5py and Keras stumble over in a file of ours is that file's damage.
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnusableArtifact(
            f"{path} holds the best weights of this training and is damaged ({reason}). Delete {path.parent} to start "
            "anew."
        ) from error


def _training_plan(config: TeachConfig) -> loop.Plan:
    return loop.Plan(
        steps=config.steps,
        learning_rate=schedules.constant_then_linear(
            config.learning_rate, steps=config.steps, decay_steps=config.decay_steps
        ),
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
    )


def _carry_over(model: cyclegan.CycleGan, batches: Batches, done: int) -> None:
    """Copy the generators at the end of one size, for the pixel loss of the next."""
    with _averaged_weights(model, batches, done):
        averaged = model.a2b.get_weights(), model.b2a.get_weights()
    # Outside, since leaving it puts all of the model's weights back.
    model.smaller_a2b.set_weights(averaged[0])
    model.smaller_b2a.set_weights(averaged[1])


@contextmanager
def _averaged_weights(model: cyclegan.CycleGan, batches: Batches, done: int) -> Iterator[None]:
    """Put averaged weights, and BatchNorm statistics that fit them, into the model for the time of the block."""
    if not (batches.config.ema_momentum and int(keras.ops.convert_to_numpy(model.optimizer.iterations.value))):
        yield
        return
    with averaging.averaged_weights(model):
        if batches.config.normalization == "batch":
            _refresh_statistics(model, batches, done)
        yield


def _refresh_statistics(model: cyclegan.CycleGan, batches: Batches, done: int) -> None:
    """Refresh both generators' BatchNorm statistics on the inputs of the last steps; training adds generated ones."""
    for step in range(max(0, done - _STATISTICS_STEPS), done):
        (inputs,) = batches(step)
        model.a2b(inputs["a"], training=True)
        model.b2a(inputs["b"], training=True)


def _translate(generator: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Translate images, `(images, height, width, 3)` uint8 to the same."""
    parts = [pixels[start : start + _TRANSLATED_AT_ONCE] for start in range(0, len(pixels), _TRANSLATED_AT_ONCE)]
    return np.concatenate([images.to_uint8(_generate(generator, images.to_float(part))) for part in parts])


def _generate(generator: keras.Model, photos: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(generator.predict_on_batch(photos)))


def _save_weights(generator: keras.Model, path: Path) -> None:
    """Save weights atomically, so that a killed run keeps the best that it had."""
    partial = path.with_name(f"partial-{path.name}")
    generator.save_weights(partial)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)
