"""Perceptual losses: distances of two images' features in a frozen net, and of their textures."""

from typing import Any

from keras import ops

from compress.distill.losses.precision import in_float32
from compress.training import replicas

_EPSILON = 1e-6
"""Keeps quotients, and the gradient of a standard deviation, finite where features are all the same."""


@in_float32
def feature_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of a frozen net's features of two images.

    Args:
        student: `(batch, height, width, channels)`, the net's features of the student's images.
        teacher: The net's features of the teacher's images, of the same shape.

    Source: Johnson, Alahi and Fei-Fei 2016, Perceptual Losses, arXiv:1603.08155, as an L1 distance as in Ren et al.
    2021, Online Multi-Granularity Distillation (OMGD), arXiv:2108.06908.
    """
    return ops.mean(ops.abs(student - teacher))


@in_float32
def hint_loss(student: Any, teacher: Any) -> Any:
    """Return the mean squared difference of two nets' features of the same photos.

    Args:
        student: `(batch, height, width, channels)`, the student's features, adapted to the teacher's channels.
        teacher: The teacher's features, of the same shape.

    Source: Romero et al. 2015, FitNets: Hints for Thin Deep Nets, arXiv:1412.6550, as in Li et al. 2020, GAN
    Compression, arXiv:2003.08936, section 3.2.
    """
    return ops.mean(ops.square(student - teacher))


@in_float32
def gram_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of the Gram matrices of features: which textures occur, wherever they lie.

    Args:
        student: `(batch, height, width, channels)`, a frozen net's features of the student's images.
        teacher: The net's features of the teacher's images, of any height and width.

    Source: Gatys, Ecker and Bethge 2015, A Neural Algorithm of Artistic Style, arXiv:1508.06576. Scaled and compared
    by L1 as in Ren et al. 2021, OMGD, arXiv:2108.06908, whose weight is 1e4.
    """
    return ops.mean(ops.abs(_gram(student) - _gram(teacher)))


@in_float32
def normalized_feature_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of features, as a share of the teacher's mean absolute feature.

    So every tap of a net counts alike, whatever the size of its activations.

    Args:
        student: `(batch, height, width, channels)`, a frozen net's features of the student's images.
        teacher: The net's features of the teacher's images, of the same shape.

    Source: as `feature_loss`; scaled by the size of the activations.
    """
    return ops.mean(ops.abs(student - teacher)) / (replicas.mean(ops.mean(ops.abs(teacher))) + _EPSILON)


@in_float32
def statistics_loss(student: Any, teacher: Any) -> Any:
    """Return how far mean and standard deviation of each channel of each image are from the teacher's: which textures
    occur, wherever they lie.

    Args:
        student: `(batch, height, width, channels)`, a frozen net's features of the student's images.
        teacher: The net's features of the teacher's images, of any height and width.

    Returns:
        The mean absolute difference of the means plus that of the deviations, as a share of the teacher's mean
        deviation.

    Source: Huang and Belongie 2017, Arbitrary Style Transfer with Adaptive Instance Normalization, arXiv:1703.06868,
    equation 13, as an L1 distance; scaled by the size of the deviations.
    """
    (student_mean, student_deviation), (teacher_mean, teacher_deviation) = _statistics(student), _statistics(teacher)
    means = ops.mean(ops.abs(student_mean - teacher_mean))
    deviations = ops.mean(ops.abs(student_deviation - teacher_deviation))
    return (means + deviations) / replicas.mean(ops.mean(teacher_deviation))


def _statistics(features: Any) -> tuple[Any, Any]:
    """Return mean and standard deviation over height and width, each `(batch, channels)`."""
    means = ops.mean(features, axis=(1, 2), keepdims=True)
    variances = ops.mean(ops.square(features - means), axis=(1, 2))
    return means[:, 0, 0], ops.sqrt(variances + _EPSILON)


def _gram(features: Any) -> Any:
    """Return the Gram matrices, `(batch, channels, channels)`, divided by the number of features of an image."""
    _, height, width, channels = features.shape
    pixels = ops.reshape(features, (-1, height * width, channels))
    return ops.matmul(ops.transpose(pixels, (0, 2, 1)), pixels) / (height * width * channels)
