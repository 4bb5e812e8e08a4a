"""Folders that scoring refuses before it loads a network. Scores themselves: see torch_side."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from compress.errors import UnusableData
from eval.config import ScoreConfig
from eval.scores import list_enough_images, score_folder

Drawer = Callable[..., Path]


@pytest.fixture
def real(tmp_path: Path, draw: Drawer) -> Path:
    return draw(tmp_path / "real", 4, seed=1)


def test_generated_images_of_mixed_sizes_are_refused(tmp_path: Path, real: Path, draw: Drawer) -> None:
    fake = draw(tmp_path / "fake", 5)
    draw(tmp_path / "large", 1, size_px=80)
    (tmp_path / "large" / "000.png").rename(fake / "999.png")
    with pytest.raises(UnusableData, match=r"999\.png is 80x80 px, but 000\.png is 64x64"):
        score_folder(ScoreConfig(real=real, fake=fake))


def test_broken_image_is_refused_by_name(tmp_path: Path, real: Path, draw: Drawer) -> None:
    fake = draw(tmp_path / "fake", 5)
    (fake / "002.png").write_bytes((fake / "002.png").read_bytes()[:200])
    with pytest.raises(UnusableData, match=r"002\.png is broken"):
        score_folder(ScoreConfig(real=real, fake=fake))


def test_folder_too_small_for_a_score_is_refused(tmp_path: Path, real: Path, draw: Drawer) -> None:
    with pytest.raises(UnusableData, match="holds 3 images; a score needs at least 4"):
        score_folder(ScoreConfig(real=real, fake=draw(tmp_path / "fake", 3)))


def test_control_that_is_not_of_the_same_images_is_refused(tmp_path: Path, real: Path, draw: Drawer) -> None:
    fake, inputs = draw(tmp_path / "fake", 4), draw(tmp_path / "inputs", 5)
    with pytest.raises(UnusableData, match="004 only in"):
        score_folder(ScoreConfig(real=real, fake=fake, control=inputs))


@pytest.mark.parametrize("role", ["real", "fake", "teacher", "truth", "control"])
def test_a_score_of_half_the_photos_is_refused(role: str, tmp_path: Path, draw: Drawer) -> None:
    folders = {name: draw(tmp_path / name, 5) for name in ("real", "fake", "teacher", "truth", "control")}
    (folders[role] / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(UnusableData, match=rf"1 of 6 photos in .*{role} would be left out(.|\n)*1 HEIC file"):
        score_folder(
            ScoreConfig(
                real=folders["real"],
                fake=folders["fake"],
                teacher=folders["teacher"],
                truth=folders["truth"],
                control=folders["control"],
            )
        )


def test_photos_of_several_formats_are_all_scored(tmp_path: Path, draw: Drawer) -> None:
    names = [path.name for path in list_enough_images(draw(tmp_path / "real", 6))]
    for name, suffix in zip(names, ("bmp", "tif", "gif", "jfif"), strict=False):
        with Image.open(tmp_path / "real" / name) as image:
            image.save(
                (tmp_path / "real" / name).with_suffix(f".{suffix}"), format="JPEG" if suffix == "jfif" else None
            )
        (tmp_path / "real" / name).unlink()
    assert [path.stem for path in list_enough_images(tmp_path / "real")] == [Path(name).stem for name in names]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trained_with": 2}'])
def test_a_torn_record_of_what_trained_the_model_is_refused(
    content: str, tmp_path: Path, real: Path, draw: Drawer
) -> None:
    fake = draw(tmp_path / "fake", 4)
    (fake / "translation.json").write_text(content)
    with pytest.raises(UnusableData, match=r"translation\.json cannot be used.*translate the images anew"):
        score_folder(ScoreConfig(real=real, fake=fake))
