"""The written file against the lens: both run on pictures of whose gains all kinds occur, and compared in bytes."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from compress.data.avatars import draw_avatar
from compress.errors import ParityError
from compress.images import to_float, to_uint8
from export.detail.network import DETAILED, PHOTO
from export.graph.operations import INPUT, OUTPUT, Resize
from export.interpreter.numpy_float import compute
from export.lens.detail import UNIT_BITS, local_gain
from export.tflite.delegation import Coverage, read_coverage

MOST_STEPS = 3
"""The largest difference to the lens, steps of a byte: it rounds gains to 64ths, which is up to 1/128 of a detail of up
to 255, and pictures to bytes, half a step on either side."""
MOST_MEAN_STEPS = 0.1
"""The largest mean difference of a picture. Measured: 0.013 to 0.017, of two students at 512, 1024 and 2048 pixels."""
Translate = Callable[[np.ndarray], np.ndarray]
"""Makes `(height, width, 3)` uint8 of another."""
_NOISE = 6.0
"""Standard deviation of a camera's noise, steps of a byte."""


class DetailNetwork:
    """A written file, loaded.

    Args:
        path: The file.
        threads: Threads to run on.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._run = self._interpreter.get_signature_runner()
        inputs = self._run.get_input_details()
        self.photo_px, self.image_px = (int(inputs[name]["shape"][1]) for name in (PHOTO, INPUT))
        self._takes_bytes = inputs[PHOTO]["dtype"] == np.uint8

    @property
    def coverage(self) -> Coverage:
        """XNNPACK's share of it."""
        return read_coverage(self._interpreter)

    def run(self, photo: np.ndarray, image: np.ndarray, generated: np.ndarray) -> np.ndarray:
        """Return the picture with the photo's detail: `(photo_px, photo_px, 3)` uint8.

        Args:
            photo: The photo's square, shaped alike.
            image: The square as the model saw it, `(image_px, image_px, 3)` uint8.
            generated: What it made of it, shaped alike.
        """
        pictures = {PHOTO: photo, INPUT: image, OUTPUT: generated}
        filled = {name: values if self._takes_bytes else to_float(values) for name, values in pictures.items()}
        made = self._run(**{name: values[np.newaxis] for name, values in filled.items()})[DETAILED][0]
        return made if self._takes_bytes else to_uint8(made)


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """How far a file is from the lens, in steps of a byte."""

    pictures: int
    largest_difference: int
    mean_difference: float
    """Of the picture in which it is largest."""

    def as_json(self) -> dict[str, Any]:
        """Return the entry of a command's result."""
        return asdict(self)


def add_detail(photo: np.ndarray, image: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Return what the lens makes of a square that lies level and fills its part of the photo; see `DetailNetwork`."""
    gains = local_gain(image, generated).astype(np.float32) / (1 << UNIT_BITS)
    made = np.empty_like(photo)
    # Colour by colour, since a large picture in floats takes much memory.
    for channel in (np.s_[..., start : start + 1] for start in range(3)):
        seen, new, gain = (_enlarge(layer[channel], photo.shape[:2]) for layer in (image, generated, gains))
        made[channel] = np.clip(np.rint(new + gain * (photo[channel] - seen)), 0, 255)
    return made


def require_close(network: DetailNetwork, translate: Translate) -> Closeness:
    """Compare a file with the lens.

    Args:
        network: The file.
        translate: The student.

    Raises:
        ParityError: If a picture is too far, or a model that changes nothing does not give the photo back.
    """
    photo = draw_photo(network.photo_px)
    image = np.asarray(Image.fromarray(photo).resize((network.image_px, network.image_px), Image.Resampling.BOX))
    if not np.array_equal(network.run(photo, image, image), photo):
        raise ParityError(f"where a model changes nothing, the file changes the photo. {_REMEDY}")
    found = []
    for generated in (translate(image), *_translations(image)):
        steps = np.abs(network.run(photo, image, generated).astype(np.int16) - add_detail(photo, image, generated))
        found.append((int(steps.max()), float(steps.mean())))
    largest, mean = (max(column) for column in zip(*found, strict=True))
    if largest > MOST_STEPS or not mean <= MOST_MEAN_STEPS:
        raise ParityError(
            f"the file is up to {largest} steps of a byte from the lens, {mean:.3f} in the mean; expected at most "
            f"{MOST_STEPS} and {MOST_MEAN_STEPS}. {_REMEDY}"
        )
    return Closeness(pictures=len(found) + 1, largest_difference=largest, mean_difference=mean)


_REMEDY = (
    "Nothing was written. This runtime computes something else than the file says: try another version of "
    "ai-edge-litert, and report it."
)


def draw_photo(side_px: int) -> np.ndarray:
    """Draw a face with a camera's noise: `(side_px, side_px, 3)` uint8."""
    drawn = Image.fromarray(draw_avatar("detail", "A", 512)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, _NOISE, (side_px, side_px, 3))
    return np.clip(np.asarray(drawn) + noise, 0, 255).astype(np.uint8)


def _translations(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what models make of a picture: its negative, more contrast than gains go, a tone curve, another drawing."""
    yield 255 - image
    yield np.clip(3 * (image.astype(np.int16) - 128) + 128, 0, 255).astype(np.uint8)
    yield np.rint(255 * (image / 255) ** 0.7).astype(np.uint8)
    yield np.roll(image, (3, 5), axis=(0, 1))


def _enlarge(layer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge `(height, width, 1)` bilinearly, as float32."""
    resize = Resize(inputs=("small",), output="large", shape=(*size, 1), method="bilinear")
    return compute(resize, layer[np.newaxis].astype(np.float32))[0]
