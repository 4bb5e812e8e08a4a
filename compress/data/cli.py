"""`compress data`: image folders to work on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress import console
from compress.data.config import AvatarsConfig, CelebaConfig, FacesConfig, PhotosConfig

Flags = Parameter(name="*", negative_iterable=())
Switch = Annotated[bool, Parameter(negative="")]

app = console.new_app("data", "Image folders to work on.")


@app.command
def avatars(
    *,
    out: Path,
    config: Annotated[AvatarsConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Draw cartoon men and women as a CycleGAN data set, with the true pair of every test image beside it.

    Args:
        out: The data set's folder.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.data.avatars import draw_avatars

    console.show(draw_avatars(config or AvatarsConfig(), out, overwrite=overwrite), as_json=json)


@app.command
def celeba(
    *,
    images: Path,
    attributes: Path,
    out: Path,
    config: Annotated[CelebaConfig, Parameter(name="*", negative_iterable=())],
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Lay out CelebA's images as a CycleGAN data set, with domains and population chosen by attribute.

    Args:
        images: The folder of CelebA's images; it may hold a part of them.
        attributes: list_attr_celeba.txt, or Kaggle's list_attr_celeba.csv.
        out: The data set's folder.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.data.celeba import prepare_celeba

    console.show(prepare_celeba(images, attributes, config, out, overwrite=overwrite), as_json=json)


@app.command
def photos(
    data: Path,
    *,
    out: Path,
    config: Annotated[PhotosConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Lay out a split's photos as a model sees them: cropped, resized, PNG, one folder.

    Args:
        data: A folder with trainA, trainB, testA, testB.
        out: The folder to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.data.photos import prepare_photos

    console.show(prepare_photos(data, config or PhotosConfig(), out, overwrite=overwrite), as_json=json)


@app.command
def faces(
    data: Path,
    *,
    out: Path,
    config: Annotated[FacesConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Cut the faces out of photos, aligned, as a set to train on; its template goes with what is trained on it.

    Args:
        data: A folder of photos, or one with trainA, trainB, testA, testB.
        out: The folder to write, in the same layout.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.data.faces import cut_faces

    console.show(cut_faces(data, config or FacesConfig(), out, overwrite=overwrite), as_json=json)
