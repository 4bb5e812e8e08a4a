"""`compress eval perturb`: a folder of perturbed copies of photos, which any number of models can then translate.

The copies are ordinary photos in one flat folder, so that whatever translates folders translates them, here or on a
phone, and all models see the same ones: `cat.jpg` becomes `cat.still.png`, `cat.shift1.png`, `cat.shift2.png`,
`cat.noise.png` and `cat.jpeg.png`. `flicker.json` beside them says what they are.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableData
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing
from compress.images import read_images, write_png
from eval.config import PerturbConfig
from eval.flicker.copies import COPIES, MARGIN_PX, STILL, make_copies
from eval.similarity.pairs import list_by_stem

SCHEMA = 1
"""Version of `COPIES`: to be raised when they are made in another way."""
DESCRIPTION = "flicker.json"


def perturb_folder(photos: Path, config: PerturbConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write perturbed copies of a folder's photos; one photo is in memory at a time.

    Args:
        photos: A folder of photos; broken ones are named and skipped, up to 1 %.
        config: The image size, how many photos, and the seed.
        out: The folder to write.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready: numbers of photos and of images that were written.

    Raises:
        UsageError: If `out` exists or holds the photos.
        UnusableData: If a folder cannot be used, or two photos are of one stem.
    """
    require_apart([out], [photos])
    refuse_existing(out, overwrite=overwrite)
    paths = list(list_by_stem(photos).values())
    random = np.random.RandomState(config.seed)
    if len(paths) > config.images:
        paths = [paths[place] for place in sorted(random.choice(len(paths), config.images, replace=False))]
    written = []
    with atomic_dir(out, overwrite=overwrite) as scratch:
        for path, photo in read_images(paths, config.image_size_px + 2 * MARGIN_PX):
            for name, image in make_copies(photo, random):
                write_png(scratch / f"{path.stem}.{name}.png", image)
            written.append(path.stem)
        description = {"schema": SCHEMA, **asdict(config), "photos": written}
        (scratch / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return {"out": str(out), "photos": len(written), "images": len(written) * (1 + len(COPIES))}


def read_copies(folder: Path) -> dict[str, dict[str, str]]:
    """Read what the images of a folder are that `perturb_folder` wrote.

    Returns:
        Stems of files, by photo, then by the copy's name; that of the untouched one is `STILL`.

    Raises:
        UnusableData: If it is no such folder.
    """
    names = (STILL, *(copy.name for copy in COPIES))
    return {photo: {name: f"{photo}.{name}" for name in names} for photo in _read_description(folder)["photos"]}


def _read_description(folder: Path) -> Mapping[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise UnusableData(
            f"{folder} has no {DESCRIPTION}; expected a folder that `compress eval perturb` wrote. "
            "If it holds a video's frames in order, pass --frames."
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["schema"] != SCHEMA or not all(isinstance(photo, str) for photo in description["photos"]):
            raise ValueError(f"schema {description['schema']!r}, expected {SCHEMA}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UnusableData(f"{path} cannot be used ({error}); run `compress eval perturb` anew.") from error
    return description
