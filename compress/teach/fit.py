"""Train both generators, watch the held-back images, keep each direction's best."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.teach import convergence, cyclegan, watch
from compress.teach.batches import Batches, Domain, reduced
from compress.teach.config import TeachConfig
from compress.teach.convergence import DIRECTIONS, Check, Direction, History
from compress.training import loop, schedules
from compress.training.precision import Policy, dtype_policy_scope, resolve_policy

_SHEET_COLUMNS = 8
_TRANSLATED_AT_ONCE = 8
_STATISTICS_STEPS = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taught:
    """Both finished generators, in float32, and how they came about."""

    generators: Mapping[Direction, keras.Model]
    steps: Mapping[Direction, int]
    """After how many steps each of them was best."""
    history: History
    step_s: float | None
    """See `loop.TrainResult`."""
    precision: Policy
    """The arithmetic of the training."""
    sheet: np.ndarray
    """Columns of held-back A, made B, A again, held-back B, made A; `(height, width, 3)` uint8."""


class _Watcher:
    """Looks at the held-back images now and then: a sample sheet, KID in both directions, the best weights kept."""

    def __init__(self, model: cyclegan.CycleGan, batches: Batches, work: Path) -> None:
        self._model, self._batches, self._work = model, batches, work
        size = batches.config.image_size
        self.held_back: Mapping[Direction, np.ndarray] = {
            "a2b": batches.a.watched(size),
            "b2a": batches.b.watched(size),
        }
        self.generators: Mapping[Direction, keras.Model] = {"a2b": model.a2b, "b2a": model.b2a}
        self._history_file = work / "kid.json"
        self._real = {domain: work / f"held_back_{domain}" for domain in "ab"}
        if batches.config.watch_kid:
            self._begin_watching()

    def history(self, done: int) -> History:
        """What was known after so many steps; later checks belong to a run that was killed before its checkpoint."""
        return History.read(self._history_file).up_to(done)

    def sample(self, done: int) -> Mapping[str, float]:
        """Draw and, at full size, measure and keep what is the best so far.

        A net that is still trained on smaller images says nothing at full size about what it will do there.
        """
        config = self._batches.config
        reduction = config.reduction(done - 1)
        with _averaged(self._model, self._batches, done):
            images.write_png(self._work / f"samples-{done:06d}.png", self.sheet(reduction))
            return self._measure(done) if config.watch_kid and reduction == 1 else {}

    def kept(self, direction: Direction, step: int) -> Path:
        """The file of weights that were the best when a check was made."""
        return self._work / f"best_{direction}-{step:09d}.weights.h5"

    def sheet(self, reduction: int = 1) -> np.ndarray:
        """See `Taught.sheet`; at the size that is trained at, a fraction of the full one."""
        columns = min(_SHEET_COLUMNS, *map(len, self.held_back.values()))
        shown = {one: reduced(images.to_float(self.held_back[one][:columns]), reduction) for one in DIRECTIONS}
        made = {one: _generate(self.generators[one], shown[one]) for one in DIRECTIONS}
        back = _generate(self.generators["b2a"], made["a2b"])
        rows = [shown["a2b"], made["a2b"], back, shown["b2a"], made["b2a"]]
        return images.contact_sheet([list(images.to_uint8(row)) for row in rows])

    def _begin_watching(self) -> None:
        """Lay out the real images, and measure once what doing nothing would get."""
        watch.write_reals(self.held_back["a2b"], self._real["a"])
        watch.write_reals(self.held_back["b2a"], self._real["b"])
        if not self._history_file.exists():
            History(control=self._check(0, self.held_back)).write(self._history_file)

    def _check(self, done: int, made: Mapping[Direction, np.ndarray], network: str = "auto") -> Check:
        return watch.check(
            done,
            made_a=made["b2a"],
            made_b=made["a2b"],
            real_a=self._real["a"],
            real_b=self._real["b"],
            scratch=self._work,
            network=network,
        )

    def _measure(self, done: int) -> Mapping[str, float]:
        known = self.history(done - 1)
        check = self._check(
            done,
            {one: _translate(self.generators[one], self.held_back[one]) for one in DIRECTIONS},
            known.network,
        )
        history = known.with_check(check)
        for direction in DIRECTIONS:
            if history.improved(direction):
                _save_weights(self.generators[direction], self.kept(direction, done))
        # Written last: whatever the history calls best is on disk.
        history.write(self._history_file)
        self._forget(history, done)
        convergence.plot(history, self._work / "kid.png")
        _log.info("%s", history.verdict(self._batches.config.patience))
        return {f"kid_{one}": kid.mean for one in DIRECTIONS if (kid := check.of(one))}

    def _forget(self, history: History, done: int) -> None:
        """Delete weights that are not the best; a run killed now needs those that were at its checkpoint, too."""
        every = self._batches.config.checkpoint_every
        at_checkpoint = history.up_to((done - 1) // every * every)
        for direction in DIRECTIONS:
            bests = (known.best(direction) for known in (history, at_checkpoint))
            needed = {self.kept(direction, best.step) for best in bests if best}
            for path in self._work.glob(f"best_{direction}-*.weights.h5"):
                if path not in needed:
                    path.unlink()


def fit(a: Domain, b: Domain, config: TeachConfig, work: Path, run_identity: str) -> Taught:
    """Train a CycleGAN, going on from the checkpoint in `work` if there is one.

    Args:
        a: Images of the one domain.
        b: Images of the other.
        config: The nets and their training.
        work: Where checkpoint, logs, sample sheets and the history of KID lie.
        run_identity: See `loop.train`.
    """
    policy = resolve_policy(config.precision)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy_scope(policy):
        model = cyclegan.compile_cyclegan(config)
    batches = Batches(a, b, config)
    watcher = _Watcher(model, batches, work)

    def batch(step: int) -> tuple[dict[str, np.ndarray]]:
        if config.grows and step > 0 and step == config.first_step_at_size(step):
            _carry_over(model, batches, step)
        return batches(step)

    def finished(done: int) -> bool:
        return config.stop_when_converged and watcher.history(done).has_stalled(config.patience)

    trained = loop.train(
        model,
        _plan(config),
        batch,
        work=work,
        run_identity=run_identity,
        sample=watcher.sample,
        finished=finished,
    )
    return _best(watcher, batches, model, trained, policy)


def _best(
    watcher: _Watcher,
    batches: Batches,
    model: cyclegan.CycleGan,
    trained: loop.TrainResult,
    policy: Policy,
) -> Taught:
    """Each direction's generator at its lowest KID; without any KID, both at the end."""
    history = watcher.history(trained.steps)
    steps: dict[Direction, int] = {}
    finished: dict[Direction, keras.Model] = {}
    with _averaged(model, batches, trained.steps):
        for direction in DIRECTIONS:
            generator, best = watcher.generators[direction], history.best(direction)
            if best is not None:
                generator.load_weights(watcher.kept(direction, best.step))
            steps[direction] = trained.steps if best is None else best.step
            finished[direction] = cyclegan.generator(batches.config)
            finished[direction].set_weights(generator.get_weights())
        sheet = watcher.sheet()
    return Taught(finished, steps, history, trained.step_s, policy, sheet)


