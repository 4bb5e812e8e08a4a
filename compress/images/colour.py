"""Colour profiles: the colours of a picture that carries an ICC profile, in sRGB, as a screen would show them.

A generator is trained and judged on plain numbers, which mean sRGB. A phone's Display P3 photo and a camera's Adobe RGB
one hold other numbers for the same colours: read as sRGB, vivid ones are 22 dB off.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

LARGEST_PROFILE_BYTES = 4_000_000
"""Largest profile that is used; those of printers, the largest there are, take some 2 MB."""

_SMALL_PROFILE_BYTES = 64_000
_SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
_LEVELS = np.arange(0, 256, 15, dtype=np.uint8)
_ROUNDING = 1
"""Levels of 255 within which a profile's colours are sRGB's. Of 41 profiles in horse2zebra's photos, 7 stay within 1,
all of them sRGB; the next differs by 9, and one of those named sRGB by 90."""


class UnusableProfile(ValueError):
    """Raised for a profile that is broken, or of another kind of picture."""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture to sRGB, by perceptual intent; in place where it has colours and no ink.

    Args:
        image: Decoded, in a mode that `plain_mode` returns.
        profile: The ICC profile that its numbers are meant in.

    Returns:
        RGB or RGBA; a picture that is sRGB already untouched, in its own mode.

    Raises:
        UnusableProfile: If the profile cannot be used; the picture is untouched.
    """
    mode = _converted_mode(image.mode, profile)
    transform = _find_transform(profile, mode)
    if transform is None:
        return image
    if mode == image.mode:
        return transform.apply_in_place(image) if mode in ("RGB", "RGBA") else transform.apply(image)
    if mode == "RGB":
        return transform.apply_in_place(image.convert("RGB"))
    grey = transform.apply(image.getchannel("R"))
    grey.putalpha(image.getchannel("A"))
    return grey


def changes_pixels(image: Image.Image) -> bool:
    """Return whether `to_srgb` would change an opened picture; one that is not decoded yet will do."""
    profile = image.info.get("icc_profile")
    try:
        return bool(profile) and _find_transform(profile, _converted_mode(plain_mode(image), profile)) is not None
    except UnusableProfile:
        return False


def plain_mode(image: Image.Image) -> str:
    """Return the mode of 8 bits a channel that a picture's colours are converted from."""
    if image.has_transparency_data:
        return "RGBA"
    if image.mode == "CMYK":
        return "CMYK"
    return "L" if image.mode in ("1", "L", "I") or image.mode.startswith("I;16") else "RGB"


def _converted_mode(mode: str, profile: bytes) -> str:
    """Return the mode that a profile converts, of a picture in another: greyscale ones often keep that of colours."""
    if _space_of(profile) == "GRAY" and mode == "RGBA":
        return "L"
    return "RGB" if _space_of(profile) == "RGB" and mode == "L" else mode


def _space_of(profile: bytes) -> str:
    # Bytes 16 to 20 of its header, 128 bytes in all.
    if not 128 <= len(profile) <= LARGEST_PROFILE_BYTES:
        raise UnusableProfile(f"it is of {len(profile)} bytes, expected 128 to {LARGEST_PROFILE_BYTES}")
    return profile[16:20].decode("ascii", "replace").strip()


def _find_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB, from those last used; None where it is sRGB itself."""
    return (_small_transform if len(profile) <= _SMALL_PROFILE_BYTES else _large_transform)(profile, mode)


def _build_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    space = _space_of(profile)
    if _SPACES.get(mode) != space:
        raise UnusableProfile(f"it is a profile of {space or 'no'} colours, and the picture is {mode}")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        goal = ImageCms.createProfile("sRGB")
        # The shortcut for one channel is 10 levels off in the shadows of a steep curve.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, goal, mode, "RGBA" if mode == "RGBA" else "RGB", flags=flags)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise UnusableProfile(str(error)) from error
    return None if _keeps_colours(transform, mode) else transform


_small_transform = lru_cache(maxsize=64)(_build_transform)
_large_transform = lru_cache(maxsize=2)(_build_transform)


def _keeps_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == "CMYK":
        return False
    channels = list(np.meshgrid(*[_LEVELS] * (1 if mode == "L" else 3), indexing="ij"))
    if mode == "RGBA":
        channels.append(np.full_like(channels[0], 255))
    colours = np.stack([channel.reshape(1, -1) for channel in channels], axis=-1)
    image = Image.fromarray(colours[..., 0] if mode == "L" else colours)
    converted = np.asarray(transform.apply(image)).astype(np.int32)
    return bool(np.abs(converted - colours).max() <= _ROUNDING)
