"""Parity of an exported file with its source: run in LiteRT, compared, refused below a bound.

Two questions for int8. Does the file do what its integers mean? It is compared with the integer-exact reference, within
a step. Are the integers good enough? It is compared with the float source, in PSNR. A float file has only the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from compress.errors import ParityError
from compress.images import psnr_db, to_float, to_uint8
from export.config import Precision
from export.graph.quantized import QuantizedGraph, TensorScale
from export.interpreter import numpy_int8
from export.interpreter.litert import TfliteGenerator

LEAST_PSNR_DB: dict[Precision, float] = {"fp32": 90.0, "fp16": 40.0, "dynamic": 30.0, "int8": 30.0}
"""The least PSNR to the float source, 2.0 being the peak of images in [-1, 1]. An error of one step of a byte in every
pixel is 48 dB. Measured: fp32, which differs by the order of its sums alone, 104 to 143 dB over teachers and students;
fp16, which rounds weights, 49 dB with random weights and large activations, 80 dB and more with trained ones; dynamic
range, 42 to 49 dB with trained teachers; int8, which rounds everything, 43 to 49 dB. A student is 25 to 30 dB from its
teacher: below 30 dB, rounding would add to that."""
LEAST_SHARE_WITHIN_A_STEP = 0.999
"""The least share of output values within a step of the integer-exact reference. The rest is left for kernels of
another processor, which may round a tie the other way."""
_SYNTHETIC_CELLS = 8


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The distance of a file to its source."""

    images: int
    """Number of images that were compared."""
    material: str
    """Kind of images: `photos` or `synthetic`."""
    psnr_db: float
    """PSNR of all images to the float source; peak 2.0."""
    largest_difference: float
    """The largest difference of one value to the float source; images lie in [-1, 1]."""
    share_within_a_step: float | None = None
    """Share of an int8 file's values that are at most one step from the integer-exact reference."""

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def as_scores(checked: Mapping[str, Parity]) -> dict[str, Any]:
    """Return the manifest's scores of a file's sizes, the usual one first: `parity`, and `parity_at` each other one."""
    usual, *others = checked
    scores: dict[str, Any] = {"parity": checked[usual].as_json()}
    return scores | ({"parity_at": {name: checked[name].as_json() for name in others}} if others else {})


def measure_parity(
    generator: TfliteGenerator,
    photos: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    *,
    material: str,
    quantized: QuantizedGraph | None = None,
    integer_ends: bool = False,
) -> Parity:
    """Run a loaded file and compare its pictures with the source's.

    Args:
        generator: The loaded `.tflite` file.
        photos: `(height, width, 3)` uint8, all of one of the sizes that it takes.
        expected: The float source's picture of each, `(height, width, 3)` float in [-1, 1].
        material: `photos` or `synthetic`.
        quantized: The graph that an int8 file was written from, at that size.
        integer_ends: Whether its bytes are its integers and 128, see `emitter.INTEGER_BYTE_SCALE`.
    """
    height, width, _ = photos[0].shape
    sized = generator.at_size((height, width))
    outputs = [sized.run(photo) for photo in photos]
    pictures = [sized.to_picture(output) for output in outputs]
    compared = compute_parity(pictures, expected, material=material)
    if quantized is None:
        return compared
    if outputs[0].dtype.kind == "f":
        outputs = pictures
    return replace(compared, share_within_a_step=_share_within_a_step(photos, outputs, quantized, integer_ends))


def compute_parity(pictures: Sequence[np.ndarray], expected: Sequence[np.ndarray], *, material: str) -> Parity:
    """Compare an export's pictures with its float source's, each `(height, width, 3)` float in [-1, 1]."""
    difference = np.stack(pictures) - np.stack(expected)
    return Parity(
        images=len(pictures),
        material=material,
        psnr_db=psnr_db(difference),
        largest_difference=float(np.abs(difference).max()),
    )


