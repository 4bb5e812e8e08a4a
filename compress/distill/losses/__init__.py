"""Losses of distillation: pure functions that return one number each.

Images are `(batch, height, width, 3)` in [-1, 1], features `(batch, height, width, channels)`. A distance is the mean
over the batch and 0 for equal inputs. Everything is computed in float32, whatever the precision of training, and with
`keras.ops` only, so TensorFlow, JAX and PyTorch all run it.
"""

from compress.distill.losses.adversarial import discriminator_loss, generator_loss
from compress.distill.losses.channels import channel_distillation_loss
from compress.distill.losses.perceptual import (
    feature_loss,
    gram_loss,
    hint_loss,
    normalized_feature_loss,
    statistics_loss,
)
from compress.distill.losses.pixels import coarse_loss, gradient_loss, l1_loss, total_variation
from compress.distill.losses.structure import ms_ssim_loss, ssim_loss

__all__ = [
    "channel_distillation_loss",
    "coarse_loss",
    "discriminator_loss",
    "feature_loss",
    "generator_loss",
    "gradient_loss",
    "gram_loss",
    "hint_loss",
    "l1_loss",
    "ms_ssim_loss",
    "normalized_feature_loss",
    "ssim_loss",
    "statistics_loss",
    "total_variation",
]
