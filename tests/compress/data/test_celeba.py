"""CelebA laid out by attribute: who is chosen, which side they are on, what is written, what is refused."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.data.avatars import NOTE_NAME
from compress.data.celeba import prepare_celeba
from compress.data.celeba_attributes import read_attributes
from compress.data.config import CelebaConfig
from compress.data.folders import LAYOUT, list_photos
from compress.errors import UnusableData, UsageError
from compress.images import read_image

ATTRIBUTES = ("Attractive", "Eyeglasses", "Male", "Wearing_Hat", "Young")
People = Mapping[str, tuple[bool, ...]]
PEOPLE: People = {
    # Every combination of the five once: 32 people, of any attribute 16 with it and 16 without.
    f"{number:06}.jpg": combination
    for number, combination in enumerate(product((False, True), repeat=len(ATTRIBUTES)), start=1)
}
MEN_AND_WOMEN = CelebaConfig(a=("Male",), b=("!Male",), test_per_domain=3)
HEIGHT_PX, WIDTH_PX = 218, 178
"""Size of CelebA's aligned images."""


def write_txt(path: Path, people: People = PEOPLE) -> Path:
    """Write a list in the official form: right-aligned columns, so there are runs of spaces."""
    rows = [f"{name} " + " ".join(" 1" if held else "-1" for held in values) for name, values in people.items()]
    path.write_text("\n".join([str(len(people)), " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
    return path


def write_csv(path: Path, people: People = PEOPLE, absent: str = "-1") -> Path:
    rows = [",".join([name, *("1" if held else absent for held in values)]) for name, values in people.items()]
    path.write_text("\n".join([",".join(["image_id", *ATTRIBUTES]), *rows]) + "\n")
    return path


def with_values(**wanted: bool) -> set[str]:
    """The stems of the people who have these attributes so: the test's own way of choosing."""
    columns = {ATTRIBUTES.index(name): value for name, value in wanted.items()}
    return {
        name.removesuffix(".jpg")
        for name, values in PEOPLE.items()
        if all(values[column] == value for column, value in columns.items())
    }


def stems(out: Path, *folders: str) -> set[str]:
    return {path.stem for folder in folders for path in (out / folder).iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of all people; nothing may be written here."""
    folder = tmp_path_factory.mktemp("img_align_celeba")
    for number, name in enumerate(PEOPLE):
        Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (number * 8, 60, 200)).save(folder / name)
    return folder


@pytest.fixture
def attributes(tmp_path: Path) -> Path:
    return write_txt(tmp_path / "list_attr_celeba.txt")


@pytest.fixture
def some_images(celeba: Path, tmp_path: Path) -> Path:
    """A folder of its own with the images of all people, to take some away or break them."""
    folder = tmp_path / "some"
    folder.mkdir()
    for path in celeba.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_official_list_and_both_csv_are_read_alike(tmp_path: Path) -> None:
    read = [
        read_attributes(write_txt(tmp_path / "list.csv")),
        read_attributes(write_csv(tmp_path / "list.txt")),
        read_attributes(write_csv(tmp_path / "zeros.csv", absent="0")),
    ]
    for one in read:
        assert (one.names, one.images) == (ATTRIBUTES, tuple(PEOPLE))
        np.testing.assert_array_equal(one.holds, np.array(list(PEOPLE.values())))


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "list.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_attributes(path).names == ATTRIBUTES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: found '', expected the number of images"),
        ("000001.jpg 0\n", r"line 1: found '000001.jpg 0', expected the number of images"),
        ("x" * 999, r"found 'x{79}…, expected"),
        ("1\n", "names no image"),
        ("image_id,Male,Young\n", "names no image"),
        ("2\nMale Young\n1.jpg 1 -1\n2.jpg 1\n", r"line 4: found '2.jpg' and 1 values, expected an image and 2 values"),
        ("2\nMale Young\n\n2.jpg 1 1\n", r"line 3: found '' and 0 values, expected an image and 2 values"),
        ("1\nMale Young\n1.jpg 1 2\n", r"line 3: found Young = '2', expected one of -1, 1"),
        ("1\nMale Young\n1.jpg 0 1\n", r"line 3: found Male = '0', expected one of -1, 1"),
        ("image_id,Male,Young\n1.jpg,1,yes\n", r"line 2: found Young = 'yes', expected one of -1, 0, 1"),
        ("image_id,Male,Young\n1.jpg,1\n", r"line 2: found '1.jpg' and 1 values, expected an image and 2 values"),
        ("2\nMale\n1.jpg 1\n1.png 1\n", r"line 4: found '1.png', expected each image once; line 3 has it already"),
        ("3\nMale\n1.jpg 1\n2.jpg 1\n", r"line 1 promises 3 images, 2 follow"),
    ],
)
def test_a_bad_list_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UnusableData, match=rf"list\.txt.*{message}"):
        read_attributes(tmp_path / "list.txt")


def test_a_list_that_is_no_text_or_not_there_is_unusable_data(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for name in ("photo.jpg", "nosuch.txt"):
        with pytest.raises(UnusableData, match=f"{name} cannot be read as an attribute list"):
            read_attributes(tmp_path / name)


@pytest.mark.parametrize(
    ("chosen", "in_a", "in_b"),
    [
        ({}, with_values(Male=True), with_values(Male=False)),
        ({"a": ("!Male",), "b": ("Male",)}, with_values(Male=False), with_values(Male=True)),
        ({"a": ("Male", "Young")}, with_values(Male=True, Young=True), with_values(Male=False)),
        (
            {"drop": ("Eyeglasses",)},
            with_values(Male=True, Eyeglasses=False),
            with_values(Male=False, Eyeglasses=False),
        ),
        ({"drop": ("!Young",)}, with_values(Male=True, Young=True), with_values(Male=False, Young=True)),
        ({"keep": ("!Young",)}, with_values(Male=True, Young=False), with_values(Male=False, Young=False)),
        (
            {"drop": ("Eyeglasses", "Wearing_Hat")},
            with_values(Male=True, Eyeglasses=False, Wearing_Hat=False),
            with_values(Male=False, Eyeglasses=False, Wearing_Hat=False),
        ),
        (
            {"keep": ("Attractive", "Young")},
            with_values(Male=True, Attractive=True, Young=True),
            with_values(Male=False, Attractive=True, Young=True),
        ),
    ],
)
def test_domains_hold_exactly_whom_the_conditions_say(
    chosen: dict[str, Any], in_a: set[str], in_b: set[str], celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    written = prepare_celeba(celeba, attributes, dataclasses.replace(MEN_AND_WOMEN, **chosen), out)
    assert stems(out, "trainA", "testA") == in_a
    assert stems(out, "trainB", "testB") == in_b
    assert written["matched"] == written["found"] == {"A": len(in_a), "B": len(in_b)}
    sizes = {"trainA": len(in_a) - 3, "trainB": len(in_b) - 3, "testA": 3, "testB": 3}
    assert written["images"] == sizes == {folder: len(stems(out, folder)) for folder in LAYOUT}


def test_other_commands_find_the_four_folders(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    prepare_celeba(celeba, attributes, MEN_AND_WOMEN, tmp_path / "out")
    assert len(list_photos(tmp_path / "out", "both", "train") + list_photos(tmp_path / "out", "both", "test")) == len(
        PEOPLE
    )


@pytest.mark.parametrize(
    ("chosen", "count", "example"),
    [
        # Male and Young both hold for a quarter of 32, and first for the 6th combination, 00101.
        ({"b": ("Young",)}, 8, "000006.jpg"),
        ({"b": ("Male",)}, 16, "000005.jpg"),
        ({"b": ("Young",), "keep": ("Attractive",)}, 4, "000022.jpg"),
    ],
)
def test_domains_that_share_images_are_refused(
    chosen: dict[str, Any], count: int, example: str, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, **chosen)
    with pytest.raises(UsageError, match=f"both hold for {count} images, such as {example}"):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")


def test_domains_that_share_only_images_left_out_are_accepted(celeba: Path, tmp_path: Path) -> None:
    shared = with_values(Male=True, Young=True, Eyeglasses=False)
    people = {name: values for name, values in PEOPLE.items() if name.removesuffix(".jpg") not in shared}
    attributes = write_txt(tmp_path / "list.txt", people)
    config = dataclasses.replace(MEN_AND_WOMEN, a=("Male",), b=("Young",), test_per_domain=1)
    with pytest.raises(UsageError, match="both hold for 4 images"):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")
    prepare_celeba(celeba, attributes, dataclasses.replace(config, drop=("Eyeglasses",)), tmp_path / "out")
    assert stems(tmp_path / "out", "trainA", "testA") == with_values(Male=True, Young=False, Eyeglasses=False)
    assert stems(tmp_path / "out", "trainB", "testB") == with_values(Male=False, Young=True, Eyeglasses=False)


def test_a_filter_that_nobody_passes_is_told_from_missing_files(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, keep=("Young",), drop=("Young",))
    with pytest.raises(UnusableData, match=r"Domain A has no image: 0 match in the list.*Loosen the filter"):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")


@pytest.mark.parametrize("flag", ["a", "b", "drop", "keep"])
@pytest.mark.parametrize("sign", ["", "!"])
def test_an_unknown_attribute_is_refused_with_its_neighbours(
    flag: str, sign: str, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, **{flag: (f"{sign}eyeglass",)})
    message = (
        f"--{flag} {sign}eyeglass: .* no attribute 'eyeglass'. Did you mean Eyeglasses.*Expected one of Attractive, "
    )
    with pytest.raises(UsageError, match=message):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")


def test_an_attribute_like_no_other_gets_the_list_alone(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, drop=("Zzz",))
    with pytest.raises(UsageError, match=r"no attribute 'Zzz'\. A flag takes one.* Expected one of Attractive, Eyegl"):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")


def test_files_are_copied_byte_for_byte_under_their_names(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    prepare_celeba(celeba, attributes, MEN_AND_WOMEN, tmp_path / "out")
    copies = [path for folder in LAYOUT for path in (tmp_path / "out" / folder).iterdir()]
    assert {path.name for path in copies} == set(PEOPLE)
    for path in copies:
        assert not path.is_symlink()
        assert path.read_bytes() == (celeba / path.name).read_bytes()


@pytest.mark.parametrize(("height_px", "width_px"), [(100, 80), (32, 32), (16, 48)])
def test_with_a_size_images_become_png_of_it(
    height_px: int, width_px: int, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, image_height_px=height_px, image_width_px=width_px)
    prepare_celeba(celeba, attributes, config, tmp_path / "out")
    written = [path for folder in LAYOUT for path in (tmp_path / "out" / folder).iterdir()]
    assert {path.name for path in written} == {name.replace(".jpg", ".png") for name in PEOPLE}
    for path in written:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (width_px, height_px))
        # The original is of one colour, which cutting and resizing keep.
        np.testing.assert_array_equal(read_image(path)[0, 0], read_image(celeba / f"{path.stem}.jpg")[0, 0])


def test_same_flags_write_the_same_bytes_and_the_list_may_be_in_any_order(
    celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, train_per_domain=5, image_height_px=20, image_width_px=16)
    prepare_celeba(celeba, attributes, config, tmp_path / "once")
    reordered = write_csv(tmp_path / "reordered.csv", dict(sorted(PEOPLE.items(), reverse=True)))
    for name, listed in (("again", attributes), ("reordered", reordered)):
        prepare_celeba(celeba, listed, config, tmp_path / name)
        assert contents(tmp_path / name) == contents(tmp_path / "once")


def test_another_seed_tests_on_others(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        prepare_celeba(celeba, attributes, dataclasses.replace(MEN_AND_WOMEN, seed=seed), tmp_path / str(seed))
    assert stems(tmp_path / "0", "testA", "testB") != stems(tmp_path / "1", "testA", "testB")


@pytest.mark.parametrize("narrower", [{"keep": ("Attractive",)}, {"drop": ("Eyeglasses",)}, {"a": ("Male", "Young")}])
@pytest.mark.parametrize("seed", range(3))
def test_a_narrow_population_never_trains_on_test_images_of_a_wide_one(
    narrower: dict[str, Any], seed: int, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, seed=seed)
    wide, narrow = tmp_path / "wide", tmp_path / "narrow"
    prepare_celeba(celeba, attributes, config, wide)
    prepare_celeba(celeba, attributes, dataclasses.replace(config, **narrower), narrow)
    tested = stems(wide, "testA", "testB")
    assert tested & stems(narrow, "trainA", "trainB") == set()
    still_there = tested & stems(narrow, "trainA", "trainB", "testA", "testB")
    assert still_there <= stems(narrow, "testA", "testB")


def test_a_limit_trains_on_fewer_and_neither_limit_nor_test_size_draws_anew(
    celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    def prepare(name: str, **chosen: int) -> Path:
        prepare_celeba(celeba, attributes, dataclasses.replace(MEN_AND_WOMEN, **chosen), tmp_path / name)
        return tmp_path / name

    everyone, five, seven = prepare("all"), prepare("five", train_per_domain=5), prepare("seven", train_per_domain=7)
    more_tests = prepare("more", train_per_domain=5, test_per_domain=8)
    beyond = prepare("beyond", train_per_domain=999)
    for domain in "AB":
        train, test = f"train{domain}", f"test{domain}"
        assert stems(everyone, test) == stems(five, test) == stems(seven, test)
        assert stems(everyone, test) < stems(more_tests, test)
        assert len(stems(five, train)) == 5
        assert stems(five, train) < stems(seven, train) < stems(everyone, train) == stems(beyond, train)
        assert stems(more_tests, train) == stems(five, train)


def test_a_partial_download_gives_what_is_there_and_one_line_of_log(
    some_images: Path, attributes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("000001.jpg", "000002.jpg", "000031.jpg"):  # two women and one man, who is the 31st combination, 11110
        (some_images / name).unlink()
    with caplog.at_level(logging.INFO):
        written = prepare_celeba(some_images, attributes, MEN_AND_WOMEN, tmp_path / "out")
    assert [record.getMessage() for record in caplog.records] == [
        f"skipped: 3 of the 32 images that match are not in {some_images}"
    ]
    assert (written["matched"], written["found"]) == ({"A": 16, "B": 16}, {"A": 15, "B": 14})
    assert stems(tmp_path / "out", *LAYOUT) == {path.stem for path in some_images.iterdir()}


def test_a_domain_without_a_file_says_how_many_matched_and_how_many_were_found(
    some_images: Path, attributes: Path, tmp_path: Path
) -> None:
    for stem in with_values(Male=False):
        (some_images / f"{stem}.jpg").unlink()
    with pytest.raises(UnusableData, match=r"Domain B has no image: 16 match in the list, 0 of them are in .*some"):
        prepare_celeba(some_images, attributes, MEN_AND_WOMEN, tmp_path / "out")


def test_files_that_the_list_does_not_name_are_ignored(
    some_images: Path, attributes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (some_images / "999999.jpg").write_bytes((some_images / "000001.jpg").read_bytes())
    (some_images / "README.md").write_text("not an image")
    written = prepare_celeba(some_images, attributes, MEN_AND_WOMEN, tmp_path / "out")
    assert sum(written["images"].values()) == len(PEOPLE)
    assert "999999" not in stems(tmp_path / "out", *LAYOUT)
    assert caplog.records == []


def test_the_png_edition_is_split_as_the_jpeg_one(
    celeba: Path, some_images: Path, attributes: Path, tmp_path: Path
) -> None:
    for path in list(some_images.iterdir()):
        path.rename(path.with_suffix(".png"))
    prepare_celeba(celeba, attributes, MEN_AND_WOMEN, tmp_path / "jpeg")
    prepare_celeba(some_images, attributes, MEN_AND_WOMEN, tmp_path / "png")
    assert {path.suffix for path in (tmp_path / "png" / "trainA").iterdir()} == {".png"}
    for folder in LAYOUT:
        assert stems(tmp_path / "png", folder) == stems(tmp_path / "jpeg", folder)


def test_one_image_is_enough_to_train_on(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, test_per_domain=15)
    written = prepare_celeba(celeba, attributes, config, tmp_path / "out")
    assert written["images"] == {"trainA": 1, "trainB": 1, "testA": 15, "testB": 15}


@pytest.mark.parametrize("test_per_domain", [16, 500])
def test_a_domain_with_none_left_to_train_on_is_refused(
    test_per_domain: int, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, test_per_domain=test_per_domain)
    with pytest.raises(UnusableData, match=f"Domain A has 16 images.* more than test_per_domain = {test_per_domain}"):
        prepare_celeba(celeba, attributes, config, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [attributes]


def test_one_broken_image_is_skipped_by_name_and_two_of_a_folder_are_an_error(
    some_images: Path, attributes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, image_height_px=20, image_width_px=16)
    prepare_celeba(some_images, attributes, config, tmp_path / "whole")
    first, second, *_ = sorted(stems(tmp_path / "whole", "trainA"))
    (some_images / f"{first}.jpg").write_bytes(b"torn")
    written = prepare_celeba(some_images, attributes, config, tmp_path / "one")
    assert written["images"] == {"trainA": 12, "trainB": 13, "testA": 3, "testB": 3}
    assert stems(tmp_path / "whole", "trainA") - stems(tmp_path / "one", "trainA") == {first}
    assert f"{first}.jpg is broken" in caplog.text
    (some_images / f"{second}.jpg").write_bytes(b"torn")
    with pytest.raises(UnusableData, match="2 of 13 images cannot be read"):
        prepare_celeba(some_images, attributes, config, tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir() if "two" in path.name] == []


def test_the_note_holds_licence_configuration_and_counts(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(MEN_AND_WOMEN, drop=("Eyeglasses",))
    written = prepare_celeba(celeba, attributes, config, tmp_path / "out")
    note = json.loads((tmp_path / "out" / NOTE_NAME).read_text())
    assert "non-commercial research only" in note["license"]
    assert (note["config"]["a"], note["config"]["drop"], note["config"]["seed"]) == (["Male"], ["Eyeglasses"], 0)
    assert {key: note[key] for key in ("images", "matched", "found")} == {
        key: written[key] for key in ("images", "matched", "found")
    }
    assert str(tmp_path) not in json.dumps(note)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"a": ()}, r"a = \(\), expected at least one attribute"),
        ({"b": ()}, r"b = \(\), expected at least one attribute"),
        ({"test_per_domain": 0}, "test_per_domain = 0, expected at least 1"),
        ({"train_per_domain": 0}, "train_per_domain = 0, expected at least 1"),
        ({"image_height_px": 100}, "image_height_px = 100, image_width_px = None: expected both"),
        ({"image_width_px": 80}, "image_height_px = None, image_width_px = 80: expected both"),
        ({"image_height_px": 100, "image_width_px": 8}, "image_width_px = 8, expected 16 to 4096"),
        ({"image_height_px": 5000, "image_width_px": 80}, "image_height_px = 5000, expected 16 to 4096"),
    ],
)
def test_flags_that_cannot_be_meant_are_named_and_write_nothing(
    chosen: dict[str, Any], message: str, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        prepare_celeba(celeba, attributes, dataclasses.replace(MEN_AND_WOMEN, **chosen), tmp_path / "out")
    assert list(tmp_path.iterdir()) == [attributes]


def test_existing_output_needs_overwrite_and_is_replaced_whole(celeba: Path, attributes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_celeba(celeba, attributes, MEN_AND_WOMEN, out)
    fewer = dataclasses.replace(MEN_AND_WOMEN, train_per_domain=2)
    with pytest.raises(UsageError, match="--overwrite"):
        prepare_celeba(celeba, attributes, fewer, out)
    assert len(stems(out, "trainA")) == 13
    prepare_celeba(celeba, attributes, fewer, out, overwrite=True)
    assert len(stems(out, "trainA")) == 2


def test_output_never_replaces_what_is_read(some_images: Path, tmp_path: Path) -> None:
    attributes = write_txt(some_images / "list_attr_celeba.txt")
    before = contents(some_images)
    for out in (some_images, tmp_path, some_images / ".." / "some"):
        with pytest.raises(UsageError, match=r"(is the same as|holds|lies inside) .*which this command reads"):
            prepare_celeba(some_images, attributes, MEN_AND_WOMEN, out, overwrite=True)
    assert contents(some_images) == before


def test_a_failure_midway_leaves_nothing_and_keeps_the_old(
    celeba: Path, attributes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare_celeba(celeba, attributes, MEN_AND_WOMEN, out)
    before = contents(tmp_path)
    copied = []

    def fill_the_disk(source: Path, destination: Path) -> None:
        copied.append(destination)
        destination.write_bytes(source.read_bytes())
        if len(copied) == 10:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("compress.data.celeba.shutil.copyfile", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        prepare_celeba(celeba, attributes, MEN_AND_WOMEN, out, overwrite=True)
    assert len(copied) == 10
    assert contents(tmp_path) == before


def test_the_command_takes_repeated_flags_and_prints_json(
    command, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    finished = command(
        "data", "celeba", "--images", celeba, "--attributes", attributes, "--out", tmp_path / "out", "--json",
        "--a", "Male", "--a", "Young", "--b", "!Male", "--drop", "Eyeglasses", "--drop", "Wearing_Hat",
        "--test-per-domain", 1, "--train-per-domain", 2, "--image-height-px", 25, "--image-width-px", 20,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {
        "out": str(tmp_path / "out"),
        "images": {"trainA": 1, "trainB": 2, "testA": 1, "testB": 1},
        "matched": {"A": 2, "B": 4},
        "found": {"A": 2, "B": 4},
    }
    assert stems(tmp_path / "out", "trainA", "testA") == with_values(
        Male=True, Young=True, Eyeglasses=False, Wearing_Hat=False
    )
    assert {read_image(path).shape for path in (tmp_path / "out").rglob("*.png")} == {(25, 20, 3)}


@pytest.mark.parametrize(
    ("flags", "exit_code", "message"),
    [
        (("--a", "Male", "--b", "Young"), 2, "both hold for 8 images"),
        (("--a", "Mael", "--b", "!Male"), 2, "Did you mean Male?"),
        (("--a", "Male", "--b", "!Male", "--drop", "Eyeglasses,Young"), 2, "may be repeated"),
        (("--a", "Male", "--b", "!Male", "--image-height-px", "100"), 2, "--image-width-px"),
        (("--a", "Male"), 2, "--b"),
        (("--a", "Male", "--b", "!Male"), 3, "test_per_domain = 500"),
        (("--a", "Male", "--b", "!Male", "--keep", "Young", "--drop", "Young"), 3, "0 match in the list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_command_refuses_with_the_exit_code_of_the_error(
    flags: tuple[str, ...], exit_code: int, message: str, command, celeba: Path, attributes: Path, tmp_path: Path
) -> None:
    finished = command(
        "data", "celeba", "--images", celeba, "--attributes", attributes, "--out", tmp_path / "o", *flags
    )
    assert (finished.returncode, finished.stdout) == (exit_code, "")
    assert message in " ".join(finished.stderr.split())
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == [attributes]
