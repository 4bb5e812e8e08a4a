"""`compress data celeba`: CelebA's images as a CycleGAN data set, with domains and population chosen by attribute.

A narrower population trains faster: deep-makeover (2017, github.com/david-gpu/deep-makeover, "A smaller dataset can be
better") kept attractive faces without glasses only, which is `--keep Attractive --drop Eyeglasses`.

Training and test images are split by a hash of the seed and the name: the test images of a domain are those with the
smallest hashes. So an image's place in the order depends on nothing else, and where fewer images are asked for or found
(a tighter filter, a smaller download), a test image that is still there stays one; training images move up into the
places of those that went. In short: with one seed and one `test_per_domain`, nothing that a narrow domain trains on is
among the test images of a wider one. The other way round does not hold.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from compress import images
from compress.config import require_at_least, to_mapping
from compress.console.progress import progress
from compress.data.avatars import LARGEST_PX, SMALLEST_PX
from compress.data.celeba_attributes import AttributeList, read_attributes
from compress.data.config import NOTE_NAME, CelebaConfig, SingleDomain
from compress.errors import UnusableData, UsageError
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing

LICENSE = (
    "CelebA: non-commercial research only; the images are not to be passed on. "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _DomainFiles:
    """Image files of one domain, and how many images the list has for it."""

    domain: SingleDomain
    matched: int
    paths: tuple[Path, ...]


def prepare_celeba(
    source: Path, attributes: Path, config: CelebaConfig, out: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write CelebA's images into `trainA trainB testA testB`, and where they come from into `NOTE.json`.

    With a size they are cut, resized and written as PNG, broken ones skipped as `read_images` does, folder by folder.
    Without one they are copied byte for byte and not looked into. The stem of a name stays either way. Images that the
    list names and `source` lacks are left out, since partial downloads are common; files that it does not name, too.

    Args:
        source: The folder of images. `000001.png` stands for a listed `000001.jpg`, as in CelebA's PNG edition.
        attributes: The attribute list, see `read_attributes`.
        config: Domains, population, split, size.
        out: The folder to make.
        overwrite: Whether an existing `out` is replaced.

    Returns:
        `out`; `images`, how many each folder got; `matched` and `found`, how many images of each domain the list has
        and how many of them `source` holds.

    Raises:
        UsageError: If `out` exists and `overwrite` is false, or holds what is read; if a number of `config` is out of
            range, an attribute is unknown, or an image would be in both domains.
        UnusableData: If the list or the folder cannot be used, a domain has too few images for a test and a training
            image, or too many are broken.
    """
    _check_config(config)
    require_apart([out], (source, attributes))
    refuse_existing(out, overwrite=overwrite)
    domains = _find(_select(read_attributes(attributes), config), source)
    folders = _split(domains, config)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        counts = _write(folders, scratch, _size(config))
        result = {
            "images": counts,
            "matched": {files.domain: files.matched for files in domains},
            "found": {files.domain: len(files.paths) for files in domains},
        }
        (scratch / NOTE_NAME).write_text(json.dumps(_note(config) | result, indent=2) + "\n", encoding="utf-8")
    return {"out": str(out), **result}


def _select(attributes: AttributeList, config: CelebaConfig) -> dict[SingleDomain, list[str]]:
    """Return the names that the list has for each domain, whether they are on disk or not."""
    kept = attributes.where("--keep", config.keep).all(axis=0)
    kept &= ~attributes.where("--drop", config.drop).any(axis=0)
    in_a = kept & attributes.where("--a", config.a).all(axis=0)
    in_b = kept & attributes.where("--b", config.b).all(axis=0)
    both = np.flatnonzero(in_a & in_b)
    if both.size:
        raise UsageError(
            f"--a {' --a '.join(config.a)} and --b {' --b '.join(config.b)} both hold for {both.size} images, such as "
            f"{attributes.images[both[0]]}; expected none in both domains. Make them opposites: --a Male --b '!Male'."
        )
    names = np.array(attributes.images)
    return {"A": names[in_a].tolist(), "B": names[in_b].tolist()}


