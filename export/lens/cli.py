"""`compress lens`: the faces in photos and films, translated in their place."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress import console
from compress.artifact import check_exists
from compress.errors import UnusableData
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.lens.config import LensConfig
from export.web.config import WebConfig

Flags = Parameter(name="*", negative_iterable=())
Switch = Annotated[bool, Parameter(negative="")]

app = console.new_app("lens", "Translate the faces in photos and films, in their place.")


@app.command
def photo(
    model: Path,
    photo: Path,
    *,
    out: Path,
    config: Annotated[LensConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Translate the face in a photo, in its place; everything else stays as it is.

    Args:
        model: An artifact, a .tflite file, or a teacher's file (.h5, .keras, .pth, SavedModel).
        photo: The photo.
        out: The .png file to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    check_exists(model)
    if not photo.exists():
        raise UnusableData(f"{photo} does not exist; expected a photo.")
    from export.lens.stage import translate_photo

    chosen, said = config or LensConfig(), reading or AS_FOUND
    console.show(translate_photo(model, photo, out, chosen, reading=said, overwrite=overwrite), as_json=json)


@app.command
def folder(
    model: Path,
    photos: Path,
    *,
    out: Path,
    config: Annotated[LensConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Translate the face in each photo of a folder, in its place; everything else stays as it is.

    Args:
        model: An artifact, a .tflite file, or a teacher's file (.h5, .keras, .pth, SavedModel).
        photos: A folder of photos, or a data set with testA.
        out: The folder to write, of PNG files.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    check_exists(model)
    from export.lens.stage import translate_folder

    chosen, said = config or LensConfig(), reading or AS_FOUND
    console.show(translate_folder(model, photos, out, chosen, reading=said, overwrite=overwrite), as_json=json)


@app.command
def serve(
    page: Path,
    *,
    port: int = 8000,
    config: Annotated[WebConfig, Flags] | None = None,
) -> None:
    """Serve a student's page to browsers of this machine, until Ctrl-C.

    Args:
        page: A folder that compress export web wrote; or a student, whose page is made for the while.
        port: Port to serve at; 0 for a free one.
    """
    check_exists(page)
    from export.web.serve import serve_page

    # Ctrl-C is how this is meant to end.
    with suppress(KeyboardInterrupt):
        serve_page(page, config, port=port)


@app.command
def video(
    model: Path,
    film: Path,
    *,
    out: Path,
    config: Annotated[LensConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Translate the face in a film, in its place; sound, times and size stay. After a kill, the same command goes on.

    Args:
        model: An artifact, a .tflite file, or a teacher's file (.h5, .keras, .pth, SavedModel).
        film: The film: MP4, MOV, MKV, WebM, AVI and the like.
        out: The .mp4 file to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    check_exists(model)
    from export.lens.video import translate_film

    chosen, said = config or LensConfig(), reading or AS_FOUND
    console.show(translate_film(model, film, out, chosen, reading=said, overwrite=overwrite), as_json=json)
