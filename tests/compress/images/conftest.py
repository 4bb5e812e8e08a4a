"""Colour profiles, made here: a matrix with a power curve for colours, a power curve for grey, a table for inks."""

import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest

P3_TO_XYZ = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""Display P3's red, green and blue, as columns, adapted to D50."""
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Those of sRGB."""
GAMMA = 2.2


def s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", between: bytes = b"XYZ ") -> bytes:
    """Put an ICC profile of version 2 together."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79), **tags}
    tags = {b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1.0, 0.8249), **tags}
    place, table, content = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", place + len(content), len(value))
        content += value
    body = struct.pack(">I", len(tags)) + table + content
    head = struct.pack(">I", 128 + len(body)) + bytes(4) + b"\2\x10\0\0" + kind + space + between + bytes(12) + b"acsp"
    return head + bytes(28) + s15(0.9642, 1.0, 0.8249) + bytes(48) + body


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def matrix_profile(to_xyz: np.ndarray = P3_TO_XYZ) -> bytes:
    """The profile of a screen whose colours are given by a matrix."""
    columns = {name + b"XYZ": b"XYZ \0\0\0\0" + s15(*to_xyz[:, place]) for place, name in enumerate((b"r", b"g", b"b"))}
    return profile(b"RGB ", columns | {name + b"TRC": curve(GAMMA) for name in (b"r", b"g", b"b")})


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to levels of sRGB, `uint8`."""
    light = np.clip(linear, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


@pytest.fixture(scope="session")
def p3_profile() -> bytes:
    return matrix_profile()


@pytest.fixture(scope="session")
def linear_grey_profile() -> bytes:
    """Of greyscale pictures whose levels are light itself."""
    return profile(b"GRAY", {b"kTRC": curve(1.0)})


@pytest.fixture(scope="session")
def ink_profile() -> bytes:
    """Of a printer whose inks are all of one grey: the colour hangs on the black ink alone."""
    corners = [bytes([0 if key else 255, 128, 128]) for _ in range(8) for key in (0, 1)]
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + identity * 4
    table += b"".join(corners) + identity * 3
    return profile(b"CMYK", {b"A2B0": table}, kind=b"prtr", between=b"Lab ")


@pytest.fixture(scope="session")
def p3_to_srgb() -> Callable[[np.ndarray], np.ndarray]:
    """Convert `(height, width, 3)` uint8 levels of `p3_profile` to sRGB, in closed form."""
    across = np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ
    return lambda levels: encode_srgb((levels / 255.0) ** GAMMA @ across.T)


def head_of_heic(brands: Sequence[bytes] = (b"heic", b"mif1")) -> bytes:
    """What a phone's photo begins with."""
    content = b"ftyp" + brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", 4 + len(content)) + content + bytes(40)


@pytest.fixture(scope="session")
def heic() -> bytes:
    return head_of_heic()
