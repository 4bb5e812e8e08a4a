"""Channel-wise distillation: where in the image each channel of a net is active."""

from typing import Any

from keras import ops

from compress.distill.losses.precision import in_float32


@in_float32
def channel_distillation_loss(student: Any, teacher: Any, *, temperature: float = 4.0) -> Any:
    """Return the mean Kullback-Leibler divergence of the channels' attention, each a softmax over the image's pixels.

    This is Shu's channel-wise distillation. OMGD's channel term, which compares the channels' means, needs a trained
    adaptor between student and teacher; here both are one frozen net's features of two images, so widths agree.

    Args:
        student: `(batch, height, width, channels)`, the net's features of the student's images.
        teacher: The net's features of the teacher's images, of the same shape.
        temperature: Evens out the attention; the loss is multiplied by its square, which keeps gradients alike.

    Source: Shu et al. 2021, Channel-wise Knowledge Distillation for Dense Prediction, arXiv:2011.13256.
    """
    log_student, log_teacher = _log_attention(student, temperature), _log_attention(teacher, temperature)
    divergence = ops.sum(ops.exp(log_teacher) * (log_teacher - log_student), axis=1)
    return temperature**2 * ops.mean(divergence)


def _log_attention(features: Any, temperature: float) -> Any:
    """Return the log-softmax over the pixels, `(batch, height * width, channels)`."""
    _, height, width, channels = features.shape
    return ops.log_softmax(ops.reshape(features, (-1, height * width, channels)) / temperature, axis=1)
