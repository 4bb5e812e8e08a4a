"""CycleGAN: two generators, two discriminators and their losses, as one Keras model that any backend trains.

The discriminators' losses see the generators' images with gradients stopped, and the generators' losses see the
discriminators' weights with gradients stopped. So the sum of all losses has for each net exactly its own loss's
gradient, and one optimiser's step on it is the published alternation: there, too, both sides' gradients are taken
from the images and weights of before the step.

Source: Zhu et al. 2017, Unpaired Image-to-Image Translation, arXiv:1703.10593.
"""

from typing import Any

import keras
from keras import ops

from compress.models import patch_discriminator, resnet_generator
from compress.teach.config import TeachConfig
from compress.training import replicas
from compress.training.image_pool import ImagePool

INPUTS = ("a", "b", "slots", "show_new", "keep_new", "anneal")
"""Inputs of `CycleGan` by name: images of both domains, the pools' random choices, and the annealing's progress."""
PAIRED_INPUTS = ("paired_a", "paired_b")
"""Inputs of paired training besides: the paired image of each image, from the other domain."""

_DETAIL_FADING = 4.0
"""Share of a photo's own detail that is lost per mean change of its channels; a change of 0.25 leaves none."""


class CycleGan(keras.Model):
    """CycleGAN that `train_on_batch` trains on `INPUTS` and, where paired, `PAIRED_INPUTS`; see `batches.Batches`."""

    of_step = frozenset({"anneal"})
    """Inputs that are not one an image, see `Replicas.train_on_batch`."""

    def __init__(self, config: TeachConfig) -> None:
        super().__init__(name="cyclegan")
        self.a2b, self.b2a = build_cyclegan_generator(config), build_cyclegan_generator(config)
        discriminators = [
            patch_discriminator.build_discriminator(
                filters=config.filters,
                normalization=config.normalization,
                spectral=config.adversarial_loss == "wasserstein",
            )
            for _ in "AB"
        ]
        self.discriminator_a, self.discriminator_b = discriminators
        if config.grows:
            self.smaller_a2b, self.smaller_b2a = (
                _freeze(build_cyclegan_generator(config)),
                _freeze(build_cyclegan_generator(config)),
            )
        self.pool_a, self.pool_b = (ImagePool(config.pool_size, config.image_size) for _ in "AB")
        self._config = config
        self._compiled_shape: tuple[int, ...] | None = None
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in (
                "adversarial_a",
                "adversarial_b",
                "cycle",
                "identity",
                "paired",
                "pixel",
                "discriminator_a",
                "discriminator_b",
            )
        }

    def train_on_batch(self, x: Any = None, *others: Any, **options: Any) -> Any:
        """Train one step; the first step at another size compiles anew, since an open size would slow all others."""
        if x["a"].shape != self._compiled_shape:
            self._compiled_shape = x["a"].shape
            self.make_train_function(force=True)
        return super().train_on_batch(x, *others, **options)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return all generated images of a step: translated, cycled, and of each generator's own target domain.

        Images that no loss needs are left out.
        """
        a, b = inputs["a"], inputs["b"]
        fake_b, fake_a = self.a2b(a, training=training), self.b2a(b, training=training)
        images = {"fake_a": fake_a, "fake_b": fake_b}
        if self._config.cycle_weight:
            images |= {"cycled_a": self.b2a(fake_b, training=training), "cycled_b": self.a2b(fake_a, training=training)}
        if self._config.identity_weight:
            images |= {"identity_a": self.b2a(a, training=training), "identity_b": self.a2b(b, training=training)}
        return images

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the sum of both generators' and both discriminators' losses, in float32."""
        a, b, images, config = x["a"], x["b"], y_pred, self._config
        anneal = ops.mean(x["anneal"])
        losses = {
            "adversarial_a": self._generator_loss(self.discriminator_a, images["fake_a"]),
            "adversarial_b": self._generator_loss(self.discriminator_b, images["fake_b"]),
            "discriminator_a": self._discriminator_loss(self.discriminator_a, a, self.pool_a, images["fake_a"], x),
            "discriminator_b": self._discriminator_loss(self.discriminator_b, b, self.pool_b, images["fake_b"], x),
        }
        weights = {
            "adversarial_a": anneal,
            "adversarial_b": anneal,
            "discriminator_a": 1.0,
            "discriminator_b": 1.0,
        }
        if config.cycle_weight:
            losses["cycle"] = _l1(images["cycled_a"], a) + _l1(images["cycled_b"], b)
            weights["cycle"] = config.cycle_weight
        if config.identity_weight:
            losses["identity"] = _l1(images["identity_a"], a) + _l1(images["identity_b"], b)
            weights["identity"] = config.identity_weight
        if config.paired_weight:
            losses["paired"] = _l1(images["fake_b"], x["paired_a"]) + _l1(images["fake_a"], x["paired_b"])
            weights["paired"] = config.paired_weight
        if config.anneal_steps:
            target_b, target_a = self._pixel_targets(a, b)
            losses["pixel"] = _l1(images["fake_b"], target_b) + _l1(images["fake_a"], target_a)
            weights["pixel"] = config.pixel_weight * (1.0 - anneal)
        for name, loss in losses.items():
            self._trackers[name].update_state(loss)
        return replicas.share(sum((weights[name] * losses[name] for name in losses), ops.zeros(())))

    def _pixel_targets(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Return the targets of the pixel loss for the generated images of B and A."""
        factor = self._config.growth_factor(a.shape[1])
        if factor is None:
            return a, b
        return _translate_smaller(self.smaller_a2b, a, factor), _translate_smaller(self.smaller_b2a, b, factor)

    def _generator_loss(self, discriminator: keras.Model, fake: Any) -> Any:
        """Return the generator's adversarial loss; the discriminator's weights are constants in it."""
        scores = patch_discriminator.frozen_scores(discriminator, fake)
        if self._config.adversarial_loss == "wasserstein":
            return -ops.mean(scores)
        return ops.mean(ops.square(scores - 1.0))

    def _discriminator_loss(
        self, discriminator: keras.Model, real: Any, pool: ImagePool, fake: Any, inputs: Any
    ) -> Any:
        """Return the discriminator's loss; the fake images, some of them from the pool, are constants in it."""
        pooled = pool.query(ops.stop_gradient(fake), inputs["slots"], inputs["show_new"], inputs["keep_new"])
        scores_real, scores_fake = discriminator(real, training=True), discriminator(pooled, training=True)
        if self._config.adversarial_loss == "wasserstein":
            return ops.mean(scores_fake) - ops.mean(scores_real)
        return (ops.mean(ops.square(scores_real - 1.0)) + ops.mean(ops.square(scores_fake))) / 2


def build_cyclegan_generator(config: TeachConfig) -> keras.Model:
    """Build one untrained generator of a run."""
    return resnet_generator.build_resnet(
        resnet_generator.ResnetConfig(
            filters=config.filters,
            blocks=config.blocks,
            normalization=config.normalization,
            near_identity=config.near_identity,
        )
    )


def compile_cyclegan(config: TeachConfig) -> CycleGan:
    """Build a CycleGAN and compile it with Adam, with averaged weights where the configuration asks for them."""
    model = CycleGan(config)
    optimizer = keras.optimizers.Adam(
        learning_rate=config.learning_rate,
        beta_1=config.beta_1,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
        # Keras would otherwise write the average over the weights while training still goes on.
        ema_overwrite_frequency=None,
    )
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    # Its parts are built already; the model itself has no weights.
    model.built = True
    return model


def _freeze(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


def _translate_smaller(smaller: keras.Model, photos: Any, factor: int) -> Any:
    """Translate downscaled photos and enlarge the result, with the photos' own detail where it changed little."""
    small = ops.average_pool(photos, factor, factor)
    fake = ops.cast(smaller(small, training=False), "float32")
    kept = ops.relu(1.0 - _DETAIL_FADING * ops.mean(ops.abs(fake - small), axis=-1, keepdims=True))

    def enlarge(images: Any) -> Any:
        return ops.image.resize(images, photos.shape[1:3], interpolation="bilinear")

    return enlarge(fake) + enlarge(kept) * (photos - enlarge(small))


def _l1(one: Any, other: Any) -> Any:
    return ops.mean(ops.abs(ops.cast(one, "float32") - ops.cast(other, "float32")))
