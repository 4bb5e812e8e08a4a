"""What pulls a student towards its teacher: small pure functions that return one number each.

Images are `(batch, height, width, 3)` in [-1, 1], features `(batch, height, width, channels)`. A distance is the mean
over the batch and 0 for equal inputs. Everything is computed in float32, whatever the arithmetic of training, and with
`keras.ops` only, so TensorFlow, JAX and PyTorch all run it.
"""

from compress.distill.losses.adversarial import AdversarialLoss, fooling, judging
from compress.distill.losses.channels import channel_divergence
from compress.distill.losses.perceptual import feature_difference, gram_difference, hint_difference
from compress.distill.losses.pixels import gradient_difference, l1, psnr, total_variation
from compress.distill.losses.structure import dissimilarity, multi_scale_dissimilarity

__all__ = [
    "AdversarialLoss",
    "channel_divergence",
    "dissimilarity",
    "feature_difference",
    "fooling",
    "gradient_difference",
    "gram_difference",
    "hint_difference",
    "judging",
    "l1",
    "multi_scale_dissimilarity",
    "psnr",
    "total_variation",
]
