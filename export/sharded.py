"""`compress translate` by Ray's workers: photos in shards, pictures back, or from the workers to remote storage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from compress.data.folders import list_photos_to_translate
from compress.errors import UnusableData, UsageError
from compress.files.atomic import atomic_dir, refuse_existing
from compress.files.remote import is_remote, to_url
from compress.fleet.cluster import require_fleet
from compress.fleet.config import FleetConfig
from compress.fleet.shards import storage
from compress.fleet.shards.run import cut, map_shards, workers_started
from compress.images import read_each, require_distinct_stems, to_uint8, write_png
from compress.images.decoding import decode_file
from compress.teachers.reading.config import ReadingConfig
from export.config import TranslateConfig
from export.translator import Translator, open_translator, write_record

SHARD_IMAGES = 16
"""Photos of a shard: a second's work or less of a student, 2 MB of pictures of 256 px."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What a worker needs to make of a photo what this process would."""

    model: Path
    config: TranslateConfig
    reading: ReadingConfig
    out: Path | None
    """Remote folder that the worker writes pictures to; None where it hands them back."""


@dataclass(frozen=True)
class _Picture:
    """What became of a photo."""

    content: bytes
    """A PNG file; nothing where the worker wrote it, or the photo is broken."""
    fault: str | None
    """Why a colour profile was not followed, if it was not."""
    broken: str | None
    """Why there is no picture, if there is none."""


def translate_on_workers(
    model: Path,
    images: Path,
    out: Path,
    config: TranslateConfig,
    reading: ReadingConfig,
    fleet: FleetConfig,
    *,
    overwrite: bool,
    shard_images: int = SHARD_IMAGES,
) -> tuple[int, int, tuple[int, int]]:
    """Translate photos as `export.translate.translate` does, by the workers that `fleet` asks for.

    Returns:
        How many pictures were written, of how many photos, and their height and width.

    Raises:
        UsageError, UnusableInput: As `export.translate.translate`; or if the extra `fleet` is not installed.
    """
    require_fleet(fleet.flag or "--workers")
    _refuse_existing(out, overwrite=overwrite)
    paths = storage.list_images_anywhere(images) if is_remote(images) else list_photos_to_translate(images)
    require_distinct_stems(paths)
    # Whatever is wrong with the model is said before any worker starts.
    _, size = open_translator(model, config, reading)
    asked = replace(reading, verify=())
    job = _Job(model=model, config=config, reading=asked, out=out if is_remote(out) else None)
    if job.out is None:
        with atomic_dir(out, overwrite=overwrite) as scratch:
            written = _write_pictures(job, paths, fleet, shard_images, scratch)
            write_record(model, scratch)
    else:
        with TemporaryDirectory(prefix="pocketgan-translate-") as folder:
            written = _write_pictures(job, paths, fleet, shard_images, None)
            if record := write_record(model, Path(folder)):
                storage.upload([record], out)
    return written, len(paths), size


def _refuse_existing(out: Path, *, overwrite: bool) -> None:
    if not is_remote(out):
        refuse_existing(out, overwrite=overwrite)
    elif storage.exists(out):
        raise UsageError(
            f"{to_url(out)} is not empty, and nothing in remote storage is replaced. Pass another --out, or remove "
            "what is there yourself."
        )


def _write_pictures(
    job: _Job, paths: Sequence[Path], fleet: FleetConfig, shard_images: int, folder: Path | None
) -> int:
    """Have pictures made and write those that come back; return how many there are."""
    written = 0
    with workers_started(fleet) as ray:
        parts = map_shards(ray, partial(_translate, job), cut(paths, shard_images), name="translate")
        made: Iterator[_Picture] = chain.from_iterable(parts)

        def next_picture(_: Path) -> tuple[bytes, str | None]:
            picture = next(made)
            if picture.broken is not None:
                raise UnusableData(picture.broken)
            return picture.content, picture.fault

        # Counts, names and refuses broken photos as it does where this process reads them.
        for path, content in read_each(paths, next_picture):
            if folder is not None:
                (folder / f"{path.stem}.png").write_bytes(content)
            written += 1
    return written


@lru_cache(maxsize=1)
def _open(model: Path, config: TranslateConfig, reading: ReadingConfig) -> tuple[Translator, tuple[int, int]]:
    return open_translator(model, replace(config, threads=1), reading)


def _translate(job: _Job, paths: Sequence[Path]) -> list[_Picture]:
    """Translate a shard, in a worker, which opens the model once."""
    run, size = _open(job.model, job.config, job.reading)
    with storage.staged(paths) as local, TemporaryDirectory(prefix="pocketgan-pictures-") as folder:
        pictures = []
        for path, copy in zip(paths, local.paths, strict=True):
            try:
                photo, fault = decode_file(copy, size)
            except UnusableData as error:
                pictures.append(_Picture(b"", None, local.name_origins(str(error))))
                continue
            png = BytesIO()
            write_png(png, to_uint8(run(photo)))
            if job.out is not None:
                Path(folder, f"{path.stem}.png").write_bytes(png.getvalue())
            pictures.append(_Picture(b"" if job.out else png.getvalue(), fault, None))
        if job.out is not None and (made := sorted(Path(folder).iterdir())):
            storage.upload(made, job.out)
    return pictures
