"""Films read with PyAV: frames upright, as sRGB pictures, with their times; nothing but the one file is opened."""

import importlib.util
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.console.installing import install_command
from compress.errors import UnusableData, UsageError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

AHEAD = 3
"""Frames that are decoded, or wait to be encoded, beside the one that is translated."""
EXACT = 0x2 | 0x2000 | 0x40000
"""FFmpeg's numbers for a bilinear conversion of colours, each pixel's by itself, rounded to the nearest.

Without the last two a picture comes back from a film darker by 1.1 to 1.5 levels; with them, by less than 0.1.
"""
_HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of films of high dynamic range, as FFmpeg numbers them."""
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,gif,mxf,mjpeg,h264,hevc,ivf,dv,yuv4mpegpipe"
)
"""Kinds of films; not playlists and scripts, which name other files and hosts."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a film."""

    picture: np.ndarray
    """`(height, width, 3)` uint8, upright."""
    pts: int
    """When it is shown, in units of the film's `time_base`; greater than that of the frame before."""
    duration: int
    """For how long, as the film says; 0 where it does not."""


@dataclass(frozen=True, kw_only=True)
class FilmFacts:
    """What all frames of a film share."""

    time_base: Fraction
    """Seconds."""
    rate: Fraction
    """Frames a second, on average or as the film says."""
    frames: int | None
    """How many frames there are, as far as the film tells."""
    colours: tuple[int, int, int, int]
    """Matrix, range, transfer characteristics and primaries, as FFmpeg numbers them."""

    @property
    def hdr(self) -> str | None:
        """What its high dynamic range is called; None of an ordinary film."""
        return _HDR.get(self.colours[2])


def check_av() -> None:
    """Check that the package av is installed, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("av") is None:
        raise UsageError(f"Films need the package av: {install_command('video')}.")


@contextmanager
def open_film(film: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Open a film, and its first stream that moves; close it when the block ends.

    Raises:
        UnusableData: If it is no file, no film, or holds only sound.
    """
    import av
    from av.error import FFmpegError
    from av.stream import Disposition

    if not film.is_file():
        raise UnusableData(f"{film} {'is no file' if film.exists() else 'does not exist'}; expected a film.")
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        container = av.open(f"file:{film}", container_options=options)
    except FFmpegError as error:
        raise UnusableData(f"{film} is no film that can be read: {error.strerror}.") from error
    with container:
        for stream in container.streams.video:
            # The picture on the cover of a song is a stream, too.
            if not stream.disposition & Disposition.attached_pic:
                yield container, stream
                return
        raise UnusableData(f"{film} holds no video stream; expected a film.")


def read_facts(film: Path) -> FilmFacts:
    """Read what all frames of a film share; the colours are its first frame's.

    Raises:
        UnusableData: See `open_film`; or no frame of it can be decoded.
    """
    with open_film(film) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        time_base = stream.time_base or Fraction(1, 1000)
        assumed = None if stream.duration is None else round(stream.duration * time_base * rate)
        for frame in _decode(film, container, stream):
            colours = (int(frame.colorspace), int(frame.color_range), int(frame.color_trc), int(frame.color_primaries))
            return FilmFacts(time_base=time_base, rate=rate, frames=stream.frames or assumed, colours=colours)
    raise UnusableData(f"{film}: no frame of it can be decoded.")


def read_frames(film: Path) -> Iterator[Frame]:
    """Yield the frames of a film in the order in which they are shown.

    Raises:
        UnusableData: See `open_film`; or the size changes within the film.
    """
    with open_film(film) as (container, stream):
        last, size = None, None
        for frame in _decode(film, container, stream):
            if size not in (None, (frame.width, frame.height)):
                raise UnusableData(
                    f"{film}: its size changes from {size} to {(frame.width, frame.height)}; expected one size."
                )
            size = frame.width, frame.height
            # Broken films repeat a time, or leave it out.
            pts = frame.pts if frame.pts is not None else (last or 0) + (frame.duration or 1)
            pts = pts if last is None else max(pts, last + 1)
            last = pts
            picture = np.rot90(frame.to_ndarray(format="rgb24", interpolation=EXACT), round(frame.rotation / 90) % 4)
            yield Frame(np.ascontiguousarray(picture), pts, frame.duration or 0)


def read_ahead(frames: Iterator[Any]) -> Iterator[Any]:
    """Yield what an iterator does, which runs on another thread, up to `AHEAD` items ahead."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames") as pool:
        waiting = deque(pool.submit(next, frames, None) for _ in range(AHEAD))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, frames, None))
            yield item


def _decode(film: Path, container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    from av.error import FFmpegError

    stream.thread_type = "AUTO"
    try:
        yield from container.decode(stream)
    except FFmpegError as error:
        raise UnusableData(f"{film} is torn or damaged: {error.strerror}.") from error