def _find(selected: Mapping[SingleDomain, Sequence[str]], source: Path) -> tuple[_DomainFiles, ...]:
    """Find the files of the names; missing ones are counted in one warning."""
    paths = images.list_images(source)
    by_name = {path.name: path for path in paths}
    by_stem = {path.stem: path for path in paths}
    domains = []
    for domain, names in selected.items():
        looked_up = (by_name.get(name) or by_stem.get(PurePath(name).stem) for name in names)
        domains.append(_DomainFiles(domain, len(names), tuple(path for path in looked_up if path)))
        if not domains[-1].paths:
            raise UnusableData(
                f"Domain {domain} has no image: {len(names)} match in the list, 0 of them are in {source}. "
                + ("Expected the list's own file names there." if names else "Loosen the filter.")
            )
    matched, found = sum(files.matched for files in domains), sum(len(files.paths) for files in domains)
    if found < matched:
        _log.warning("skipped: %d of the %d images that match are not in %s", matched - found, matched, source)
    return tuple(domains)


def _split(domains: Sequence[_DomainFiles], config: CelebaConfig) -> dict[str, list[Path]]:
    """Split each domain's files into training and test folders.

    A limited number of training images takes the largest hashes, so that it stays the same for any `test_per_domain`
    that leaves enough.
    """
    train, test = {}, {}
    for files in domains:
        if len(files.paths) <= config.test_per_domain:
            raise UnusableData(
                f"Domain {files.domain} has {len(files.paths)} images ({files.matched} match in the list); expected "
                f"more than test_per_domain = {config.test_per_domain}, so that some are left to train on. "
                "Pass a smaller --test-per-domain, or loosen the filter."
            )
        ordered = sorted(files.paths, key=lambda path: _rank(config.seed, path.stem))
        rest = ordered[config.test_per_domain :]
        train[f"train{files.domain}"] = sorted(rest[-config.train_per_domain :] if config.train_per_domain else rest)
        test[f"test{files.domain}"] = sorted(ordered[: config.test_per_domain])
    return train | test


def _rank(seed: int, stem: str) -> bytes:
    return hashlib.sha256(f"{seed}/{stem}".encode()).digest()


def _write(folders: Mapping[str, Sequence[Path]], scratch: Path, size: images.Size | None) -> dict[str, int]:
    counts = dict.fromkeys(folders, 0)
    total = sum(len(paths) for paths in folders.values())
    with progress(total=total, name="celeba", unit="image") as bar:
        for folder, paths in folders.items():
            (scratch / folder).mkdir()
            if size is None:
                for path in paths:
                    # Not copy2: permissions and times of the download are not the data set's.
                    shutil.copyfile(path, scratch / folder / path.name)
                    counts[folder] += 1
                    bar.update()
            else:
                images.require_distinct_stems(paths)
                for path, image in images.read_images(paths, size):
                    images.write_png(scratch / folder / f"{path.stem}.png", image)
                    counts[folder] += 1
                    bar.update()
    return counts


def _note(config: CelebaConfig) -> dict[str, Any]:
    return {
        "what": "CelebA's images by attribute; A = all of `a`, B = all of `b`; all of `keep`, none of `drop`",
        "license": LICENSE,
        "config": to_mapping(config),
    }


def _size(config: CelebaConfig) -> tuple[int, int] | None:
    if config.image_height_px is None or config.image_width_px is None:
        return None
    return config.image_height_px, config.image_width_px


def _check_config(config: CelebaConfig) -> None:
    for name in ("a", "b"):
        if not getattr(config, name):
            raise UsageError(f"{name} = (), expected at least one attribute.")
    require_at_least(config, train_per_domain=1, test_per_domain=1)
    height, width = config.image_height_px, config.image_width_px
    if (height is None) != (width is None):
        raise UsageError(
            f"image_height_px = {height}, image_width_px = {width}: expected both, or neither to copy the files as "
            "they are. Pass --image-height-px and --image-width-px."
        )
    for name in ("image_height_px", "image_width_px"):
        if getattr(config, name) is not None and not SMALLEST_PX <= getattr(config, name) <= LARGEST_PX:
            raise UsageError(f"{name} = {getattr(config, name)}, expected {SMALLEST_PX} to {LARGEST_PX}.")
