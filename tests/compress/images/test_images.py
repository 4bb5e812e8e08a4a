"""Photos as they come: every mode and orientation, huge and broken ones."""

import io
import logging
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData
from compress.images import (
    contact_sheet,
    list_images,
    psnr_db,
    read_image,
    read_image_size,
    read_images,
    read_layers,
    to_float,
    to_uint8,
    write_png,
)
from compress.images.decoding import open_image
from compress.images.sheet import LABEL_PX

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
JPEG_ERROR = 6
"""Quality 95 without chroma subsampling keeps flat areas this close."""


def quadrants(height: int, width: int) -> np.ndarray:
    """Red and green above, blue and white below: every flip and turn of it is another image."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, WHITE
    return image


def corners(image: np.ndarray) -> list[tuple[int, ...]]:
    """The four quadrants' middle pixels, as pure colours: top left, top right, bottom left, bottom right."""
    height, width, _ = image.shape
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return [tuple((image[row, column] > 127) * 255) for row in rows for column in columns]


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds almost nothing: what a decompression bomb starts with."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "suffix", [".jpg", ".JPEG", ".jfif", ".png", ".webp", ".bmp", ".tif", ".TIFF", ".ppm", ".jp2", ".gif"]
)
def test_every_format_reads_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(quadrants(32, 48)).save(path, quality=95, subsampling=0, lossless=True)
    assert np.abs(read_image(path).astype(int) - quadrants(32, 48)).max() <= JPEG_ERROR


def test_greyscale_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=-1))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[0, 255], [0, 128], [0, 0]]], np.uint8), mode="LA").save(tmp_path / "la.png")
    assert read_image(tmp_path / "la.png")[0, :, 0].tolist() == [0, 127, 255]
    Image.fromarray(np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)).save(
        tmp_path / "rgba.webp", lossless=True
    )
    assert read_image(tmp_path / "rgba.webp").tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])], ids=["one entry", "alpha per entry"])
def test_transparent_palette_entry_is_white(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([*BLUE, *GREEN])
    image.save(tmp_path / "palette.png", transparency=transparency)
    assert read_image(tmp_path / "palette.png").tolist() == [[list(BLUE), list(WHITE)]]


def test_cmyk_jpeg_with_adobes_inverted_inks_keeps_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.fromarray(quadrants(32, 32)).convert("CMYK").save(path, quality=95, subsampling=0)
    assert b"Adobe" in path.read_bytes()
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]


