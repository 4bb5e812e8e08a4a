"""Memory of a picture: never more than is computed from its header, and refused by name before it is asked for."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress import images
from compress.errors import UnusableData
from compress.images import decoding, memory

SIDE = 2000
"""Side of the pictures that are measured, pixels: a plane in RGB takes 16 MB, far more than a decoder's tables."""
_MEASURE = """
import json, os, re, sys
from pathlib import Path
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, ImageCms, Jpeg2KImagePlugin, PpmImagePlugin
from PIL import TiffImagePlugin, WebPImagePlugin
from compress import images
from compress.images import decoding
from compress.errors import UnusableData

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6

def computed(path, size):
    # What it is refused for last: it is asked again where the picture is turned.
    limit, found = decoding.LARGEST_DECODED_BYTES, 0
    while True:
        decoding.LARGEST_DECODED_BYTES = (found + 1) * 1e6
        try:
            images.read_image(path, size)
        except UnusableData as error:
            found = int(re.search(r"would take (\\d+) MB", str(error))[1])
        else:
            decoding.LARGEST_DECODED_BYTES = limit
            return found

def grown(path, size):
    before = peak()
    images.read_image(path, size)
    return peak() - before

def in_a_child(path, size):
    reader, writer = os.pipe()
    if os.fork() == 0:
        taken = grown(path, size)
        os.write(writer, json.dumps([computed(path, size), taken]).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 99))

paths = [Path(name) for name in sys.argv[1:]]
print(json.dumps({f"{path.name} {size}": in_a_child(path, size) for path in paths for size in (64, None)}))
"""


def picture(mode: str, width: int = SIDE, height: int = SIDE) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.full((height, width), 3000, np.uint16))
    image = Image.new(mode, (width, height), 1 if mode in ("1", "L", "P") else tuple(range(1, len(mode) + 1)))
    if mode == "P":
        image.putpalette([1, 2, 3, 4, 5, 6])
    return image


def interlaced(path: Path) -> None:
    """Write an interlaced RGB PNG, which Pillow does not write."""
    rows = b""
    # The seven passes of Adam7: where each begins, and its steps; both across and down.
    for x, y, across, down in np.array(list("0088408804482044022410220112"), int).reshape(7, 4).tolist():
        rows += (b"\0" + b"\x20" * (3 * -(-(SIDE - x) // across))) * -(-(SIDE - y) // down)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 1)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")
    )


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURES: dict[str, Callable[[Path], object]] = {
    "baseline.jpg": lambda path: picture("RGB").save(path),
    "progressive.jpg": lambda path: picture("RGB").save(path, progressive=True),
    "full_colour.jpg": lambda path: picture("RGB").save(path, progressive=True, subsampling=0),
    "turned.jpg": lambda path: picture("RGB").save(path, exif=_turned()),
    "print.jpg": lambda path: picture("CMYK").save(path),
    "rgb.png": lambda path: picture("RGB").save(path),
    "interlaced.png": interlaced,
    "grey.png": lambda path: picture("L").save(path),
    "deep.png": lambda path: picture("I;16").save(path),
    "palette.png": lambda path: picture("P").save(path, transparency=1),
    "transparent.png": lambda path: picture("RGBA").save(path),
    "tall.png": lambda path: picture("RGB", 1, 1_500_000).save(path),
    "wide.png": lambda path: picture("RGB", 3_000_000, 1).save(path),
    "lossy.webp": lambda path: picture("RGB").save(path, method=0),
    "lossless.webp": lambda path: picture("RGBA").save(path, lossless=True, method=0),
    "palette.gif": lambda path: picture("P").save(path),
    "rgb.bmp": lambda path: picture("RGB").save(path),
    "strips.tif": lambda path: picture("RGB").save(path, compression="tiff_lzw"),
    "one_strip.tif": lambda path: picture("RGBA").save(path, compression="tiff_lzw", strip_size=2**30),
    "deep.tif": lambda path: picture("I;16").save(path, compression="tiff_lzw"),
    "turned.tif": lambda path: picture("RGB").save(path, exif=_turned()),
    "colours.avif": lambda path: picture("RGB").save(path, speed=10, subsampling="4:4:4"),
    "deep.pgm": lambda path: picture("I;16").convert("I").save(path),
    "rgb.jp2": lambda path: picture("RGB").save(path),
    "profile.png": lambda path: picture("RGB").save(path),
    "profile_transparent.png": lambda path: picture("RGBA").save(path),
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, p3_profile: bytes) -> dict[str, tuple[float, float]]:
    """What each picture was computed to take, and took, MB: fitted to 64 pixels, and whole."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, write in PICTURES.items():
        write(folder / name)
        if name.startswith("profile"):
            Image.open(folder / name).save(folder / name, icc_profile=p3_profile)
    line = [sys.executable, "-P", "-c", _MEASURE, *(str(folder / name) for name in PICTURES)]
    return json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("size", [64, None], ids=["fitted", "whole"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_takes_no_more_memory_than_was_computed(
    name: str, size: int | None, measured: dict[str, tuple[float, float]]
) -> None:
    computed, grown = measured[f"{name} {size}"]
    assert grown <= computed
    # Far above what is taken, ordinary photos would be refused. A decoder's tables are counted generously.
    assert computed <= 2 * grown + 25


def with_size(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header tells another size than it has."""
    place = re.search(rb"\xff[\xc0\xc2]..\x08", content, re.DOTALL)
    assert place is not None
    return content[: place.end()] + struct.pack(">HH", height, width) + content[place.end() + 4 :]


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 60, 30)).save(stream, "JPEG", **options)
    return stream.getvalue()


