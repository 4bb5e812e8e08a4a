"""Bounds on what a packed file may unpack to, and the check that every member of a zip is whole."""

import zipfile
from collections.abc import Mapping

from compress.errors import UnusableModel
from compress.printable import printable_name

DECLARED_BYTES_LIMIT = 2 << 30
"""Largest size of all weights, unpacked. The largest CycleGAN generators take 0.2 GB, with their optimizer 0.6 GB."""
SMALL_BYTES = 16 << 20
"""Size that a file of any size may unpack to."""
UNPACKED_RATIO_LIMIT = 20
"""Largest ratio of unpacked to packed size above that; gzip saves 10 % of trained weights."""


def most_unpacked_bytes(packed_bytes: int) -> int:
    """Return the bytes that a file of a size may unpack to."""
    return min(DECLARED_BYTES_LIMIT, max(SMALL_BYTES, UNPACKED_RATIO_LIMIT * packed_bytes))


def require_whole(archive: zipfile.ZipFile, limits: Mapping[str, int] | None = None) -> None:
    """Refuse a zip with a member that fails its CRC, comes twice, or declares too many bytes.

    Args:
        archive: The opened zip.
        limits: Most bytes of a member, by its name; all together may hold `most_unpacked_bytes`.

    Raises:
        UnusableModel: With the member's name.
        zipfile.BadZipFile: If a member's header is damaged.
    """
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise UnusableModel("the file has two members of one name; the file is damaged.")
    total = most_unpacked_bytes(sum(member.compress_size for member in members))
    for name, limit in {**(limits or {}), "": total}.items():
        declared = sum(member.file_size for member in members if name in ("", member.filename))
        if declared > limit:
            raise UnusableModel(f"the file declares {declared / 1e9:.1f} GB of {name or 'content'}; it is damaged.")
    if (torn := archive.testzip()) is not None:
        raise UnusableModel(f"{printable_name(torn)} in the file fails its CRC check; the file is damaged.")