def test_16_bit_png_is_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("kind", ["webp", "gif", "apng"])
def test_first_frame_of_an_animation_is_taken(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("moving.webp" if kind == "webp" else "moving.png")
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    frames[0].save(path, "PNG" if kind == "apng" else kind, save_all=True, append_images=frames[1:], lossless=True)
    assert (read_image(path) == RED).all()


def test_avif_reads_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "photo.avif"
    Image.fromarray(quadrants(32, 48)).save(path, quality=95, subsampling="4:4:4")
    assert np.abs(read_image(path).astype(int) - quadrants(32, 48)).max() <= JPEG_ERROR


@pytest.mark.parametrize("suffix", ["tif", "pgm", "jp2"])
def test_16_bit_greyscale_is_scaled_in_every_format(tmp_path: Path, suffix: str) -> None:
    levels = np.array([[0, 257 * 100, 65535]], np.uint16)
    image = Image.fromarray(levels)
    (image.convert("I") if suffix == "pgm" else image).save(tmp_path / f"deep.{suffix}")
    assert read_image(tmp_path / f"deep.{suffix}")[0, :, 0].tolist() == [0, 100, 255]


def test_whitest_16_bits_of_a_tiff_may_be_0(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(path, tiffinfo={262: 0})
    with Image.open(path) as written:
        assert written.tag_v2[262] == 0  # pyright: ignore[reportAttributeAccessIssue] (a TIFF has tags)
    assert read_image(path)[0, :, 0].tolist() == [255, 155, 0]


def test_12_bit_tiffs_are_not_taken_for_dark(tmp_path: Path) -> None:
    # Two pixels of 0 and 4095, in three bytes.
    entries = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 1), (279, 4, 3)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one[:2], 1, one[2]) for one in entries)
    content = b"II*\0" + struct.pack("<I", 12) + b"\x00\x0f\xff\0" + directory + bytes(4)
    (tmp_path / "deep.tif").write_bytes(content)
    assert read_image(tmp_path / "deep.tif")[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_of_an_unknown_range_are_refused(tmp_path: Path, kind: type) -> None:
    Image.fromarray(np.full((4, 4), 1, kind)).save(tmp_path / "depth.tif")
    with pytest.raises(UnusableData, match=r"depth\.tif is broken: its pixels are numbers of an unknown range"):
        read_image(tmp_path / "depth.tif")


def test_the_preview_of_a_camera_raw_file_is_not_taken_for_the_photo(tmp_path: Path) -> None:
    Image.fromarray(quadrants(8, 8)).save(tmp_path / "photo.tif", tiffinfo={254: 1})
    with pytest.raises(UnusableData, match=r"photo\.tif begins with a preview, as cameras' raw files do; develop"):
        read_image(tmp_path / "photo.tif")


def test_a_jpeg_named_png_is_told_by_its_content(tmp_path: Path) -> None:
    Image.fromarray(quadrants(16, 16)).save(tmp_path / "photo.png", "JPEG", quality=95, subsampling=0)
    assert corners(read_image(tmp_path / "photo.png")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_every_exif_orientation_is_brought_upright(
    tmp_path: Path, suffix: str, orientation: int, seen: list[tuple[int, ...]]
) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(quadrants(64, 128)).save(path, exif=exif)
    assert corners(read_image(path)) == seen
    assert read_image(path).shape == ((64, 128, 3) if orientation <= 4 else (128, 64, 3))
    assert read_image_size(path) == read_image(path).shape[:2]
    assert corners(read_image(path, (32, 16))) == seen


def test_torn_exif_is_taken_for_upright(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(quadrants(16, 16)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0", subsampling=0)
    assert corners(read_image(path)) == [RED, GREEN, BLUE, WHITE]


def test_the_largest_centred_part_is_cut_out(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 34:86] = 255  # the square, and as far as Lanczos looks beyond it
    write_png(tmp_path / "wide.png", wide)
    square = read_image(tmp_path / "wide.png", 20)
    assert square.shape == (20, 20, 3)
    assert square.min() == 255


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(100, 400), (400, 100), (128, 128)])
def test_reduced_jpeg_decoding_loses_no_detail(tmp_path: Path, orientation: int, size: tuple[int, int]) -> None:
    """A photo stored 1600x800 is cut to other aspects, where a reduction chosen without its turn would go too far."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((1600, 800), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95, subsampling=0)
    write_png(tmp_path / "whole.png", read_image(tmp_path / "photo.jpg"))
    difference = read_image(tmp_path / "photo.jpg", size).astype(float) - read_image(tmp_path / "whole.png", size)
    # 1.4 at most; 4.5 where the reduction is chosen without the turn and goes below the target's size.
    assert np.abs(difference).mean() < 2.5


def test_a_200_megapixel_jpeg_is_read_small_and_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    Image.new("L", (16320, 12240), 200).save(path, quality=50)
    image = read_image(path, 64)
    assert image.shape == (64, 64, 3)
    assert (image == 200).all()
    with pytest.raises(UnusableData, match=r"too large: 16320x12240 .*at most 350 MB of memory .*Scale it down"):
        read_image(path)


@pytest.mark.parametrize(("width", "height"), [(20000, 20000), (13000, 10000)])
def test_a_decompression_bomb_is_refused_by_its_size(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    with pytest.raises(UnusableData, match=r"bomb\.png is too large"):
        read_image(tmp_path / "bomb.png", 64)


def torn_files() -> dict[str, bytes]:
    def encoded(kind: str) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, kind)
        return buffer.getvalue()

    cut = {f"cut.{kind}": encoded(kind)[:-400] for kind in ("jpeg", "png", "webp")}
    only_head = {f"head.{kind}": encoded(kind)[:40] for kind in ("jpeg", "png", "webp")}
    return (
        cut
        | only_head
        | {
            "empty.jpg": b"",
            "text.jpg": b"<html>404 not found</html>",
            "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "drawing.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
            "checksum.png": encoded("png").replace(b"IDAT", b"IDAX", 1),
        }
    )


@pytest.mark.parametrize(("name", "content"), torn_files().items(), ids=torn_files())
@pytest.mark.parametrize("size", [None, 16])
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, size: int | None) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableData, match=f"{name} is broken: ."):
        read_image(tmp_path / name, size)


def test_size_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(quadrants(64, 128)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    assert read_image_size(path) == (64, 128)
    path.write_bytes(b"no image")
    with pytest.raises(UnusableData, match=r"photo\.png is broken"):
        read_image_size(path)


def test_random_damage_is_always_an_image_or_an_error_of_ours(tmp_path: Path) -> None:
    """Warnings are errors in this suite, so this also shows that none of Pillow's gets out."""
    generator = np.random.default_rng(1)
    path = tmp_path / "damaged.png"
    outcomes = {"read": 0, "refused": 0}
    for content in [good for name, good in torn_files().items() if name.startswith("cut")] * 60:
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[generator.integers(0, 200, 3)] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes() + bytes(400))
        try:
            assert read_image(path, 16).shape == (16, 16, 3)
            outcomes["read"] += 1
        except UnusableData:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(200):
        write_png(tmp_path / f"{number:03}.png", np.full((4, 4, 3), number, np.uint8))
    return tmp_path


def test_one_percent_of_broken_files_is_skipped_by_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("007.png", "150.png"):
        (folder / name).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        found = list(read_images(list_images(folder)))
    assert len(found) == 198
    assert all((image == int(path.stem)).all() for path, image in found)
    assert [record.getMessage().split(" is broken")[0] for record in caplog.records] == [
        f"skipped: {folder / name}" for name in ("007.png", "150.png")
    ]


def test_more_than_one_percent_is_an_error_that_names_them(folder: Path) -> None:
    broken = ("007.png", "150.png", "151.png", "170.png", "199.png")
    for name in broken:
        (folder / name).write_bytes(b"")
    with pytest.raises(UnusableData, match="5 of 200 images cannot be read, more than the 1%") as caught:
        list(read_images(list_images(folder)))
    assert all(name in str(caught.value) for name in broken)


def test_the_only_image_has_to_be_whole(tmp_path: Path) -> None:
    (tmp_path / "only.png").write_bytes(b"")
    with pytest.raises(UnusableData, match=r"only\.png is broken"):
        list(read_images([tmp_path / "only.png"]))


def test_listing_is_sorted_and_leaves_out_what_is_no_image(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "notes.txt", "._a.jpg", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG"]


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match=r"holds no image; expected JPEG, PNG, WebP, .* files"):
        list_images(tmp_path)
    with pytest.raises(UnusableData, match="is no folder"):
        list_images(tmp_path / "missing")


def test_pixel_values_survive_the_way_to_float_and_back() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert (to_float(values)[0], to_float(values)[-1], to_float(values).dtype) == (-1.0, 1.0, np.float32)
    np.testing.assert_array_equal(to_uint8(to_float(values)), values)
    np.testing.assert_array_equal(to_uint8(np.array([-7.0, 7.0])), [0, 255])


def test_psnr_of_one_step_of_a_byte_everywhere_is_48_db() -> None:
    assert psnr_db(np.full((4, 4, 3), 2 / 255)) == pytest.approx(48.13, abs=0.01)
    assert psnr_db(np.zeros(3)) == math.inf


def test_psnr_is_the_same_on_bytes_as_on_floats() -> None:
    random = np.random.default_rng(0)
    student, teacher = random.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    expected = psnr_db(student.astype(np.int32) - teacher.astype(np.int32), peak=255.0)
    assert psnr_db(to_float(student) - to_float(teacher)) == pytest.approx(expected, abs=1e-4)


def test_contact_sheet_places_images_by_row_and_column() -> None:
    tiles = [[np.full((2, 3, 3), 10 * row + column, np.uint8) for column in range(3)] for row in range(2)]
    sheet = contact_sheet(tiles, gap_px=1)
    assert sheet.shape == (2 * 3 + 1, 3 * 4 + 1, 3)
    assert sheet[1, 1, 0] == 0
    assert sheet[5, 11, 0] == 12
    assert (sheet[0] == 255).all()
    assert (sheet[:, -1] == 255).all()


def test_contact_sheet_names_columns_above_and_rows_beside_without_touching_a_pixel() -> None:
    tiles = [[np.full((20, 40, 3), 10 * row + column, np.uint8) for column in range(2)] for row in range(2)]
    plain = contact_sheet(tiles)
    labelled = contact_sheet(tiles, columns=("photo", "a name that is far too long"), names=("first", "second"))
    beside = labelled.shape[1] - plain.shape[1]
    assert labelled.shape[0] == LABEL_PX + plain.shape[0]
    np.testing.assert_array_equal(labelled[LABEL_PX:, beside:], plain)
    # Each name stands at its own place, and the long one ends with its column.
    above = labelled[:LABEL_PX].min(axis=(0, 2)) < 128
    assert above[beside + 4 : beside + 44].any()
    assert above[beside + 48 : beside + 88].any()
    assert not above[: beside + 4].any()
    assert not above[beside + 88 :].any()
    rows = labelled[LABEL_PX:, :beside].min(axis=(1, 2)) < 128
    assert rows[4:24].any()
    assert rows[28:48].any()


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "学生", "x"])
def test_any_name_can_label_a_narrow_column(name: str) -> None:
    assert contact_sheet([[np.zeros((4, 6, 3), np.uint8)]], columns=(name,)).shape == (LABEL_PX + 12, 14, 3)