def test_a_giant_progressive_jpeg_is_refused_by_name_size_and_limit(tmp_path: Path) -> None:
    (tmp_path / "giant.jpg").write_bytes(with_size(jpeg(progressive=True), 65000, 8000))
    expected = r"giant\.jpg is too large: 65000x8000 pixels as progressive JPEG would take \d+ MB; at most 350 MB"
    with pytest.raises(UnusableData, match=expected):
        images.read_image(tmp_path / "giant.jpg", 64)


def test_a_baseline_jpeg_with_a_scan_for_each_channel_is_refused_as_a_progressive_one(tmp_path: Path) -> None:
    several = jpeg().replace(b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0?\0", b"\xff\xda\0\x08\x01\x01\0\0?\0")
    assert several != jpeg()
    (tmp_path / "giant.jpg").write_bytes(with_size(several, 65000, 8000))
    with pytest.raises(UnusableData, match=r"giant\.jpg is too large: 65000x8000 pixels as JPEG"):
        images.read_image(tmp_path / "giant.jpg", 64)


@pytest.mark.parametrize("sides", [(1, 60_000_000), (60_000_000, 1)])
def test_a_giant_one_pixel_across_is_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    header = struct.pack(">IIBBBBB", *sides, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND")
    (tmp_path / "line.png").write_bytes(content)
    with pytest.raises(UnusableData, match=rf"line\.png is too large: {sides[0]}x{sides[1]} pixels as PNG"):
        images.read_image(tmp_path / "line.png", 64)


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_metadata_that_would_fill_the_memory_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LARGEST_HEADER_BYTES", 100_000)
    path = tmp_path / f"photo.{kind}"
    Image.new("RGB", (8, 8)).save(path)
    content = path.read_bytes()
    if kind == "jpg":
        content = content[:2] + (b"\xff\xfe\xff\xff" + bytes(0xFFFD)) * 2 + content[2:]
    else:
        content = content[:33] + chunk(b"eXIf", bytes(120_000)) + content[33:]
    path.write_bytes(content)
    with pytest.raises(UnusableData, match=rf"photo\.{kind} is too large: it holds more than .* of metadata"):
        images.read_image(path)


def test_metadata_behind_the_pixels_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-12] + chunk(b"eXIf", bytes(2_000_000)) + content[-12:])
    monkeypatch.setattr(decoding, "LARGEST_DECODED_BYTES", 12_000_000)
    with pytest.raises(UnusableData, match=r"photo\.png is too large: 8x8 pixels as PNG would take 14 MB"):
        images.read_image(path)
    path.write_bytes(content)
    assert images.read_image(path).shape == (8, 8, 3)


def test_a_tiff_may_be_described_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGEST_HEADER_BYTES", 8_000)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.tif", compression="tiff_lzw")
    content = (tmp_path / "photo.tif").read_bytes()
    assert int.from_bytes(content[4:8], "little") > 8_000
    np.testing.assert_array_equal(images.read_image(tmp_path / "photo.tif"), pixels)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "photo.webp").open("wb") as stream:
        stream.truncate(memory.LARGEST_FILE_BYTES + 1)
    with pytest.raises(UnusableData, match=r"photo\.webp is too large: 128 MB, and image files of at most 128 MB"):
        images.read_image(tmp_path / "photo.webp")


def test_too_little_memory_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Image.Image) -> None:
        raise MemoryError

    images.write_png(tmp_path / "photo.png", np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(decoding, "_to_plain", refuse)
    with pytest.raises(UnusableData, match=r"photo\.png is too large \(there is not that much memory\)"):
        images.read_image(tmp_path / "photo.png")


@pytest.mark.timeout(20)
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.png")
    with pytest.raises(UnusableData, match=r"photo\.png is no file; expected a picture of JPEG, PNG, WebP"):
        images.read_image(tmp_path / "photo.png")


@pytest.mark.parametrize(("width", "height"), [(2049, 3), (5, 4097)])
def test_a_whole_image_is_joined_of_its_tiles(width: int, height: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    images.write_png(tmp_path / "large.png", pixels)
    np.testing.assert_array_equal(images.read_image(tmp_path / "large.png"), pixels)
