"""A student with its losses, as a Keras model that any backend trains."""

from typing import Any

import keras
from keras import ops

from compress.distill import features
from compress.distill.config import FitConfig, LossConfig
from compress.distill.discriminators import PatchDiscriminator, ProjectedDiscriminator, StudentDiscriminator
from compress.distill.features import FrozenFeatures
from compress.distill.loss_terms import Compared, loss_terms, mean_of
from compress.distill.optimizer import ADVERSARIAL_BETA_1, StudentAdam, adam_settings
from compress.distill.perceptual import PerceptualNetwork, load_perceptual_network
from compress.models.io import with_other_size
from compress.training import replicas
from compress.training.precision import dtype_policy_scope


class Distiller(keras.Model):
    """Wraps a student so that `train_on_batch(inputs, teacher_images)` pulls it towards its teacher.

    Args:
        student: The student, trained in place.
        config: Weights of the losses, and the discriminator; a weight of 0 costs nothing.
        teacher: The teacher's generator, for the losses that look through it or into it.

    `inputs` are the photos, or what `step_inputs` makes of them where the training has phases.
    """

    of_step = frozenset({"l1_scale", "cropped", "cut", "adversarial_scale"})
    """Inputs that are not one an image, see `Replicas.train_on_batch`."""

    def __init__(self, student: keras.Model, config: FitConfig, teacher: keras.Model | None = None) -> None:
        super().__init__(name="distiller")
        self.student = student
        self._terms = loss_terms(config)
        compared = {term.compared for term in self._terms.values()}
        size = student.input_shape[1]
        self._cut_px = config.discriminator_crop_px
        seen_px = self._cut_px or size
        self._encoder = _encoder(teacher, seen_px) if "encoded" in compared else None
        self._perceive = _perceptual_network(config) if config.sees_perceptual_network else None
        student_with_features, self._teacher_features = student, None
        self._adaptors: list[keras.layers.Layer] = []
        if "widened" in compared:
            student_with_features, self._teacher_features = _inner_features(student, teacher, config)
            self._adaptors = _adaptors(student_with_features, self._teacher_features)
        self._students = {size: student_with_features}
        if config.crop_px is not None and config.crop_px != size:
            self._students[config.crop_px] = with_other_size(student_with_features, (config.crop_px, config.crop_px))
        self.discriminator = _discriminator(config, seen_px, self._perceive)
        logged = [*self._terms, *(self.discriminator.logs if self.discriminator else ())]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in logged}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self._trackers.values()]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the student's images; behind them its inner features where a loss looks there."""
        photos = _photos(inputs)
        return self._students[photos.shape[1]](photos, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the weighted sum of the terms, in float32 whatever the student's arithmetic."""
        fake, *inner = y_pred if self._teacher_features else [y_pred]
        fake, target = ops.cast(fake, "float32"), ops.cast(y, "float32")
        pairs = self._pairs(fake, target, inner, x)
        total = ops.zeros(())
        for name, term in self._terms.items():
            value = mean_of([term.difference(*pair) for pair in pairs[term.compared]])
            self._trackers[name].update_state(value)
            scale = ops.mean(x["l1_scale"]) if name == "l1" and isinstance(x, dict) else 1.0
            total = total + term.weight * scale * value
        if self.discriminator:
            total = total + self._adversarial_loss(self.discriminator, pairs, x)
        return replicas.share(total)

    def _pairs(self, fake: Any, target: Any, inner: list[Any], inputs: Any) -> dict[Compared, list[tuple[Any, Any]]]:
        """Return the student's and the teacher's side of everything that some term compares or a discriminator judges.

        `cut` are the images that are seen through other nets.
        """
        pairs: dict[Compared, list[tuple[Any, Any]]] = {"images": [(fake, target)]}
        cut = self._cut(fake, inputs), self._cut(target, inputs)
        pairs["cut"] = [cut]
        seen_through: dict[Compared, Any] = {"encoded": self._encoder, "perceived": self._perceive}
        for name, network in seen_through.items():
            if network:
                pairs[name] = list(zip(network(cut[0]), network(cut[1]), strict=True))
        if self._teacher_features:
            widened = [adaptor(features) for adaptor, features in zip(self._adaptors, inner, strict=True)]
            pairs["widened"] = list(zip(widened, self._teacher_features(_photos(inputs)), strict=True))
        return pairs

    def _cut(self, images: Any, inputs: Any) -> Any:
        """Cut this step's square, at the same place of every image; return whole images where the step has none."""
        if self._cut_px is None or "cut" not in inputs:
            return images
        top, left = inputs["cut"][0], inputs["cut"][1]
        return ops.slice(images, (0, top, left, 0), (ops.shape(images)[0], self._cut_px, self._cut_px, 3))

    def _adversarial_loss(
        self,
        discriminator: StudentDiscriminator,
        pairs: dict[Compared, list[tuple[Any, Any]]],
        inputs: dict[str, Any],
    ) -> Any:
        """Return the sum of the student's and the discriminator's losses; 0 before the discriminator's first step."""
        if not set(discriminator.inputs) <= set(inputs):
            return discriminator.zero_loss()
        loss, logged = discriminator.compute_losses(pairs[discriminator.judges], inputs)
        for name, value in logged.items():
            self._trackers[name].update_state(value)
        return loss


def compile_distiller(student: keras.Model, config: FitConfig, teacher: keras.Model | None = None) -> Distiller:
    """Build a distiller with Adam, its weights averaged where the configuration says so."""
    distiller = Distiller(student, config, teacher)
    optimizer = _optimizer(distiller, config)
    # XLA compiles convolutions for CPUs without oneDNN: slower steps after a minute of compiling. JAX compiles anyway.
    distiller.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    distiller.build(student.input_shape)
    return distiller


def _optimizer(distiller: Distiller, config: FitConfig) -> StudentAdam:
    """Return Adam for the student and its discriminator, where there is one."""
    if distiller.discriminator is None:
        return StudentAdam(**adam_settings(config))
    owned = {id(variable) for variable in distiller.discriminator.trainable_variables}
    places = [place for place, one in enumerate(distiller.trainable_variables) if id(one) in owned]
    settings = {**adam_settings(config), "beta_1": ADVERSARIAL_BETA_1}
    return StudentAdam(places, config.discriminator_learning_rate / config.learning_rate, **settings)


def sees_teacher(config: LossConfig) -> bool:
    """True if a loss with a weight looks through the teacher or into it."""
    return any(term.compared in ("encoded", "widened") for term in loss_terms(config).values())


def check_teacher_features(teacher: keras.Model, image_size_px: int) -> None:
    """Check that losses can look through the teacher, before its images cost an hour.

    Raises:
        UnusableModel: If the teacher has not the layers that `features.find_taps` looks for.
    """
    features.find_taps(teacher, image_size_px)


def _photos(inputs: Any) -> Any:
    return inputs["photos"] if isinstance(inputs, dict) else inputs


def _discriminator(config: FitConfig, seen_px: int, network: PerceptualNetwork | None) -> StudentDiscriminator | None:
    """Return the discriminator that a configuration asks for."""
    if not config.adversarial_weight:
        return None
    if config.discriminator == "patch":
        return PatchDiscriminator(config, seen_px, config.batch_size)
    # `sees_perceptual_network` is true of such a configuration.
    assert network is not None
    return ProjectedDiscriminator(config, network)


def _perceptual_network(config: FitConfig) -> PerceptualNetwork:
    """Load the network, in float32: on a CPU with bfloat16 a step takes 1.18 times as long with the network in that."""
    with dtype_policy_scope("float32"):
        return load_perceptual_network(config.perceptual_network)


def _encoder(teacher: keras.Model | None, image_size_px: int) -> FrozenFeatures:
    """Return the features that the teacher's encoder sees in images of a size."""
    teacher = _needed(teacher)
    return FrozenFeatures(teacher, list(features.find_taps(teacher, image_size_px).encoder.values()))


def _inner_features(
    student: keras.Model, teacher: keras.Model | None, config: LossConfig
) -> tuple[keras.Model, FrozenFeatures]:
    """Return the student with its image and its inner features as outputs, and the teacher's features that match."""
    teacher = _needed(teacher)
    size = student.input_shape[1]
    taps = features.find_taps(student, size, fewest_resolutions=1), features.find_taps(teacher, size)
    student_names, teacher_names = features.match_taps(*taps, depth=config.hint_depth)
    return features.expose_features(student, student_names, generated=True), FrozenFeatures(teacher, teacher_names)


def _adaptors(student: keras.Model, teacher_features: FrozenFeatures) -> list[keras.layers.Layer]:
    """Build a 1x1 convolution from each of the student's inner features to the width of the teacher's."""
    widths = enumerate(teacher_features.widths)
    adaptors = [keras.layers.Conv2D(width, 1, name=f"adaptor_{place}") for place, width in widths]
    for adaptor, activation in zip(adaptors, student.outputs[1:], strict=True):
        adaptor.build(activation.shape)
    return adaptors


def _needed(teacher: keras.Model | None) -> keras.Model:
    if teacher is None:
        raise ValueError("teacher = None, but a loss with a weight looks through it or into it.")
    return teacher