def test_contact_sheet_cuts_the_middle_out_of_images_that_are_larger_than_a_cell() -> None:
    rows, columns = np.meshgrid(np.arange(9), np.arange(12), indexing="ij")
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    sheet = contact_sheet([[image, image]], gap_px=1, cell_px=5)
    assert sheet.shape == (7, 13, 3)
    np.testing.assert_array_equal(sheet[1:6, 1:6], image[2:7, 3:8])
    np.testing.assert_array_equal(contact_sheet([[image]], cell_px=12), contact_sheet([[image]]))


def test_layers_hold_the_colours_beneath_the_transparency(tmp_path: Path) -> None:
    colours = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    transparency = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    file = tmp_path / "a.png"
    Image.fromarray(np.dstack([colours, transparency])).save(file)
    found, alpha = read_layers(file)
    np.testing.assert_array_equal(found, colours)
    assert alpha is not None
    np.testing.assert_array_equal(alpha, transparency)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "1"])
def test_layers_of_what_is_not_transparent_are_the_image(tmp_path: Path, mode: str) -> None:
    colours = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = tmp_path / "a.tif"
    Image.fromarray(colours).convert(mode).save(file)
    found, alpha = read_layers(file)
    np.testing.assert_array_equal(found, read_image(file))
    assert alpha is None


def test_two_readers_that_end_out_of_order_leave_the_warnings_as_they_were(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    before = list(warnings.filters)
    first, second = open_image(tmp_path / "a.png"), open_image(tmp_path / "a.png")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with warnings.catch_warnings(record=True) as seen:
        warnings.warn("of a torn picture", UserWarning, stacklevel=1)
    assert seen == []
    second.__exit__(None, None, None)
    assert warnings.filters == before
