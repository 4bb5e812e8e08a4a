"""A student with its losses, as a Keras model that any backend trains."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from compress.distill import features
from compress.distill.config import FitConfig
from compress.distill.discriminator import INPUTS, StudentDiscriminator, TwoRateAdam
from compress.distill.features import FrozenFeatures
from compress.distill.loss_terms import Compared, loss_terms


class Distiller(keras.Model):
    """Wraps a student so that `train_on_batch(inputs, teacher_images)` pulls it towards its teacher.

    Args:
        student: Trained in place.
        config: Which losses, and how much each weighs; a weight of 0 costs nothing.
        teacher: The teacher's generator, for the losses that look through it or into it.

    `inputs` are the photos, or what `inputs.step_inputs` makes of them where the training has phases.
    """

    def __init__(self, student: keras.Model, config: FitConfig, teacher: keras.Model | None = None) -> None:
        super().__init__(name="distiller")
        self.student = student
        self._terms = loss_terms(config)
        compared = {term.compared for term in self._terms.values()}
        size = student.input_shape[1]
        self._discriminator_crop_px = config.discriminator_crop_px
        discriminator_crop_px = config.discriminator_crop_px or size
        self._encoder = _encoder(teacher, discriminator_crop_px) if "encoded" in compared else None
        self._watched, self._teacher_inside = student, None
        self._adaptors: list[keras.layers.Layer] = []
        if "widened" in compared:
            self._watched, self._teacher_inside = _insides(student, teacher, config)
            self._adaptors = _adaptors(self._watched, self._teacher_inside)
        self.discriminator = StudentDiscriminator(config, discriminator_crop_px) if config.adversarial_weight else None
        logged = [*self._terms, *(self.discriminator.logs if self.discriminator else ())]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in logged}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self._trackers.values()]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The student's images; with what is inside the student behind them where a loss looks there."""
        return self._watched(_photos(inputs), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The weighted sum of the terms, in float32 whatever the student's arithmetic; a weight of 0 costs nothing."""
        made, *inside = y_pred if self._teacher_inside else [y_pred]
        made = ops.cast(made, "float32")
        pairs = self._pairs(made, ops.cast(y, "float32"), inside, x)
        total = ops.zeros(())
        for name, term in self._terms.items():
            values = [term.difference(*pair) for pair in pairs[term.compared]]
            value = sum(values[1:], values[0]) / len(values)
            self._trackers[name].update_state(value)
            share = ops.mean(x["l1_scale"]) if name == "l1" and isinstance(x, dict) else 1.0
            total = total + term.weight * share * value
        return (
            total + self._contest(self.discriminator, made, ops.cast(y, "float32"), x) if self.discriminator else total
        )

    def _pairs(self, made: Any, target: Any, inside: list[Any], inputs: Any) -> dict[Compared, list[tuple[Any, Any]]]:
        """The student's and the teacher's side of everything that some term compares."""
        pairs: dict[Compared, list[tuple[Any, Any]]] = {"images": [(made, target)]}
        if self._encoder:
            seen = [self._encoder(self._cut(images, inputs)) for images in (made, target)]
            pairs["encoded"] = list(zip(*seen, strict=True))
        if self._teacher_inside:
            widened = [adapt(ours) for adapt, ours in zip(self._adaptors, inside, strict=True)]
            pairs["widened"] = list(zip(widened, self._teacher_inside(_photos(inputs)), strict=True))
        return pairs

    def _cut(self, images: Any, inputs: Any) -> Any:
        """The square that is judged in this step, at the same place of every image."""
        if self._discriminator_crop_px is None:
            return images
        top, left = inputs["cut"][0], inputs["cut"][1]
        return ops.slice(
            images,
            (0, top, left, 0),
            (ops.shape(images)[0], self._discriminator_crop_px, self._discriminator_crop_px, 3),
        )

    def _contest(self, discriminator: StudentDiscriminator, made: Any, target: Any, inputs: dict[str, Any]) -> Any:
        """What student and discriminator minimise against each other; nothing before the discriminator's first step."""
        if not set(INPUTS) <= set(inputs):
            return discriminator.rest()
        loss, logged = discriminator.play(self._cut(made, inputs), self._cut(target, inputs), inputs)
        for name, value in logged.items():
            self._trackers[name].update_state(value)
        return loss


def adam_settings(config: FitConfig) -> dict[str, Any]:
    """What Adam is built with, here and wherever a training is to be like ours."""
    return {
        "learning_rate": config.learning_rate,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "use_ema": config.ema_momentum > 0,
        "ema_momentum": config.ema_momentum or 0.99,
        # Keras would otherwise write the average over the weights while training still goes on.
        "ema_overwrite_frequency": None,
    }


def compile_distiller(student: keras.Model, config: FitConfig, teacher: keras.Model | None = None) -> Distiller:
    """A distiller with Adam, its weights averaged where the configuration says so."""
    distiller = Distiller(student, config, teacher)
    optimizer = _optimizer(distiller, config)(**adam_settings(config))
    # XLA compiles convolutions for CPUs without oneDNN: slower steps after a minute of compiling. JAX compiles anyway.
    distiller.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    distiller.build(student.input_shape)
    return distiller


def _optimizer(distiller: Distiller, config: FitConfig) -> Callable[..., keras.optimizers.Adam]:
    """Adam; with a discriminator, one that moves it at its own rate."""
    if distiller.discriminator is None:
        return keras.optimizers.Adam
    owned = {id(variable) for variable in distiller.discriminator.trainable_variables}
    places = [place for place, one in enumerate(distiller.trainable_variables) if id(one) in owned]
    return partial(TwoRateAdam, places, config.discriminator_learning_rate / config.learning_rate)


def check_teacher_features(teacher: keras.Model, config: FitConfig, image_size_px: int) -> None:
    """Refuse a teacher that a loss with a weight cannot look through, before its images cost an hour.

    Raises:
        UnusableModel: If the teacher has not the layers that `features.find` looks for.
    """
    if any(term.compared != "images" for term in loss_terms(config).values()):
        features.find(teacher, image_size_px)


def _photos(inputs: Any) -> Any:
    return inputs["photos"] if isinstance(inputs, dict) else inputs


def _encoder(teacher: keras.Model | None, image_size_px: int) -> FrozenFeatures:
    """The teacher's eyes, for images that are made."""
    teacher = _needed(teacher)
    return FrozenFeatures(teacher, list(features.find(teacher, image_size_px).encoder.values()))


def _insides(
    student: keras.Model, teacher: keras.Model | None, config: FitConfig
) -> tuple[keras.Model, FrozenFeatures]:
    """The student with its image and its inner activations as outputs, and the teacher's that belong to those."""
    teacher = _needed(teacher)
    size = student.input_shape[1]
    taps = features.find(student, size, fewest_resolutions=1), features.find(teacher, size)
    student_names, teacher_names = features.shared(*taps, depth=config.hint_depth)
    return features.tapped(student, student_names, generated=True), FrozenFeatures(teacher, teacher_names)


def _adaptors(student: keras.Model, teacher_inside: FrozenFeatures) -> list[keras.layers.Layer]:
    """A 1x1 convolution from each of the student's inner activations to the width of the teacher's."""
    widths = enumerate(teacher_inside.widths)
    adaptors = [keras.layers.Conv2D(width, 1, name=f"adaptor_{place}") for place, width in widths]
    for adaptor, activation in zip(adaptors, student.outputs[1:], strict=True):
        adaptor.build(activation.shape)
    return adaptors


def _needed(teacher: keras.Model | None) -> keras.Model:
    if teacher is None:
        raise ValueError("teacher = None, but a loss with a weight looks through it or into it.")
    return teacher
