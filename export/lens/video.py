"""`compress lens video`: a film in, the same film with its faces translated out."""

import hashlib
import json
import logging
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import file_fingerprint
from compress.config import to_mapping
from compress.console.progress import progress
from compress.errors import UsageError
from compress.files.atomic import atomic_file, refuse_existing, remove, replace_text
from compress.files.locks import absolute, locked
from compress.files.ownership import mark_folder
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.lens.config import LensConfig
from export.lens.film import EXACT, FilmFacts, Frame, check_av, read_ahead, read_facts, read_frames
from export.lens.lens import Lens, open_lens
from export.lens.paste import Photo
from export.lens.segments import (
    FRAMES,
    Encoding,
    SegmentWriter,
    check_sound,
    join,
    list_segments,
    read_state,
    segment_path,
    segments_folder,
)
from export.lens.tracking import Tracker

_IDENTITY, _ENDED = "identity.json", "ended.json"
_log = logging.getLogger(__name__)


def translate_film(
    model: Path,
    film: Path,
    out: Path,
    config: LensConfig,
    *,
    reading: ReadingConfig = AS_FOUND,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Translate the faces of a film in their place; frames, their times and size, and the sound stay.

    What is finished is kept beside `out` until all is, so that the same command goes on after a kill, and writes the
    same bytes as if there had been none.

    Args:
        model: An artifact, a `.tflite` file, or any teacher's file.
        film: The film; it is turned upright.
        out: The MP4 file to write: H.264, the sound's packets as they are.
        config: Which faces, and how they are pasted.
        reading: What the user says about the teacher's file.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: the file, numbers of frames, of those with a face and without, height and width.

    Raises:
        UsageError: If `out` exists, is a folder or no MP4, the package av is missing, the sound does not go into an
            MP4, or the image size does not fit the model or is missing.
        UnusableInput: If the model or the film cannot be used.
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out}: expected a name that ends in .mp4.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; expected a file. Pass another --out.")
    check_av()
    check_sound(film)
    place = absolute(out)
    with locked(place):
        folder = segments_folder(place)
        identity = _identity(model, film, config, reading)
        if _read_ended(place, folder) != identity or not list_segments(folder):
            refuse_existing(place, overwrite=overwrite)
            lens = open_lens(model, config, reading=reading)
            _prepare(folder, identity)
            encoding = _translate_frames(lens, film, folder)
            with atomic_file(place, overwrite=overwrite) as partial:
                join(film, list_segments(folder), encoding, partial)
                ended = {"identity": identity, "output": file_fingerprint(partial)}
                replace_text(folder / _ENDED, json.dumps(ended) + "\n")
        state = read_state(list_segments(folder)[-1])
        remove(folder)
    if not state["with_face"]:
        _log.warning("%s: no face to translate was found; its frames are as they were", film)
    return {
        "out": str(out),
        "frames": state["done"],
        "translated": state["with_face"],
        "without_face": state["done"] - state["with_face"],
        "height_px": state["height"],
        "width_px": state["width"],
    }


def _identity(model: Path, film: Path, config: LensConfig, reading: ReadingConfig) -> str:
    """Return the hash of all that a film's bytes follow from."""
    import av

    files = [file_fingerprint(path) for path in (model, film)]
    parts = [*files, to_mapping(config), to_mapping(reading), av.__version__, FRAMES, EXACT]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _prepare(folder: Path, identity: str) -> None:
    """Make the folder of segments, or empty one of another film, model or configuration."""
    record = folder / _IDENTITY
    if folder.exists() and not (record.is_file() and record.read_text(encoding="utf-8") == identity):
        remove(folder)
    folder.mkdir(exist_ok=True)
    mark_folder(folder)
    replace_text(record, identity)


def _read_ended(place: Path, folder: Path) -> str | None:
    """Return the identity of the run that wrote `place` and was killed before it removed its folder."""
    try:
        ended = json.loads((folder / _ENDED).read_text(encoding="utf-8"))
        return ended["identity"] if place.is_file() and ended["output"] == file_fingerprint(place) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _translate_frames(lens: Lens, film: Path, folder: Path) -> Encoding:
    """Fill a folder with the segments that are missing in it; return what all are encoded alike by."""
    facts = read_facts(film)
    if facts.hdr:
        _log.warning(
            "%s has a high dynamic range (%s): its values are taken as if they were sRGB, which models are trained on, "
            "and written with 8 bits. Turn it into SDR first for the colours that the model expects",
            film,
            facts.hdr,
        )
    segments = list_segments(folder)
    states = [read_state(segment) for segment in segments]
    last = states[-1] if states else {"done": 0, "with_face": 0}
    work = _Work(lens, facts, folder, len(segments), last)
    frames = read_ahead(islice(read_frames(film), last["done"], None))
    with closing(work):
        for frame in progress(frames, name="lens", unit="frame", total=facts.frames, done=last["done"]):
            work.take(frame)
        work.end_segment()
    return work.encoding


class _Work:
    """Frames on their way from the film into segments.

    Args:
        lens: The model.
        facts: What all frames share.
        folder: Where the segments go.
        number: How many there are.
        state: That of the end of the last one: counts, size, and where the faces are.
    """

    def __init__(self, lens: Lens, facts: FilmFacts, folder: Path, number: int, state: dict[str, Any]) -> None:
        self._lens, self._facts, self._folder, self._number = lens, facts, folder, number
        self._done, self._with_face = state["done"], state["with_face"]
        self._tracker = Tracker(lens.template, every=lens.config.all, nth=lens.config.nth)
        self._writer: SegmentWriter | None = None
        self._size: tuple[int, int] | None = None
        if "tracker" in state:
            self._tracker.restore(state["tracker"])
            self._size = state["height"], state["width"]

    @property
    def encoding(self) -> Encoding:
        """What all segments are encoded alike by."""
        if self._size is None:
            raise ValueError("no frame was taken yet")
        height, width = self._size
        return Encoding(height=height, width=width, facts=self._facts, threads=self._lens.config.threads)

    def take(self, frame: Frame) -> None:
        """Translate a frame."""
        picture = self._translate(frame)
        self._size = picture.shape[0], picture.shape[1]
        if self._writer is None:
            self._writer = SegmentWriter(self.encoding)
        self._writer.add(picture, frame)
        self._done += 1
        if len(self._writer) == FRAMES:
            self.end_segment()

    def end_segment(self) -> None:
        """Write the segment that was begun, if one was."""
        if self._writer is None:
            return
        height, width = self._size or (0, 0)
        state = {"done": self._done, "with_face": self._with_face, "height": height, "width": width}
        self._writer.finish(segment_path(self._folder, self._number), state | {"tracker": self._tracker.to_record()})
        self._writer = None
        self._number += 1

    def close(self) -> None:
        """Give up the segment that was begun, if one was."""
        if self._writer is not None:
            self._writer.close()

    def _translate(self, frame: Frame) -> np.ndarray:
        """Return a frame's translation, beside the frame where that is asked for."""
        original = frame.picture.copy() if self._lens.config.side_by_side else None
        photo = Photo(frame.picture)
        if self._lens.config.region == "whole":
            self._lens.translate_whole(photo)
            self._with_face += 1
        else:
            placed = self._tracker.place(frame.picture, float(frame.pts * self._facts.time_base))
            self._lens.translate_squares(photo, placed)
            self._with_face += bool(placed)
        return frame.picture if original is None else np.concatenate([original, frame.picture], axis=1)
