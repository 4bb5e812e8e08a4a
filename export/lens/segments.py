"""A film's new frames as they are encoded: in segments that are kept on disk, then joined with the film's sound.

Each segment has an encoder of its own and begins with a key frame, so it does not matter in which run it was made. A
segment is one file: the hash of all that follows, a line of JSON and the packets' bytes, one behind the other.
"""

import hashlib
import heapq
import io
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.errors import UsageError
from compress.files.atomic import replace_bytes
from compress.files.ownership import GENERATOR, MARKER, is_empty
from export.lens.film import AHEAD, EXACT, FilmFacts, Frame, open_film

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

FRAMES = 120
"""Frames of a segment: what a kill costs at most."""
_CODEC = "libx264"
_OPTIONS = {"crf": "18", "preset": "veryfast", "bf": "0"}
"""Frames are in order, without any that refer to later ones, so that a packet's two times are one."""
_SUFFIX = ".segment"
_UNKNOWN = 2
"""FFmpeg's number for colours of which nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What all segments of a film are encoded alike by."""

    height: int
    width: int
    facts: FilmFacts
    threads: int

    @property
    def pixel_format(self) -> str:
        """Half the colour resolution, as players expect it, or all of it where half a pixel would be left over."""
        return "yuv444p" if self.height % 2 or self.width % 2 else "yuv420p"

    def set_up(self, encoder: "VideoCodecContext") -> None:
        """Set up an encoder, or the stream of one."""
        encoder.width, encoder.height, encoder.pix_fmt = self.width, self.height, self.pixel_format
        encoder.time_base, encoder.framerate = self.facts.time_base, self.facts.rate
        # Without the threads' number, the bytes would depend on the machine's processors.
        encoder.thread_count = self.threads
        encoder.colorspace, encoder.color_range, encoder.color_trc, encoder.color_primaries = self.facts.colours


