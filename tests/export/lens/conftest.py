"""Models that do what can be told by eye: nothing, or the negative; as `.tflite` files of 64x64 images."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.faces.template import AlignmentTemplate, record_template
from compress.files.atomic import atomic_dir
from export.graph.operations import Convolution, Graph
from export.tflite.emitter import float_file

SIDE = 64


def _scaling(factor: float) -> bytes:
    kernel = factor * np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    shape = (SIDE, SIDE, 3)
    step = Convolution(
        inputs=("image",), output="out", shape=shape, kernel=kernel, bias=np.zeros(3, np.float32), padding="same"
    )
    return float_file(Graph(input="image", output="out", input_shape=shape, operations=(step,)))


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that returns the photo."""
    path = tmp_path_factory.mktemp("identity") / "identity.tflite"
    path.write_bytes(_scaling(1.0))
    return path


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that returns the photo's negative."""
    path = tmp_path_factory.mktemp("negative") / "negative.tflite"
    path.write_bytes(_scaling(-1.0))
    return path


@pytest.fixture
def as_student(negative: Path, tmp_path: Path) -> Callable[[AlignmentTemplate | None], Path]:
    """Write the negative as an export whose manifest records a template."""

    def write(template: AlignmentTemplate | None) -> Path:
        with atomic_dir(tmp_path / "student") as scratch:
            (scratch / "model.tflite").write_bytes(negative.read_bytes())
            manifest = Manifest(
                name="student",
                format="tflite",
                stage="export",
                parent=None,
                input=ImageSpec(shape=(SIDE, SIDE, 3)),
                cost=Cost(params=12, macs=None, size_bytes=1),
                config=record_template(template),
            )
            write_manifest(scratch, manifest)
        return tmp_path / "student"

    return write


@pytest.fixture
def portrait(draw_face: Callable[[int], np.ndarray]) -> np.ndarray:
    """A drawn face of 160 pixels at (100, 20) in a photo of 320x240 with noise around it."""
    photo = np.random.default_rng(0).integers(100, 140, (240, 320, 3), dtype=np.uint8)
    photo[20:180, 100:260] = draw_face(160)
    return photo


TICKS_PER_S = 90_000
TONE_HZ, SAMPLES_PER_S = 440, 44_100


def draw_film(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    times: Sequence[int],
    rotation: int = 0,
    sound: str | None = "aac",
    pixel_format: str = "yuv420p",
    crf: str = "12",
    **metadata: Any,
) -> Path:
    """Write a film, with a tone as long as it.

    Args:
        path: The file.
        pictures: `(height, width, 3)` uint8 each.
        times: When each is shown, in ticks.
        rotation: By how many degrees, counterclockwise, players have to turn it.
        sound: The sound's codec; None for a silent film.
        pixel_format: As FFmpeg names it.
        crf: How much the encoder may lose, as it says it.
        metadata: Attributes of the encoder, such as its matrix of colours.
    """
    import av

    with av.open(str(path), "w") as film:
        stream = None
        tone = film.add_stream(sound, rate=SAMPLES_PER_S, layout="mono") if sound else None
        for picture, time in zip(pictures, times, strict=True):
            if stream is None:
                stream = film.add_stream("libx264", rate=30, options={"crf": crf, "preset": "ultrafast"})
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pixel_format
                stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_PER_S)
                for name, value in metadata.items():
                    setattr(stream.codec_context, name, value)
                if rotation:
                    stream.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, TICKS_PER_S)
            film.mux(stream.encode(frame))
        if stream is not None:
            film.mux(stream.encode(None))
        if tone is not None:
            _sing(film, tone, times[-1] / TICKS_PER_S if times else 1.0)
    return path


def _sing(film: Any, tone: Any, seconds: float) -> None:
    import av

    moments = np.arange(int(seconds * SAMPLES_PER_S)) / SAMPLES_PER_S
    samples = (8000 * np.sin(2 * np.pi * TONE_HZ * moments)).astype(np.int16)
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLES_PER_S, start, Fraction(1, SAMPLES_PER_S)
        film.mux(tone.encode(frame))
    film.mux(tone.encode(None))


@pytest.fixture
def make_film() -> Callable[..., Path]:
    """Write a film: see `draw_film`."""
    return draw_film


@pytest.fixture
def walk(draw_face: Callable[[int], np.ndarray]) -> Callable[[int], Iterable[np.ndarray]]:
    """Draw frames of 160x120 in which a face of 100 pixels walks to the right and back."""

    def draw(count: int) -> Iterable[np.ndarray]:
        face = draw_face(100)
        for index in range(count):
            frame = np.full((120, 160, 3), (120, 130, 110), np.uint8)
            left = 30 + round(25 * np.sin(index / 20))
            frame[10:110, left : left + 100] = face
            yield frame

    return draw