def _plan(config: TeachConfig) -> loop.Plan:
    return loop.Plan(
        steps=config.steps,
        learning_rate=schedules.constant_then_linear(
            config.learning_rate, steps=config.steps, decay_steps=config.decay_steps
        ),
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
    )


def _carry_over(model: cyclegan.CycleGan, batches: Batches, done: int) -> None:
    """Keep the generators as they are at the end of one size, for the pixel loss of the next."""
    with _averaged(model, batches, done):
        made = model.a2b.get_weights(), model.b2a.get_weights()
    # Outside, since leaving it puts all of the model's weights back.
    model.smaller_a2b.set_weights(made[0])
    model.smaller_b2a.set_weights(made[1])


@contextmanager
def _averaged(model: cyclegan.CycleGan, batches: Batches, done: int) -> Iterator[None]:
    """Inside, the model has its averaged weights, and BatchNorm statistics that fit them; afterwards its own again."""
    before = model.get_weights()
    try:
        if batches.config.ema_momentum and int(model.optimizer.iterations):
            model.optimizer.finalize_variable_values(model.trainable_variables)
            # On JAX each weight is now the very array of its average, which using up the one would delete.
            model.set_weights(model.get_weights())
            if batches.config.normalization == "batch":
                _refresh_statistics(model, batches, done)
        yield
    finally:
        model.set_weights(before)


def _refresh_statistics(model: cyclegan.CycleGan, batches: Batches, done: int) -> None:
    """Of the generators on their own inputs, as the last steps saw them; training adds generated ones."""
    for step in range(max(0, done - _STATISTICS_STEPS), done):
        (inputs,) = batches(step)
        model.a2b(inputs["a"], training=True)
        model.b2a(inputs["b"], training=True)


def _translate(generator: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """`(images, height, width, 3)` uint8 to the same."""
    parts = [pixels[start : start + _TRANSLATED_AT_ONCE] for start in range(0, len(pixels), _TRANSLATED_AT_ONCE)]
    return np.concatenate([images.to_uint8(_generate(generator, images.to_float(part))) for part in parts])


def _generate(generator: keras.Model, photos: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(generator.predict_on_batch(photos)))


def _save_weights(generator: keras.Model, path: Path) -> None:
    """Written under a temporary name first: a killed run keeps the best that it had."""
    partial = path.with_name(f"partial-{path.name}")
    generator.save_weights(partial)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)
