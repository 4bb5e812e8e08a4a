"""Folders of photos as people have them: what is read, what is left out, and that nothing is without a word."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFile import ImageFile

from compress.errors import UnusableData
from compress.images import folder, list_images, read_image, require_distinct_stems, write_png
from compress.images.formats import AVIF, Format

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)


def png(path: Path) -> None:
    write_png(path, PIXELS)


def fill(place: Path, count: int) -> None:
    for index in range(count):
        png(place / f"{index:03d}.png")


def many(what: Callable[[Path], object], *names: str) -> Callable[[Path], None]:
    def put(place: Path) -> None:
        for name in names:
            (place / name).parent.mkdir(exist_ok=True)
            what(place / name)

    return put


def content(head: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(head + bytes(64))


def ftyp(*brands: bytes) -> Callable[[Path], object]:
    return content((12 + 4 * len(brands)).to_bytes(4) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]))


LOST: dict[str, tuple[Callable[[Path], None], str]] = {
    "HEIC": (many(ftyp(b"heic", b"mif1"), "a.HEIC", "b.heic"), r"2 HEIC file.* a\.HEIC, b\.heic; pip install pillow"),
    "HEIC by its name": (many(content(b""), "a.heif"), r"1 HEIC file.*: a\.heif; pip install pillow-heif"),
    "HEIC named JPEG": (many(ftyp(b"mif1", b"heic"), "IMG_1.JPG"), r"1 HEIC file.*: IMG_1\.JPG; pip install"),
    "HEVC sequence": (many(ftyp(b"msf1", b"hevc"), "a.png"), r"1 HEIC file"),
    "JPEG XL": (many(content(b"\xff\x0a"), "a.jxl", "b.jpg"), r"2 JPEG XL file.*convert them to JPEG or PNG"),
    "camera raw": (many(content(b"II*\0"), "a.DNG", "b.nef", "c.ARW"), r"3 camera raw file.*develop them"),
    "camera raw named TIFF": (many(content(b"II*\0\x10\0\0\0CR"), "a.tif"), r"1 camera raw file"),
    "camera raw of Canon": (many(ftyp(b"crx "), "a.CR3"), r"1 camera raw file"),
    "PSD": (many(content(b"8BPS"), "a.psd"), r"1 PSD file"),
    "TGA": (many(content(b""), "a.tga"), r"1 \*\.tga file"),
    "sub-folders": (many(png, "more/a.png", "more/b.png", "other/c.JPG"), r"3 photo\(s\) in sub-folders.*more/a\.png"),
    "HEIC in sub-folders": (many(content(b""), "more/a.heic"), r"1 photo\(s\) in sub-folders"),
    "another suffix": (many(png, "a.png_original", "b.bak"), r"2 PNG file\(s\) without a photo's suffix.*rename them"),
    "torn links": (many(lambda path: path.symlink_to("gone"), "a.png"), r"1 link\(s\) to what is not there: a\.png"),
    "pipes": (many(os.mkfifo, "a.png"), r"1 pipe\(s\), socket\(s\) or device\(s\)"),
    "iCloud": (many(content(b""), ".IMG_1.HEIC.icloud"), r"1 photo\(s\) that are in iCloud alone.*download them"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_said", set())


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", LOST)
def test_photos_that_are_not_read_are_counted_and_refused_with_the_way_out(kind: str, tmp_path: Path) -> None:
    put, said = LOST[kind]
    fill(tmp_path, 4)
    put(tmp_path)
    with pytest.raises(UnusableData, match=said) as caught:
        list_images(tmp_path)
    assert "would be left out, more than the 1% that may be" in str(caught.value)


@pytest.mark.parametrize("kind", LOST)
def test_a_folder_of_nothing_else_says_so_too(kind: str, tmp_path: Path) -> None:
    put, said = LOST[kind]
    put(tmp_path)
    with pytest.raises(UnusableData, match=said):
        list_images(tmp_path)


def test_one_percent_is_left_out_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 198)
    LOST["HEIC"][0](tmp_path)
    with caplog.at_level(logging.INFO):
        assert len(list_images(tmp_path)) == len(list_images(tmp_path)) == 198
    (said,) = caplog.messages
    assert said.startswith(f"left out of {tmp_path}: 2 HEIC file(s), which are not read here: a.HEIC, b.heic; pip")
    content(b"\xff\x0a")(tmp_path / "c.jxl")
    with pytest.raises(UnusableData, match=r"3 of 201 photos in .* would be left out") as caught:
        list_images(tmp_path)
    assert "2 HEIC file(s)" in str(caught.value)
    assert "1 JPEG XL file(s)" in str(caught.value)


def test_names_cannot_forge_lines(tmp_path: Path) -> None:
    (tmp_path / "a\ncompress: all is well.heic").touch()
    with pytest.raises(UnusableData, match=r": a\\ncompress: all is well\.heic; pip"):
        list_images(tmp_path)


def test_kinds_are_counted_together(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    for put, _ in (LOST["HEIC"], LOST["sub-folders"], LOST["PSD"]):
        put(tmp_path)
    with pytest.raises(UnusableData, match="6 of 8 photos"):
        list_images(tmp_path)


def test_what_is_no_photo_is_said_and_refuses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Captions beside the photos, as many sets have them, take no photo from anybody."""
    fill(tmp_path, 4)
    for index in range(4):
        (tmp_path / f"{index:03d}.txt").write_text("P1 a caption\n")
    (tmp_path / "clip.MOV").write_bytes(b"\0\0\0\x14ftypqt  ")
    (tmp_path / "README").write_text("BMPs follow\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with caplog.at_level(logging.INFO):
        assert len(list_images(tmp_path)) == 4
    said = {message.removeprefix(f"left out of {tmp_path}: ") for message in caplog.messages}
    assert said == {
        "4 *.txt file(s): 000.txt, 001.txt, 002.txt and 1 more; not read as photos",
        "1 *.mov file(s): clip.MOV; not read as photos",
        "1 file(s) without a suffix: README; not read as photos",
        "1 sub-folder(s) without photos: notes; not searched",
    }


def test_files_of_systems_and_ours_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 1)
    names = (".DS_Store", "._000.png", "Thumbs.db", "desktop.ini", "Icon\r", ".pocketgan", "translation.json")
    for name in names:
        (tmp_path / name).touch()
    for place in ("__MACOSX", "@eaDir", ".hidden"):
        (tmp_path / place).mkdir()
        png(tmp_path / place / "a.png")
    with caplog.at_level(logging.INFO):
        assert [path.name for path in list_images(tmp_path)] == ["000.png"]
    assert caplog.messages == []


