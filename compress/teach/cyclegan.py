"""Two generators and two discriminators with their losses, as one Keras model that any backend trains.

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
from compress.training.image_pool import ImagePool

INPUTS = ("a", "b", "slots", "show_new", "keep_new", "anneal")
"""What `CycleGan` takes, by name: images of both domains, the pools' random choices, and the annealing's progress."""
TRUTHS = ("truth_a", "truth_b")
"""What it takes besides where there is a loss on it: of each image, how the other domain truly shows it."""

_DETAIL_LOSS = 4.0
"""A change of a quarter of half the range, on average over the channels, takes all of a photo's own detail away."""


class CycleGan(keras.Model):
    """Trains on `train_on_batch(inputs)` with `INPUTS` and perhaps `TRUTHS`, see `batches.Batches`."""

    def __init__(self, config: TeachConfig) -> None:
        super().__init__(name="cyclegan")
        self.a2b, self.b2a = generator(config), generator(config)
        judges = [
            patch_discriminator.build(
                filters=config.filters,
                normalization=config.normalization,
                spectral=config.adversarial_loss == "wasserstein",
            )
            for _ in "AB"
        ]
        self.judge_a, self.judge_b = judges
        if config.grows:
            self.smaller_a2b, self.smaller_b2a = _frozen(generator(config)), _frozen(generator(config))
        self.pool_a, self.pool_b = (ImagePool(config.pool_size, config.image_size) for _ in "AB")
        self._config = config
        self._compiled_shape: tuple[int, ...] | None = None
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in ("adversarial_a", "adversarial_b", "cycle", "identity", "truth", "pixel", "judge_a", "judge_b")
        }

    def train_on_batch(self, x: Any = None, *others: Any, **options: Any) -> Any:
        """One step. The first one at another size is compiled anew, since an open size would slow every later one."""
        if x["a"].shape != self._compiled_shape:
            self._compiled_shape = x["a"].shape
            self.make_train_function(force=True)
        return super().train_on_batch(x, *others, **options)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """All images of a step: translated, back again, and what each generator makes of its own target domain.

        Those that no loss looks at are not made.
        """
        a, b = inputs["a"], inputs["b"]
        made_b, made_a = self.a2b(a, training=training), self.b2a(b, training=training)
        images = {"made_a": made_a, "made_b": made_b}
        if self._config.cycle_weight:
            images |= {"back_a": self.b2a(made_b, training=training), "back_b": self.a2b(made_a, training=training)}
        if self._config.identity_weight:
            images |= {"same_a": self.b2a(a, training=training), "same_b": self.a2b(b, training=training)}
        return images

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of both generators' and both discriminators' losses, in float32."""
        a, b, images, config = x["a"], x["b"], y_pred, self._config
        anneal = ops.mean(x["anneal"])
        losses = {
            "adversarial_a": self._fooled(self.judge_a, images["made_a"]),
            "adversarial_b": self._fooled(self.judge_b, images["made_b"]),
            "judge_a": self._judged(self.judge_a, a, self.pool_a, images["made_a"], x),
            "judge_b": self._judged(self.judge_b, b, self.pool_b, images["made_b"], x),
        }
        weights = {
            "adversarial_a": anneal,
            "adversarial_b": anneal,
            "judge_a": 1.0,
            "judge_b": 1.0,
        }
        if config.cycle_weight:
            losses["cycle"] = _l1(images["back_a"], a) + _l1(images["back_b"], b)
            weights["cycle"] = config.cycle_weight
        if config.identity_weight:
            losses["identity"] = _l1(images["same_a"], a) + _l1(images["same_b"], b)
            weights["identity"] = config.identity_weight
        if config.paired_weight:
            losses["truth"] = _l1(images["made_b"], x["truth_a"]) + _l1(images["made_a"], x["truth_b"])
            weights["truth"] = config.paired_weight
        if config.anneal_steps:
            target_b, target_a = self._pixel_targets(a, b)
            losses["pixel"] = _l1(images["made_b"], target_b) + _l1(images["made_a"], target_a)
            weights["pixel"] = config.pixel_weight * (1.0 - anneal)
        for name, loss in losses.items():
            self._trackers[name].update_state(loss)
        return sum((weights[name] * losses[name] for name in losses), ops.zeros(()))

    def _pixel_targets(self, a: Any, b: Any) -> tuple[Any, Any]:
        """What the pixel loss pulls the generated images of B and A towards."""
        factor = self._config.smaller(a.shape[1])
        if factor is None:
            return a, b
        return _enlarged(self.smaller_a2b, a, factor), _enlarged(self.smaller_b2a, b, factor)

    def _fooled(self, judge: keras.Model, made: Any) -> Any:
        """The generator's adversarial loss; the discriminator's weights are constants in it."""
        scores = patch_discriminator.frozen_scores(judge, made)
        if self._config.adversarial_loss == "wasserstein":
            return -ops.mean(scores)
        return ops.mean(ops.square(scores - 1.0))

    def _judged(self, judge: keras.Model, real: Any, pool: ImagePool, made: Any, x: Any) -> Any:
        """The discriminator's loss; the generated images are constants in it, and some of them are older ones."""
        shown = pool.query(ops.stop_gradient(made), x["slots"], x["show_new"], x["keep_new"])
        scores_real, scores_made = judge(real, training=True), judge(shown, training=True)
        if self._config.adversarial_loss == "wasserstein":
            return ops.mean(scores_made) - ops.mean(scores_real)
        return (ops.mean(ops.square(scores_real - 1.0)) + ops.mean(ops.square(scores_made))) / 2


def generator(config: TeachConfig) -> keras.Model:
    """One untrained generator of a run."""
    return resnet_generator.build(
        resnet_generator.ResnetConfig(
            filters=config.filters,
            blocks=config.blocks,
            normalization=config.normalization,
            near_identity=config.near_identity,
        )
    )


def compile_cyclegan(config: TeachConfig) -> CycleGan:
    """A CycleGAN with Adam, its weights averaged where the configuration says so."""
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
    # Its parts are built already; the model itself has no weights of its own.
    model.built = True
    return model


def _frozen(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


def _enlarged(smaller: keras.Model, photos: Any, factor: int) -> Any:
    """What a net makes of smaller photos, enlarged, with the photos' own details where it changed little."""
    small = ops.average_pool(photos, factor, factor)
    made = ops.cast(smaller(small, training=False), "float32")
    kept = ops.relu(1.0 - _DETAIL_LOSS * ops.mean(ops.abs(made - small), axis=-1, keepdims=True))

    def enlarge(images: Any) -> Any:
        return ops.image.resize(images, photos.shape[1:3], interpolation="bilinear")

    return enlarge(made) + enlarge(kept) * (photos - enlarge(small))


def _l1(one: Any, other: Any) -> Any:
    return ops.mean(ops.abs(ops.cast(one, "float32") - ops.cast(other, "float32")))