class SegmentWriter:
    """Encodes the frames of a segment, on another thread, up to `AHEAD` frames behind."""

    def __init__(self, encoding: Encoding) -> None:
        import av
        from av.codec.context import Flags

        self._encoding = encoding
        self._encoder: VideoCodecContext = av.CodecContext.create(_CODEC, "w")
        encoding.set_up(self._encoder)
        self._encoder.options = _OPTIONS
        self._encoder.flags |= Flags.global_header
        self._packets: list[tuple[int, bool, bytes]] = []
        self._durations: list[int] = []
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._waiting: deque[Future[None]] = deque()

    def __len__(self) -> int:
        """Return how many frames it took."""
        return len(self._durations)

    def add(self, picture: np.ndarray, frame: Frame) -> None:
        """Take the new picture of a frame, `(height, width, 3)` uint8, which is not changed any more."""
        self._durations.append(frame.duration)
        self._waiting.append(self._worker.submit(self._encode, picture, frame.pts))
        if len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def finish(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write the segment, atomically, with a state that goes with its end."""
        self._waiting.append(self._worker.submit(self._keep, None))
        for waiting in self._waiting:
            waiting.result()
        self.close()
        packets = [
            (pts, duration, is_key, len(content))
            for (pts, is_key, content), duration in zip(self._packets, self._durations, strict=True)
        ]
        head = json.dumps({"packets": packets, "state": state}).encode()
        content = b"\n".join([head, b"".join(content for _, _, content in self._packets)])
        replace_bytes(path, b"\n".join([hashlib.sha256(content).hexdigest().encode(), content]))

    def close(self) -> None:
        """End the thread."""
        self._worker.shutdown(cancel_futures=True)

    def _encode(self, picture: np.ndarray, pts: int) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        matrix, colour_range, *_ = self._encoding.facts.colours
        yuv = frame.reformat(
            format=self._encoding.pixel_format,
            dst_colorspace=None if matrix == _UNKNOWN else matrix,
            dst_color_range=colour_range or None,
            interpolation=EXACT,
        )
        yuv.pts, yuv.time_base = pts, self._encoding.facts.time_base
        self._keep(yuv)

    def _keep(self, frame: Any) -> None:
        for packet in self._encoder.encode(frame):
            self._packets.append((packet.pts or 0, packet.is_keyframe, bytes(packet)))


def segments_folder(out: Path) -> Path:
    """Return the folder beside a film in which its segments lie until it is finished; it may not exist yet.

    Raises:
        UsageError: If something of that name is there that this tool did not make.
    """
    folder = out.parent / f"{out.name}.segments"
    if folder.exists() and not (folder / MARKER).is_file() and not (folder.is_dir() and is_empty(folder)):
        raise UsageError(
            f"{folder} is where {out.name} would be put together, and it holds something else. Pass another --out, or "
            "move it."
        )
    return folder


def list_segments(folder: Path) -> list[Path]:
    """List the segments that are finished, in order, from the first on, up to one that is missing or damaged."""
    found = []
    while _is_whole(path := segment_path(folder, len(found))):
        found.append(path)
    return found


def segment_path(folder: Path, number: int) -> Path:
    """Return where a segment lies."""
    return folder / f"{number:06d}{_SUFFIX}"


def _is_whole(segment: Path) -> bool:
    if not segment.is_file():
        return False
    with segment.open("rb") as stream:
        said = stream.readline().strip()
        return hashlib.file_digest(stream, "sha256").hexdigest().encode() == said


def read_state(segment: Path) -> dict[str, Any]:
    """Read the state that goes with a segment's end, and the number of its frames as `frames`."""
    with segment.open("rb") as stream:
        stream.readline()
        head = json.loads(stream.readline())
    return {**head["state"], "frames": len(head["packets"])}


def join(film: Path, segments: Sequence[Path], encoding: Encoding, out: Path) -> None:
    """Write a film of segments and the sound of another, whose packets are copied as they are.

    Raises:
        UsageError: If its sound cannot go into an MP4 file.
    """
    import av

    with open_film(film) as (container, _), av.open(str(out), "w", format="mp4") as joined:
        joined.metadata["comment"] = GENERATOR
        stream = joined.add_stream(_CODEC, rate=encoding.facts.rate, options=_OPTIONS)
        encoding.set_up(stream.codec_context)
        stream.time_base = encoding.facts.time_base
        sounds = _add_sounds(joined, container, film)
        _mux(joined, [_picture_packets(segments, stream, encoding.facts.time_base), _sound_packets(container, sounds)])


def check_sound(film: Path) -> None:
    """Check that a film's sound can be copied, before any work is spent on its frames.

    Raises:
        UsageError: If it cannot go into an MP4 file.
        UnusableData: See `open_film`.
    """
    import av

    with open_film(film) as (container, _), av.open(io.BytesIO(), "w", format="mp4") as tried:
        _add_sounds(tried, container, film)


def _add_sounds(joined: "OutputContainer", container: "InputContainer", film: Path) -> dict[int, "Stream"]:
    """Add the streams of sound of a film to another; return them by their number in the film."""
    from av.error import FFmpegError

    sounds: dict[int, Stream] = {}
    for sound in container.streams.audio:
        try:
            sounds[sound.index] = joined.add_stream_from_template(sound)
        except (ValueError, FFmpegError) as error:
            raise UsageError(
                f"{film}: its sound is {sound.codec_context.name}, which an MP4 file does not hold. Turn it into AAC "
                "first."
            ) from error
    return sounds


def _mux(joined: "OutputContainer", sources: list[Iterator[tuple[Fraction, "Packet"]]]) -> None:
    """Write packets in the order of their times, so that none waits in memory for long."""
    for _, packet in heapq.merge(*sources, key=lambda timed: timed[0]):
        joined.mux_one(packet)


def _picture_packets(
    segments: Sequence[Path], stream: "VideoStream", time_base: Fraction
) -> Iterator[tuple[Fraction, "Packet"]]:
    """Yield the packets of all segments, each with its duration: up to the next, or as the film says of the last."""
    import av

    waiting: tuple[int, Packet] | None = None
    for pts, duration, is_key, content in _read_packets(segments):
        if waiting is not None:
            shown, packet = waiting
            packet.duration = pts - shown
            yield shown * time_base, packet
        packet = av.Packet(content)
        packet.pts = packet.dts = pts
        packet.duration, packet.time_base, packet.is_keyframe, packet.stream = duration, time_base, is_key, stream
        waiting = pts, packet
    if waiting is not None:
        yield waiting[0] * time_base, waiting[1]


def _read_packets(segments: Sequence[Path]) -> Iterator[tuple[int, int, bool, bytes]]:
    for segment in segments:
        with segment.open("rb") as stream:
            stream.readline()
            for pts, duration, is_key, size in json.loads(stream.readline())["packets"]:
                yield pts, duration, is_key, stream.read(size)


def _sound_packets(container: Any, sounds: Mapping[int, "Stream"]) -> Iterator[tuple[Fraction, "Packet"]]:
    if not sounds:
        return
    for packet in container.demux(container.streams.audio):
        # The last of each stream is empty.
        if packet.dts is not None:
            moment = packet.dts * packet.time_base
            packet.stream = sounds[packet.stream.index]
            yield moment, packet
