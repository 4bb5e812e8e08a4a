"""Only the fine detail: what a wavelet transform leaves when the coarse image is taken away."""

from typing import Any

from keras import ops

from compress.distill.losses.arithmetic import in_float32


@in_float32
def wavelet_difference(student: Any, teacher: Any, *, levels: int = 3) -> Any:
    """Mean absolute difference of the high bands of the Haar transform, summed over bands and levels.

    Args:
        student: `(batch, height, width, channels)`.
        teacher: The same.
        levels: How often the coarse image is transformed again; fewer where it comes down to one pixel before. An odd
            last row or column is left out.

    Source: Zhang et al. 2022, Wavelet Knowledge Distillation: Towards Efficient Image-to-Image Translation,
    arXiv:2203.14680. The transform is linear, so the images' difference is transformed once.
    """
    coarse, total = student - teacher, ops.zeros(())
    for _ in range(levels):
        if min(coarse.shape[1:3]) < 2:
            break
        coarse, *bands = _haar(coarse)
        total = total + sum(ops.mean(ops.abs(band)) for band in bands)
    return total


def _haar(images: Any) -> list[Any]:
    """The orthonormal transform of squares of 2x2 pixels: coarse, then differences across, down and crosswise."""
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    upper_left, upper_right = images[:, 0:height:2, 0:width:2], images[:, 0:height:2, 1:width:2]
    lower_left, lower_right = images[:, 1:height:2, 0:width:2], images[:, 1:height:2, 1:width:2]
    upper, lower = upper_left + upper_right, lower_left + lower_right
    upper_step, lower_step = upper_left - upper_right, lower_left - lower_right
    bands = (upper + lower, upper_step + lower_step, upper - lower, upper_step - lower_step)
    return [band / 2.0 for band in bands]