def require_parity(parity: Parity, precision: Precision, *, at: str = "") -> None:
    """Refuse a file that is too far from its source.

    Args:
        parity: The measured parity.
        precision: The file's precision.
        at: The words with which errors name one of several sizes.

    Raises:
        ParityError: If a bound is missed; NaN misses it too.
    """
    require_psnr(parity, f"{precision} file{at}", least_db=LEAST_PSNR_DB[precision], remedy=_REMEDIES[precision])
    share = parity.share_within_a_step
    if share is not None and not share >= LEAST_SHARE_WITHIN_A_STEP:
        raise ParityError(
            f"only {share:.2%} of the int8 file's values{at} lie within a step of the integer-exact reference; "
            f"expected {LEAST_SHARE_WITHIN_A_STEP:.1%}. Nothing was written. This runtime computes something else "
            "than the integers mean: try another version of ai-edge-litert, and report it."
        )


def require_psnr(parity: Parity, export: str, *, least_db: float, remedy: str) -> None:
    """Refuse an export whose PSNR to its float source is too low.

    Args:
        parity: The measured parity.
        export: The export as errors call it.
        least_db: The bound.
        remedy: Advice that ends the error.

    Raises:
        ParityError: If the bound is missed; NaN misses it too.
    """
    if not parity.psnr_db >= least_db:
        raise ParityError(
            f"the {export} is {parity.psnr_db:.1f} dB from its source on {parity.images} {parity.material}; "
            f"expected at least {least_db:.0f} dB. Nothing was written. {remedy}"
        )


_REMEDIES: dict[Precision, str] = {
    "fp32": "This should not happen: please report it with the model.",
    "fp16": "Its weights or activations leave float16's range: use --precision fp32.",
    "dynamic": "Its weights do not bear rounding to int8: use --precision fp16.",
    "int8": "Calibrate on photos like those it was trained on (--data), on more of them, or use --precision fp16.",
}


def synthetic_photos(size: tuple[int, int], *, count: int, seed: int) -> list[np.ndarray]:
    """Make photos of smooth colours with a little noise: `(height, width, 3)` uint8."""
    from PIL import Image

    random = np.random.default_rng(seed)
    photos = []
    for _ in range(count):
        cells = random.integers(0, 256, (_SYNTHETIC_CELLS, _SYNTHETIC_CELLS, 3), dtype=np.uint8)
        smooth = Image.fromarray(cells).resize((size[1], size[0]), Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth, dtype=np.float32) + random.normal(0, 6, (*size, 3))
        photos.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return photos


def _share_within_a_step(
    photos: Sequence[np.ndarray], outputs: Sequence[np.ndarray], quantized: QuantizedGraph, integer_ends: bool
) -> float:
    first, last = (quantized.tensors[name] for name in (quantized.graph.input, quantized.graph.output))
    shares = []
    for photo, output in zip(photos, outputs, strict=True):
        as_bytes = integer_ends and output.dtype == np.uint8
        taken = (photo.astype(np.int16) - 128).astype(np.int8) if as_bytes else first.quantize(to_float(photo))
        exact = numpy_int8.run_int8_graph(quantized, taken[np.newaxis])[0]
        if as_bytes:
            steps = np.abs(output.astype(np.int16) - 128 - exact)
        else:
            steps = np.abs(output.astype(np.int16) - exact) if output.dtype == np.int8 else _steps(output, exact, last)
        shares.append(float((steps <= 1).mean()))
    # Not the mean: where a sum lies next to a half, processors round it to either side, and a context block hands that
    # on to the whole of one photo. What is wrong is wrong in all of them.
    return float(np.median(shares))


def _steps(output: np.ndarray, exact: np.ndarray, scale: TensorScale) -> np.ndarray:
    """Return the distance of a file's bytes or floats to the reference's integers, in steps of the file's output."""
    if output.dtype == np.uint8:
        return np.abs(output.astype(np.int16) - to_uint8(scale.dequantize(exact)))
    return np.abs(scale.quantize(output).astype(np.int16) - exact)
