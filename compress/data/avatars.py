"""`compress data avatars`: a CycleGAN data set of drawn men and women, with the paired image of every test image.

Every trait of an avatar is chosen by a hash of the seed, the avatar and the trait's name. So image N does not depend on
how many are drawn, nor on any library's random numbers, and an avatar's counterpart is the same person asked for the
other domain's hair and beard: skin, face, glasses, clothes and background stay.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compress.config import require_at_least, to_mapping
from compress.console.progress import progress
from compress.data.config import NOTE_NAME, AvatarsConfig, SingleDomain
from compress.errors import UsageError
from compress.files.atomic import atomic_dir
from compress.images import write_png

SMALLEST_PX, LARGEST_PX = 16, 4096

_HAIR = (
    # A man's cut and the long hair of its kind. One to one, so that a translation and its way back can both be right.
    # Hats, hijab and turban are left out: they hide what tells the domains apart.
    ("shortFlat", "straight01"),
    ("shortRound", "bob"),
    ("shortWaved", "bigHair"),
    ("shortCurly", "curly"),
    ("theCaesar", "miaWallace"),
    ("theCaesarAndSidePart", "straightAndStrand"),
    ("dreads01", "dreads"),
    ("dreads02", "fro"),
    ("frizzle", "curvy"),
    ("sides", "straight02"),
)
_BEARDS = ("", "", "beardLight", "beardMedium", "beardMajestic", "moustacheFancy", "moustacheMagnum")
"""Beards of men; five of seven wear one."""
_GLASSES = ("", "", "", "", "prescription01", "prescription02", "round")

_TRAITS = {
    "eyesVariant": ("default", "happy", "side", "squint", "surprised", "wink"),
    "eyebrowsVariant": ("defaultNatural", "flatNatural", "raisedExcitedNatural", "upDownNatural", "default"),
    "mouthVariant": ("default", "disbelief", "sad", "serious", "smile", "twinkle"),
    "clothesVariant": (
        "blazerAndShirt",
        "blazerAndSweater",
        "collarAndSweater",
        "hoodie",
        "overall",
        "shirtCrewNeck",
        "shirtScoopNeck",
        "shirtVNeck",
    ),
    "clothesColor": ("#25557c", "#262e33", "#3c4f5c", "#5199e4", "#929598", "#a7ffc4", "#e6e6e6", "#ff488e", "#ff5c5c"),
    "skinColor": ("#614335", "#ae5d29", "#d08b5b", "#edb98a", "#ffdbb4"),
    "backgroundColor": ("#b6e3f4", "#c0aede", "#d1d4f9", "#ffd5dc", "#ffdfbf", "#d5efc8", "#f6f1d1", "#8fa9bf"),
}
# DiceBear's natural ones without #a55728, which cannot be told from the skin tone #ae5d29.
_HAIR_COLORS = ("#2c1b18", "#4a312c", "#724133", "#b58143", "#c93305", "#d6b370", "#e8e1e1")


@dataclass(frozen=True)
class _Picture:
    """One image of the data set: its folder, its number, the person and the domain that it is drawn in."""

    folder: str
    index: int
    person: str
    domain: SingleDomain

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.index:05d}.png"


def draw_avatars(config: AvatarsConfig, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Draw a data set: men in `trainA` and `testA`, women in `trainB` and `testB`, all RGB PNG.

    `testA_paired` and `testB_paired` hold, under the same names, each test avatar as the other domain draws it; so do
    `trainA_paired` and `trainB_paired` where they are asked for. The beard of a woman's counterpart is one of the many
    that he could have. `NOTE.json` says where the drawings come from.

    Args:
        config: Numbers, size and seed.
        out: The folder to make.
        overwrite: Whether an existing `out` is replaced.

    Returns:
        `out`, the number of images in each folder, and `content_sha256` over all names and pixels.

    Raises:
        UsageError: If `out` exists and `overwrite` is false, or a number of `config` is out of range.
    """
    _check_config(config)
    pictures = list(_pictures(config))
    counts: dict[str, int] = {}
    digest = hashlib.sha256()
    with atomic_dir(out, overwrite=overwrite) as scratch:
        for picture in progress(pictures, name="avatars", unit="image"):
            image = draw_avatar(picture.person, picture.domain, config.image_size_px)
            path = scratch / picture.name
            path.parent.mkdir(exist_ok=True)
            write_png(path, image)
            digest.update(picture.name.encode() + b"\0" + image.tobytes())
            counts[picture.folder] = counts.get(picture.folder, 0) + 1
        result = {"images": counts, "content_sha256": digest.hexdigest()}
        (scratch / NOTE_NAME).write_text(
            json.dumps(_note(config) | result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return {"out": str(out), **result}


def draw_avatar(person: str, domain: SingleDomain, image_size_px: int) -> np.ndarray:
    """Draw one person as a man (A) or as a woman (B).

    Args:
        person: Any text; the same text is the same person in both domains.
        domain: A for short hair and perhaps a beard, B for long hair.
        image_size_px: Height and width.

    Returns:
        `(image_size_px, image_size_px, 3)` uint8.
    """
    import resvg_py
    from dicebear import Avatar

    svg = Avatar(_style(), _options(person, domain)).to_string()
    # No text is drawn, and looking through the system's fonts would cost more than the drawing.
    png = resvg_py.svg_to_bytes(svg_string=svg, width=image_size_px, height=image_size_px, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _options(person: str, domain: SingleDomain) -> dict[str, Any]:
    """Return the DiceBear options of a person; each list has one entry, so DiceBear itself chooses nothing."""
    hair_color = _choose(person, "hairColor", _HAIR_COLORS)
    beard = _choose(person, "beard", _BEARDS) if domain == "A" else ""
    glasses = _choose(person, "glasses", _GLASSES)
    return {
        "seed": person,
        "topVariant": [_choose(person, "hair", _HAIR)["AB".index(domain)]],
        "hairColor": [hair_color],
        "facialHairVariant": [beard] if beard else [],
        "facialHairColor": [hair_color],
        "facialHairProbability": 100 if beard else 0,
        "accessoriesVariant": [glasses] if glasses else [],
        "accessoriesColor": ["#262e33"],
        "accessoriesProbability": 100 if glasses else 0,
        **{trait: [_choose(person, trait, values)] for trait, values in _TRAITS.items()},
    }


def _choose(person: str, trait: str, values: Sequence[Any]) -> Any:
    digest = hashlib.sha256(f"{person}/{trait}".encode()).digest()
    return values[int.from_bytes(digest[:8], "big") % len(values)]


def _pictures(config: AvatarsConfig) -> Iterator[_Picture]:
    counterpart: dict[SingleDomain, SingleDomain] = {"A": "B", "B": "A"}
    for domain, other in counterpart.items():
        for split, count in (("train", config.train_per_domain), ("test", config.test_per_domain)):
            for index in range(count):
                folder = f"{split}{domain}"
                person = f"{config.seed}/{folder}/{index}"
                yield _Picture(folder, index, person, domain)
                if split == "test" or config.train_paired:
                    yield _Picture(f"{folder}_paired", index, person, other)


@cache
def _style() -> Any:
    from dicebear import Style

    return Style(_definition())


@cache
def _definition() -> dict[str, Any]:
    source = resources.files("dicebear_styles").joinpath("avataaars.json")
    return json.loads(source.read_text(encoding="utf-8"))


def _note(config: AvatarsConfig) -> dict[str, Any]:
    return {
        "what": "cartoon avatars; A = men, B = women; *_paired = the same person as the other domain draws them",
        "license": _definition()["meta"]["license"]["text"],
        "artist": _definition()["meta"]["creator"]["name"],
        "drawn_by": {
            package: metadata.version(package) for package in ("dicebear-core", "dicebear-styles", "resvg-py")
        },
        "config": to_mapping(config),
    }


def _check_config(config: AvatarsConfig) -> None:
    require_at_least(config, train_per_domain=1, test_per_domain=1)
    if not SMALLEST_PX <= config.image_size_px <= LARGEST_PX:
        raise UsageError(f"image_size_px = {config.image_size_px}, expected {SMALLEST_PX} to {LARGEST_PX}.")
