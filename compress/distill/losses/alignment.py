"""Whether two nets find the same photos of a batch alike: no adaptor between their widths is needed."""

from typing import Any

from keras import ops

from compress.distill.losses.arithmetic import in_float32


@in_float32
def misalignment(student: Any, teacher: Any) -> Any:
    """1 - the kernel alignment (the cosine) of the two batches' Gram matrices; 0 to 1.

    Args:
        student: `(batch, height, width, channels)`: the student's features of some photos, of any size and width.
        teacher: The teacher's features of the same photos, of any other size and width. A batch of one says nothing,
            and the authors want at least 16.

    Source: Jin et al. 2021, Teachers Do More Than Teach: Compressing Image-to-Image Models (CAT), arXiv:2103.03467;
    not centred there, so not here.
    """
    first, second = _batch_gram(student), _batch_gram(teacher)
    norms = ops.sqrt(ops.sum(first * first) * ops.sum(second * second))
    return 1.0 - ops.sum(first * second) / ops.maximum(norms, 1e-12)


def _batch_gram(features: Any) -> Any:
    """`(batch, batch)`: each photo's features times each other's, divided by their number."""
    size = features.shape[1] * features.shape[2] * features.shape[3]
    flat = ops.reshape(features, (-1, size))
    return ops.matmul(flat, ops.transpose(flat)) / size
