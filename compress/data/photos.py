"""`compress data photos`: the photos of a split as a model takes them: cropped, resized, PNG, one folder."""

from pathlib import Path

from compress import images
from compress.console.progress import progress
from compress.data.config import PhotosConfig
from compress.data.folders import LAYOUT, domain_of, find_paired_images, list_photos, paired_folder
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing


def prepare_photos(data: Path, config: PhotosConfig, out: Path, *, overwrite: bool = False) -> dict[str, int]:
    """Write a split's photos as PNG of one size, so that every model and every score starts from the same pixels.

    A file is named after its domain and its photo, `A_0001.png`: a name that occurs in both domains stays apart. With
    `paired` it holds the photo's paired image, so that translations of the photos pair with it by name.

    Returns:
        `{"images": how many were written}`.

    Raises:
        UsageError: If `out` exists and `overwrite` is false, or is or holds a part of the data set.
        UnusableData: If a folder or a paired image is missing, too many photos are broken or left out, or two of a
            folder share a stem.
    """
    # The split that is not read stays, too: who names one of its folders has mistaken it for the output.
    parts = [part for name in LAYOUT for part in (data / name, paired_folder(data / name))]
    require_apart([out], [data, *(part for part in parts if part.exists())])
    refuse_existing(out, overwrite=overwrite)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        paths = list_photos(data, config.domain, config.split)
        if config.paired:
            paths = find_paired_images(paths)
        images.require_distinct_stems(paths)
        count = 0
        with progress(total=len(paths), name="photos", unit="image") as bar:
            for path, image in images.read_images(paths, config.image_size_px):
                images.write_png(scratch / f"{domain_of(path, config.split)}_{path.stem}.png", image)
                count += 1
                bar.update()
    return {"images": count}
