"""Losses of single pixels and of squares: L1, coarse L1, gradients and total variation."""

from typing import Any

from keras import ops

from compress.distill.losses.precision import in_float32

_COARSE_PX = 16
"""Side of the squares of `coarse_loss`, pixels: wider than a stripe, narrower than what has a colour of its own."""


@in_float32
def l1_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of two images.

    Source: the reconstruction term of Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial
    Networks, arXiv:1611.07004, towards the teacher's image as in Li et al. 2020, GAN Compression, arXiv:2003.08936.
    """
    return ops.mean(ops.abs(student - teacher))


@in_float32
def coarse_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of two images that are averaged over squares of 16 pixels.

    It holds colours and light in their places, and lets a texture that is finer lie where it will: L1 averages one away
    whose place it cannot predict. Images smaller than a square are compared as one.
    """
    side = min(_COARSE_PX, student.shape[1], student.shape[2])
    return ops.mean(ops.abs(ops.average_pool(student - teacher, side, side)))


@in_float32
def gradient_loss(student: Any, teacher: Any) -> Any:
    """Return the mean absolute difference of two images' gradients: edges must lie where the teacher drew them.

    Source: the gradient term of Mathieu et al. 2016, Deep Multi-Scale Video Prediction, arXiv:1511.05440, alpha = 1.
    """
    return _mean_abs_gradient(student - teacher)


@in_float32
def total_variation(images: Any) -> Any:
    """Return the mean absolute difference of neighbouring pixels, down plus across; 0 for an image of one colour.

    Source: Rudin, Osher and Fatemi 1992, Nonlinear Total Variation Based Noise Removal, in its anisotropic form.
    """
    return _mean_abs_gradient(images)


def _mean_abs_gradient(images: Any) -> Any:
    return sum(ops.mean(ops.abs(_difference(images, axis))) for axis in (1, 2))


def _difference(images: Any, axis: int) -> Any:
    """Return each pixel less the one before it along an axis.

    `ops.slice` is a sixth of the time of indexing: TensorFlow's gradient of an index with steps runs on one thread.
    """
    shape = list(ops.shape(images))
    shape[axis] -= 1
    begin = [int(place == axis) for place in range(len(shape))]
    return ops.slice(images, begin, shape) - ops.slice(images, [0] * len(shape), shape)
