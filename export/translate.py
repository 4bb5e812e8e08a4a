"""`compress translate`: any artifact or model file over a folder of images, one PNG each."""

from pathlib import Path
from typing import Any

from compress.console.progress import progress
from compress.data.folders import list_photos_to_translate
from compress.files.atomic import atomic_dir, refuse_existing
from compress.files.remote import to_url
from compress.fleet.config import ALONE, FleetConfig
from compress.images import read_images, require_distinct_stems, to_uint8, write_png
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.config import TranslateConfig
from export.translator import open_translator, write_record


def translate(
    model: Path,
    images: Path,
    out: Path,
    config: TranslateConfig,
    *,
    reading: ReadingConfig = AS_FOUND,
    fleet: FleetConfig = ALONE,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a model over a folder of images; only one of them is in memory at a time.

    Args:
        model: An artifact, a `.tflite` file, or any teacher's file.
        images: A photo, a folder of photos, or a data set, whose test photos are taken; broken ones are named and
            skipped, up to 1 %. With a fleet, a folder of remote storage, too.
        out: The folder to write: for each photo a PNG of the same stem, and `translation.json` where the model's
            manifest tells of a pretrained network that it was trained with, so that scores can say so. With a fleet,
            an empty place of remote storage, too, to which the workers write.
        config: Image size, threads and the like.
        reading: What the user says about the teacher's file.
        fleet: The processes that share the images; the pictures are the same ones.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: numbers of images that were written and skipped, their height and width.

    Raises:
        UsageError: If `out` exists, the image size does not fit the model or is missing, or a place is remote and no
            fleet was asked for.
        UnusableInput: If the model or the folder cannot be used.
    """
    if fleet.flag is not None:
        from export.sharded import translate_on_workers

        written, total, size = translate_on_workers(model, images, out, config, reading, fleet, overwrite=overwrite)
    else:
        refuse_existing(out, overwrite=overwrite)
        paths = list_photos_to_translate(images)
        require_distinct_stems(paths)
        run, size = open_translator(model, config, reading)
        written, total = 0, len(paths)
        with atomic_dir(out, overwrite=overwrite) as scratch:
            for path, photo in progress(read_images(paths, size), total=total, name="translate", unit="image"):
                write_png(scratch / f"{path.stem}.png", to_uint8(run(photo)))
                written += 1
            write_record(model, scratch)
    return {
        "out": to_url(out),
        "images": written,
        "skipped": total - written,
        "height_px": size[0],
        "width_px": size[1],
    }