def test_only_a_folder_without_anything_read_tells_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "list.csv").touch()
    with pytest.raises(UnusableData, match=r"holds no image; expected JPEG(.|\n)*1 \*\.csv file\(s\): list\.csv"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    "name", ["a.jpeg", "a.JFIF", "a.jpe", "a.bmp", "a.tif", "a.TIFF", "a.gif", "a.ppm", "a.jp2", "a.webp"]
)
def test_every_format_that_pillow_reads_is_taken(name: str, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / name)
    assert list_images(tmp_path) == [tmp_path / name]
    assert read_image(tmp_path / name).shape == (8, 8, 3)


def test_avif_is_taken_where_pillow_was_built_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not AVIF.is_read:
        pytest.skip("this Pillow was built without AVIF")
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", "AVIF")
    assert list_images(tmp_path) == [tmp_path / "a.jpg"]
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")
    with pytest.raises(
        UnusableData, match=r"1 AVIF file\(s\).*: a\.jpg; this Pillow was built without: pip install -U"
    ):
        list_images(tmp_path)
    with pytest.raises(UnusableData, match=r"a\.jpg is a file of AVIF, which is not read here: this Pillow"):
        read_image(tmp_path / "a.jpg")


def test_photos_without_a_suffix_are_taken_by_content(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "0001", "JPEG")
    png(tmp_path / "0002.jpg")
    assert [path.name for path in list_images(tmp_path)] == ["0001", "0002.jpg"]


def test_heic_is_read_where_its_plugin_is_installed(
    tmp_path: Path, heic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for pillow-heif, which makes one picture of every file."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "pillow_heif.py").write_text("def register_heif_opener(): registered()\n")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.HEIC").write_bytes(heic)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(sys.modules, "pillow_heif")
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    assert "HEIC" in folder.read_formats()
    assert list_images(tmp_path / "photos") == [tmp_path / "photos" / "a.HEIC"]
    import pillow_heif  # pyright: ignore[reportMissingImports] (the stand-in)

    for registry in (Image.OPEN, Image.MIME):
        monkeypatch.setattr(Image, "OPEN" if registry is Image.OPEN else "MIME", dict(registry))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    pillow_heif.registered = lambda: Image.register_open("HEIF", _HeicStandIn, lambda head: head[4:8] == b"ftyp")
    assert (read_image(tmp_path / "photos" / "a.HEIC") == (1, 2, 3)).all()


class _HeicStandIn(ImageFile):
    format = "HEIF"

    def _open(self) -> None:
        self._size, self._mode, self.tile = (4, 4), "RGB", []

    def load(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] (nobody asks for its access)
        self.im = Image.new("RGB", self.size, (1, 2, 3)).im


def test_stems_are_told_apart_within_a_folder_alone(tmp_path: Path) -> None:
    names = ["testA/x.png", "testB/x.jpg", "testA/y.png", "testA/x.y.png"]
    require_distinct_stems([tmp_path / name for name in names])
    with pytest.raises(
        UnusableData, match=r"testA/x\.png and .*testA/x\.gif share a stem.* x\.png\. So do 1 more stems"
    ):
        require_distinct_stems([tmp_path / name for name in [*names, "testA/x.gif", "testA/y.jpg"]])


FIELD = {
    "heic_named_jpg": r"4 of 7 photos .*\n  4 HEIC file.*: IMG_3\.jpg",
    "mostly_heic": r"36 of 40 photos .*\n  36 HEIC file.*: IMG_10\.HEIC, IMG_11\.HEIC, IMG_12\.HEIC and 33 more",
    "nested": r"6 of 8 photos .*\n  6 photo\(s\) in sub-folders.*: more/2\.png",
}
READ = {"icc_p3_vivid": 4, "jfif_avif": 6, "modes": 8, "mostly_tif_bmp": 10, "png16": 8, "same_stem": 3}


@pytest.mark.parametrize("name", [*FIELD, *READ])
def test_folders_of_the_field_are_read_whole_or_refused(name: str, material: Path) -> None:
    place = material / "field" / "data" / name / "testA"
    if not place.is_dir():
        pytest.skip(f"{place} is not here")
    if name in READ:
        assert len([read_image(path) for path in list_images(place)]) == READ[name]
        return
    with pytest.raises(UnusableData, match=FIELD[name]):
        list_images(place)


def test_a_format_without_a_decoder_is_never_read() -> None:
    assert not Format("new", (".new",)).is_read
