"""Arithmetic shared by the float and the integer interpreter, in NumPy on `(batch, height, width, channels)`.

Every function keeps the type it is given. Integers are handed over as float64, in which BLAS multiplies and sums them
exactly: an int8 convolution's accumulator stays far below 2**53.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from export.graph.operations import Margins

_BAND_VALUES = 1 << 22
"""The most values unfolded at a time: a whole 256x256 layer of a teacher would take a gigabyte."""


def pad(features: np.ndarray, margins: Margins, *, value: float = 0.0) -> np.ndarray:
    """Put a constant around the image; several times as fast as `np.pad` on what a student holds."""
    (top, bottom), (left, right) = margins
    batch, height, width, channels = features.shape
    padded = np.full((batch, top + height + bottom, left + width + right, channels), value, dtype=features.dtype)
    padded[:, top : top + height, left : left + width] = features
    return padded


def view_windows(
    padded: np.ndarray, size: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Return a view of every window: `(batch, out_height, out_width, height, width, channels)`, nothing copied."""
    reach = [(side - 1) * step + 1 for side, step in zip(size, dilation, strict=True)]
    view = sliding_window_view(padded, reach, axis=(1, 2))  # pyright: ignore[reportArgumentType, reportCallIssue]
    spaced = view[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]
    return spaced.transpose(0, 1, 2, 4, 5, 3)


def convolve(
    padded: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Convolve without padding; the kernel is `(height, width, in, out)`. One matrix product per band of rows."""
    unfolded = view_windows(padded, kernel.shape[:2], strides, dilation)
    matrix = kernel.reshape(-1, kernel.shape[3])
    batch, rows, columns = unfolded.shape[:3]
    result = np.empty((batch, rows, columns, kernel.shape[3]), dtype=padded.dtype)
    band = max(1, _BAND_VALUES // (batch * columns * matrix.shape[0]))
    for top in range(0, rows, band):
        patches = unfolded[:, top : top + band]
        result[:, top : top + band] = (patches.reshape(-1, matrix.shape[0]) @ matrix).reshape(
            batch, -1, columns, kernel.shape[3]
        )
    return result


def convolve_depthwise(
    padded: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Convolve each channel by itself; the kernel is `(height, width, in, multiplier)`."""
    view = view_windows(padded, kernel.shape[:2], strides, dilation)
    batch, rows, columns, _, _, channels = view.shape
    total = np.zeros((batch, rows, columns, channels, kernel.shape[3]), dtype=padded.dtype)
    product = np.empty_like(total)
    for row, column in np.ndindex(kernel.shape[:2]):
        total += np.multiply(view[:, :, :, row, column, :, np.newaxis], kernel[row, column], out=product)
    return total.reshape(batch, rows, columns, -1)


def convolve_transposed(
    features: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], size: tuple[int, int], *, same: bool
) -> np.ndarray:
    """Scatter each pixel through a kernel `(height, width, out, in)`, then cut to `size` as TensorFlow does."""
    batch, height, width, _ = features.shape
    whole = [
        max((side - 1) * step + reach, wanted)
        for side, step, reach, wanted in zip((height, width), strides, kernel.shape, size, strict=False)
    ]
    canvas = np.zeros((batch, *whole, kernel.shape[2]), dtype=features.dtype)
    for row, column in np.ndindex(kernel.shape[:2]):
        rows = slice(row, row + (height - 1) * strides[0] + 1, strides[0])
        columns = slice(column, column + (width - 1) * strides[1] + 1, strides[1])
        canvas[:, rows, columns] += features @ kernel[row, column].T
    top, left = ((side - wanted) // 2 if same else 0 for side, wanted in zip(whole, size, strict=True))
    return canvas[:, top : top + size[0], left : left + size[1]]


def space_to_depth(images: np.ndarray, block: int) -> np.ndarray:
    """Move blocks of pixels into channels."""
    batch, height, width, channels = images.shape
    split = images.reshape(batch, height // block, block, width // block, block, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, -1)


def depth_to_space(features: np.ndarray, block: int) -> np.ndarray:
    """Move channels into blocks of pixels."""
    batch, height, width, channels = features.shape
    split = features.reshape(batch, height, width, block, block, channels // block**2)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block, width * block, -1)


def neighbours(size: int, resized: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each of `resized` pixels reads from a side of `size`: two indices and the weight of the second."""
    centre = np.maximum((np.arange(resized, dtype=np.float32) + 0.5) * np.float32(size / resized) - 0.5, 0)
    first = np.minimum(centre.astype(int), size - 1)
    second = np.minimum(first + 1, size - 1)
    return first, second, (centre - first).astype(np.float32)


def resize_nearest(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by taking the nearest pixel."""
    rows, columns = (
        np.minimum(((np.arange(wanted) + 0.5) * side / wanted).astype(int), side - 1)
        for side, wanted in zip(images.shape[1:3], size, strict=True)
    )
    return images[:, rows][:, :, columns]


def crop(images: np.ndarray, margins: Margins) -> np.ndarray:
    """Cut margins off."""
    (top, bottom), (left, right) = margins
    return images[:, top : images.shape[1] - bottom, left : images.shape[2] - right]
