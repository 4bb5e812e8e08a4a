"""How many steps of distillation a machine makes in a second, and how much of a step is not the student itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.machine import describe_machine
from benchmarks.main_table import nets
from benchmarks.noise import ratio_noise, why_withheld
from benchmarks.table import aligned
from compress.config import to_mapping
from compress.distill import distiller
from compress.distill.config import DistillConfig
from compress.distill.inputs import step_inputs
from compress.distill.terms import terms
from compress.models import pocket_generator
from compress.precision import Policy, arithmetic

PRECISIONS: tuple[Policy, ...] = ("float32", "mixed_bfloat16")
WARM_UP_STEPS = 3
"""The first compiles; the second and third still find memory to ask for."""
_REAL_IMAGES = 64
_Pair = tuple[Callable[[], object], Callable[[], object]]


class Alone(keras.Model):
    """A student's own forward and backward pass, with nothing to learn: the mean of its images goes down a little."""

    def __init__(self, student: keras.Model) -> None:
        super().__init__(name="alone")
        self.student = student

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.student(inputs, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return ops.mean(ops.cast(y_pred, "float32"))


def measure(config: DistillConfig, *, rounds: int) -> dict[str, Any]:
    """Time whole steps and the student alone, in both arithmetics, turn by turn.

    Args:
        config: The student and its training. Photos are noise; where a loss looks through a teacher, a full-size one of
            random weights is looked through. A critic is there from the first step.
        rounds: Timed steps of each.

    Returns:
        JSON-ready: `config`, `machine`, `rounds` and `entries`, one for each arithmetic: `precision`, `steps_per_s`,
        `images_per_s`, `outside_share` (of a step's time, that is not the student's forward and backward pass), `noise`
        of that step's time over the student's and `withheld`, see `benchmarks.noise`.
    """
    machine = describe_machine()
    teacher = nets.teacher() if any(term.compared != "images" for term in terms(config).values()) else None
    pairs = {precision: _whole_and_alone(config, precision, teacher) for precision in PRECISIONS}
    for step in (step for pair in pairs.values() for step in pair):
        for _ in range(WARM_UP_STEPS):
            step()
    seconds: dict[str, list[tuple[float, float]]] = {precision: [] for precision in PRECISIONS}
    for _ in range(rounds):
        for precision, (whole, alone) in pairs.items():
            seconds[precision].append((_seconds(whole), _seconds(alone)))
    entries = [_entry(precision, config.batch_size, timed) for precision, timed in seconds.items()]
    return {"config": to_mapping(config), "machine": machine, "rounds": rounds, "entries": entries}


def describe(record: Mapping[str, Any]) -> str:
    """The measurements as a table, and under what they were made."""
    head = ("arithmetic", "steps per second", "images per second", "outside the student")
    rows = [
        (
            entry["precision"],
            f"{entry['steps_per_s']:.2f}",
            f"{entry['images_per_s']:.1f}",
            "too noisy" if entry["withheld"] else f"{entry['outside_share']:.0%}",
        )
        for entry in record["entries"]
    ]
    machine, config = record["machine"], record["config"]
    return "\n".join(
        [
            *aligned([head, *rows]),
            f"{config['family']}, {config['image_size_px']}x{config['image_size_px']}, batch {config['batch_size']}; "
            f"{record['rounds']} interleaved rounds, {machine['cpu']} ({machine['cores']} cores, load "
            f"{machine['load_average']})",
        ]
    )


def _whole_and_alone(config: DistillConfig, precision: Policy, teacher: Any) -> _Pair:
    """A step of the training, and one of its student alone, on the same photos."""
    config = replace(config, precision=precision, adversarial_from_step=0.0)
    random = np.random.default_rng(0)
    size = (config.image_size_px, config.image_size_px, 3)
    photos = random.uniform(-1, 1, (config.batch_size, *size)).astype(np.float32)
    real = random.integers(0, 256, (_REAL_IMAGES, *size), dtype=np.uint8) if config.adversarial_weight else None
    with arithmetic(precision):
        whole = distiller.compiled(pocket_generator.build(config), config, teacher)
        alone = Alone(pocket_generator.build(config))
    # Descent without momentum: next to no time is spent outside the two passes.
    alone.compile(optimizer=keras.optimizers.SGD(1e-6))
    inputs = step_inputs(photos, 0, config, real)
    return (lambda: whole.train_on_batch(inputs, photos), lambda: alone.train_on_batch(photos, photos))


def _seconds(step: Callable[[], object]) -> float:
    started = perf_counter()
    step()
    return perf_counter() - started


def _entry(precision: str, batch_size: int, timed: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ratios = [whole / alone for whole, alone in timed]
    step_s, noise = median(whole for whole, _ in timed), ratio_noise(ratios)
    return {
        "precision": precision,
        "steps_per_s": 1 / step_s,
        "images_per_s": batch_size / step_s,
        "outside_share": 1 - 1 / median(ratios),
        "noise": noise,
        "withheld": why_withheld(noise),
    }
