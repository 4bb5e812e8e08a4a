"""Measuring in one pass: how often a file is decoded, how many images are in memory, which images are worst."""

import struct
import weakref
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from compress.errors import UnusableData
from compress.images import read_image, write_png
from eval.config import AcceptConfig, GateConfig
from eval.gate import collector, stage
from eval.gate.files import write_files
from eval.score_key import PROFILE_READER

Drawer = Callable[..., Path]
Decodes = Callable[[Path], list[int]]

IMAGES = 12


pytestmark = pytest.mark.usefixtures("stub_scorer")


@pytest.fixture
def data(tmp_path: Path, draw: Drawer) -> Path:
    """A data set, and images of a `teacher`, a `baseline` and a `candidate`."""
    draw(tmp_path / "testA", IMAGES, seed=1, size_px=80)
    draw(tmp_path / "testB", IMAGES, seed=2)
    for name, blur_px in (("teacher", 0.0), ("baseline", 0.5), ("candidate", 1.0)):
        draw(tmp_path / name, IMAGES, seed=3, blur_px=blur_px)
    return tmp_path


def gate(data: Path, *, baseline: str = "baseline", teacher: Path | None = None) -> GateConfig:
    return GateConfig(candidate=data / "candidate", baseline=data / baseline, data=data, teacher=teacher)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Decodes:
    """`decodes(folder)` lists how often each of its PNG files was decoded, whoever did it."""
    counts = Counter[Path]()
    # Pillow calls it once where the pixels of a file are decoded, and not where they are in memory already.
    prepare = PngImageFile.load_prepare

    def count(image: PngImageFile) -> None:
        assert image.fp is not None
        counts[Path(image.fp.name)] += 1
        prepare(image)

    monkeypatch.setattr(PngImageFile, "load_prepare", count)
    return lambda folder: [counts[path] for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("with_teacher", [True, False])
def test_every_generated_image_is_decoded_once(
    data: Path, decodes: Decodes, tmp_path: Path, with_teacher: bool
) -> None:
    outcome = stage.run_gate(gate(data, teacher=data / "teacher" if with_teacher else None))
    write_files(outcome, tmp_path / "gate")
    assert decodes(data / "candidate") == [1] * IMAGES
    assert decodes(data / "baseline") == [1] * IMAGES
    assert decodes(data / "teacher") == [int(with_teacher)] * IMAGES
    # With a teacher, of the inputs those beside the worst images alone; else all are compared with, once.
    photos = int(not with_teacher)
    assert sorted(decodes(data / "testA")) == [photos] * 7 + [photos + 1] * 5


def test_candidate_that_is_its_own_baseline_is_decoded_once(data: Path, decodes: Decodes) -> None:
    stage.run_gate(gate(data, baseline="candidate"))
    assert decodes(data / "candidate") == [1] * IMAGES


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = 60
    draw(tmp_path / "testA", images, seed=1)
    draw(tmp_path / "testB", 4, seed=2)
    for name, blur_px in (("teacher", 0.0), ("candidate", 1.0)):
        draw(tmp_path / name, images, seed=3, blur_px=blur_px)
    alive, most = weakref.WeakSet[Any](), 0

    class Tracked(np.ndarray):
        """An array that a weak set can hold."""

        __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]
        __eq__ = object.__eq__  # pyright: ignore[reportAssignmentType]

    def read(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
        nonlocal most
        image = read_image(path, size).view(Tracked)
        alive.add(image)
        most = max(most, len(alive))
        return image

    monkeypatch.setattr(collector, "read_image", read)
    config = AcceptConfig(candidate=tmp_path / "candidate", data=tmp_path, teacher=tmp_path / "teacher")
    stage.accept_baseline(config)
    # Three of the stem at hand, three of the one before, and the five worst pairs.
    assert most <= 3 + 3 + 2 * 5


def test_worst_images_have_the_lowest_psnr_and_of_equal_ones_the_first_stem_comes_first(data: Path) -> None:
    levels = dict.fromkeys(range(IMAGES), 10) | {4: 60, 9: 40, 2: 60, 7: 20}
    for index, path in enumerate(sorted((data / "teacher").iterdir())):
        # A uniform error, so that equal levels have an equal PSNR.
        write_png(data / "candidate" / path.name, np.full((64, 64, 3), 100 + levels[index], np.uint8))
        write_png(path, np.full((64, 64, 3), 100, np.uint8))
    worst = stage.run_gate(gate(data, teacher=data / "teacher")).worst
    assert [image.stem for image in worst] == ["002", "004", "009", "007", "000"]
    assert worst[0].psnr_db == pytest.approx(20 * np.log10(255 / 60), abs=1e-4)
    assert np.array_equal(worst[2].candidate, read_image(data / "candidate/009.png"))
    assert np.array_equal(worst[2].reference, read_image(data / "teacher/009.png"))
    assert worst[2].input == data / "testA/009.png"


def test_values_are_in_the_order_of_stems_whatever_the_formats(data: Path) -> None:
    for folder in ("testA", "candidate", "teacher"):
        # As files, a-b.png comes before a.png.
        for old, new in (("000.png", "a-b.png"), ("001.png", "a.png")):
            (data / folder / old).rename(data / folder / new)
    Image.open(data / "teacher/a.png").save(data / "teacher/a.webp", lossless=True)
    (data / "teacher/a.png").unlink()
    config = AcceptConfig(candidate=data / "candidate", data=data, teacher=data / "teacher")
    measurement = stage.accept_baseline(config)
    stems = sorted(path.stem for path in (data / "candidate").iterdir())
    assert stems[-2:] == ["a", "a-b"]
    means = [read_image(data / "candidate" / f"{stem}.png").mean(axis=(0, 1)) for stem in stems]
    for channel, name in enumerate(("mean_red", "mean_green", "mean_blue")):
        assert measurement.paired[name] == pytest.approx([mean[channel] for mean in means], rel=1e-5)


def test_broken_image_is_refused_by_name(data: Path) -> None:
    path = data / "candidate/005.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnusableData, match=r"005\.png is broken"):
        stage.run_gate(gate(data))


def test_image_that_exif_data_behind_its_pixels_turns_is_refused_by_its_size(tmp_path: Path) -> None:
    for folder in ("testA", "testB", "candidate"):
        (tmp_path / folder).mkdir()
        for index in range(4):
            write_png(tmp_path / folder / f"{index}.png", np.zeros((32, 48, 3), np.uint8))
    path = tmp_path / "candidate/2.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    path.write_bytes(path.read_bytes()[:-12] + chunk + path.read_bytes()[-12:])
    with pytest.raises(UnusableData, match=r"2\.png is 32x48 px when it is turned .* 48x32; generated images must be"):
        stage.accept_baseline(AcceptConfig(candidate=tmp_path / "candidate", data=tmp_path))


@pytest.mark.parametrize("folder", ["testA", "testB", "candidate", "baseline", "teacher"])
def test_a_gate_over_half_the_photos_is_refused(folder: str, data: Path) -> None:
    Image.new("RGB", (8, 8)).save(data / folder / "more.bak", "PNG")
    with pytest.raises(UnusableData, match=rf"1 of 13 photos in .*{folder} would be left out"):
        stage.run_gate(gate(data, teacher=data / "teacher"))


def test_the_key_tells_that_colour_profiles_of_inputs_were_followed(data: Path, swapping_profile: bytes) -> None:
    config = AcceptConfig(candidate=data / "candidate", data=data)
    assert stage.accept_baseline(config).key["reader"] == "as it is"
    with Image.open(data / "testA" / "003.png") as photo:
        photo.save(data / "testA" / "003.png", icc_profile=swapping_profile)
    assert stage.accept_baseline(config).key["reader"] == PROFILE_READER
