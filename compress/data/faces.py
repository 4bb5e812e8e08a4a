"""`compress data faces`: the faces of photos, found, aligned and cut out, as a set to train on.

The template by which they were aligned is written beside them. A student that is trained on them records it, and the
lens places faces by it.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress import images
from compress.config import to_mapping
from compress.console.progress import progress
from compress.data.config import NOTE_NAME, FacesConfig
from compress.data.folders import LAYOUT
from compress.errors import UnusableArtifact, UnusableData
from compress.faces.cut import cut
from compress.faces.face import choose_faces
from compress.faces.find import find_faces
from compress.faces.template import AlignmentTemplate, place_face, read_template, record_template
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing
from compress.printable import printable_name
from compress.strict_json import load_json

_NAMED = 5
_log = logging.getLogger(__name__)


def cut_faces(
    photos: Path,
    config: FacesConfig,
    out: Path,
    *,
    template: AlignmentTemplate | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the faces of photos as PNG files, aligned, and `NOTE.json` with the template beside them.

    Args:
        photos: A folder of photos, or one in CycleGAN's layout, whose folders are kept.
        config: Size of the faces, and which of a photo's faces are taken.
        out: The folder to write. A photo's face has the photo's stem; with `all`, `_1` and so on follow, the largest
            face first.
        template: Where a face lies in its square; the default one if None.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: numbers of photos, of faces, of photos without one, and of faces that had to be enlarged.

    Raises:
        UsageError: If `out` exists and `overwrite` is false, or is or holds a part of what is read.
        UnusableData: If a folder is missing, too many photos are broken or left out, two of a folder share a stem, or
            no photo holds a face.
    """
    template = template or AlignmentTemplate()
    folders = _list_folders(photos)
    require_apart([out], [photos])
    refuse_existing(out, overwrite=overwrite)
    counted = {"photos": 0, "faces": 0, "enlarged": 0}
    without: list[str] = []
    with atomic_dir(out, overwrite=overwrite) as scratch:
        for name, photo, pixels in _read(folders, scratch):
            faces = choose_faces(find_faces(pixels), every=config.all, nth=config.nth)
            counted["photos"] += 1
            if not faces:
                without.append(f"{name}/{photo.name}".removeprefix("./"))
            for number, face in enumerate(faces, start=1):
                placement = place_face(face, template)
                stem = f"{photo.stem}_{number}" if config.all else photo.stem
                images.write_png(scratch / name / f"{stem}.png", cut(pixels, placement, config.image_size_px))
                counted["faces"] += 1
                counted["enlarged"] += placement.side_px < config.image_size_px
        _require_faces(counted["faces"], photos)
        _write_note(scratch / NOTE_NAME, config, template, counted, without)
    _say(without, counted, config.image_size_px)
    return {"out": str(out), **counted, "without_face": len(without)}


def read_alignment(data: Path) -> dict[str, Any]:
    """Return what a student's manifest records of the alignment of its photos: an entry of its configuration.

    Args:
        data: A data set; nothing is recorded of one that `compress data faces` did not make.

    Raises:
        UnusableArtifact: If its note cannot be read.
    """
    note = data / NOTE_NAME
    if not note.is_file():
        return {}
    try:
        held = load_json(note)
    except (OSError, ValueError) as error:
        raise UnusableArtifact(f"{note} cannot be read ({error}). Make the data set anew, or remove it.") from error
    template = read_template(held, origin=note) if isinstance(held, Mapping) else None
    return record_template(template)


def _list_folders(photos: Path) -> dict[str, list[Path]]:
    """List the photos of a data set's folders, or of a folder, which is named `.`."""
    names = [name for name in LAYOUT if (photos / name).is_dir()] or ["."]
    folders = {name: images.list_images(photos / name) for name in names}
    for paths in folders.values():
        images.require_distinct_stems(paths)
    return folders


def _read(folders: Mapping[str, Sequence[Path]], scratch: Path) -> Iterator[tuple[str, Path, np.ndarray]]:
    with progress(total=sum(map(len, folders.values())), name="faces", unit="photo") as bar:
        for name, paths in folders.items():
            (scratch / name).mkdir(exist_ok=True)
            for path, pixels in images.read_images(paths):
                yield name, path, pixels
                bar.update()


def _require_faces(count: int, photos: Path) -> None:
    if not count:
        raise UnusableData(
            f"no photo in {photos} holds a face that is taken. To train on whole pictures, pass the folder to compress "
            "distill as it is."
        )


def _write_note(
    file: Path,
    config: FacesConfig,
    template: AlignmentTemplate,
    counted: Mapping[str, int],
    without: Sequence[str],
) -> None:
    note = {
        "what": "faces cut out of photos, aligned by the key points of eyes and mouth",
        "config": to_mapping(config),
        **record_template(template),
        **counted,
        "without_face": list(map(printable_name, without)),
    }
    file.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def _say(without: Sequence[str], counted: Mapping[str, int], size_px: int) -> None:
    if without:
        named = ", ".join(map(printable_name, without[:_NAMED]))
        more = f" and {len(without) - _NAMED} more, which {NOTE_NAME} names" if len(without) > _NAMED else ""
        _log.warning("no face taken in %d of %d photos: %s%s", len(without), counted["photos"], named, more)
    if counted["enlarged"]:
        _log.warning(
            "%d of %d faces are smaller than %d pixels in their photo, and were enlarged",
            counted["enlarged"],
            counted["faces"],
            size_px,
        )
