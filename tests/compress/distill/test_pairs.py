"""Students from pairs of photos and targets, without the file of what made them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress import images, teachers
from compress.distill.config import DistillConfig
from compress.distill.stage import distill, distill_pairs
from compress.distill.training_data.given_pairs import list_given_pairs
from compress.distill.training_data.teacher_images import TeacherImages
from compress.distill.training_data.teacher_precision import translator
from compress.errors import UnusableData, UsageError
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.run.suited import suit_config_to_pairs

CONFIG = DistillConfig(
    image_size_px=32, width=8, blocks=1, steps=3, batch_size=2, sample_every=3, holdout=2, precision="float32",
    perceptual_weight=0.0, statistics_weight=0.0, adversarial_weight=0.1, discriminator="patch", watch_kid=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(teacher_file: Path, photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos at 32 pixels and what the tiny teacher makes of them."""
    folder = tmp_path_factory.mktemp("pairs")
    for half in ("inputs", "targets"):
        (folder / half).mkdir()
    photos = list(images.read_images(sorted((photo_folders / "trainA").iterdir()), 32))
    made = TeacherImages(translator(teachers.load(teacher_file)), folder / "cache")([photo for _, photo in photos])
    for (path, photo), picture in zip(photos, made, strict=True):
        images.write_png(folder / "inputs" / path.name, photo)
        images.write_png(folder / "targets" / path.name, picture)
    return folder


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, augment="occluders")])
def test_pairs_train_the_student_that_their_teacher_trains_bit_for_bit(
    pairs: Path,
    teacher_file: Path,
    tmp_path: Path,
    eagerly: None,
    monkeypatch: pytest.MonkeyPatch,
    config: DistillConfig,
) -> None:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    shutil.copytree(pairs / "inputs", tmp_path / "data/trainA")
    taught = distill(teacher_file, tmp_path / "data", config, tmp_path / "taught")
    given = distill_pairs(pairs, config, tmp_path / "given")
    for one, other in zip(
        teachers.load(taught.path).get_weights(), teachers.load(given.path).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert given.manifest.scores == taught.manifest.scores
    assert given.manifest.parent == list_given_pairs(pairs).fingerprint() != taught.manifest.parent


def test_occluders_are_drawn_where_the_note_of_either_kind_of_photos_says_that_faces_lie(
    pairs: Path, teacher_file: Path, tmp_path: Path, eagerly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    template, asked = AlignmentTemplate(eyes_y=0.4), []
    shutil.copytree(pairs, tmp_path / "pairs")
    shutil.copytree(pairs / "inputs", tmp_path / "data/trainA")
    for folder in (tmp_path / "pairs/inputs", tmp_path / "data"):
        (folder / "NOTE.json").write_text(json.dumps(record_template(template)), encoding="utf-8")

    def draw(seeds: list, size_px: int, alignment: AlignmentTemplate | None) -> list[None]:
        asked.append(alignment)
        return [None] * len(seeds)

    monkeypatch.setattr("compress.distill.fit.draw_occluders", draw)
    monkeypatch.setattr("compress.distill.step_inputs.draw_occluders", draw)
    config = replace(CONFIG, steps=2, augment="occluders")
    taught = distill(teacher_file, tmp_path / "data", config, tmp_path / "taught")
    times = len(asked)
    given = distill_pairs(tmp_path / "pairs", config, tmp_path / "given")
    assert times > 0
    assert asked == 2 * times * [template]
    for out in (taught, given):
        assert read_template(out.manifest.config, origin=out.path) == template
        assert out.manifest.config["augment"] == "occluders"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hint_weight": 1.0}, r"hint_weight = 1\.0 \(looks at its inner features\)"),
        ({"gram_weight": 0.5, "channel_weight": 2.0}, r"channel_weight = 2\.0 .*gram_weight = 0\.5"),
        ({"from_teacher": True}, "from_teacher = True"),
    ],
)
def test_what_needs_the_teacher_is_refused_by_name(pairs: Path, tmp_path: Path, changes: dict, named: str) -> None:
    with pytest.raises(UsageError, match=f"--pairs brings no teacher, but .*{named}"):
        distill_pairs(pairs, replace(CONFIG, **changes), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_files_without_a_partner_are_named(pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    shutil.copytree(pairs, folder)
    (folder / "targets/003.png").unlink()
    (folder / "targets/extra.png").write_bytes((folder / "targets/002.png").read_bytes())
    with pytest.raises(UnusableData, match=r"2 files of .* have no partner: .*inputs/003\.png, .*targets/extra\.png"):
        list_given_pairs(folder)
    shutil.rmtree(folder / "targets")
    with pytest.raises(UnusableData, match="has no folder targets; expected inputs and targets"):
        list_given_pairs(folder)


def test_every_broken_picture_is_named_at_once(pairs: Path, tmp_path: Path, eagerly: None) -> None:
    folder = tmp_path / "pairs"
    shutil.copytree(pairs, folder)
    for name in ("001", "004"):
        (folder / f"targets/{name}.png").write_bytes(b"no picture")
    with pytest.raises(UnusableData, match=r"(?s)2 targets are broken:.*001\.png.*004\.png"):
        distill_pairs(folder, CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_size_and_recipe_come_from_the_pairs(pairs: Path, tmp_path: Path) -> None:
    found = suit_config_to_pairs(DistillConfig(), {"steps"}, pairs, tmp_path / "out")
    assert found.image_size_px == 32
    assert suit_config_to_pairs(CONFIG, {"image_size_px"}, pairs, tmp_path / "out").image_size_px == 32


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--teacher", "t.h5"], "leave out --teacher"),
        (["--data", "photos"], "leave out --data"),
        (["--value-range", "0..1"], "leave out a flag on how a teacher is read"),
    ],
)
def test_nothing_else_is_given_beside_pairs(command, pairs: Path, tmp_path: Path, flags: list[str], said: str) -> None:
    ended = command("distill", "--pairs", pairs, "--out", tmp_path / "out", *flags)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_without_a_source_both_ways_are_named(command, tmp_path: Path) -> None:
    ended = command("distill", "--teacher", "t.h5", "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert "--teacher and --data are not both given. Pass them, or --pairs." in ended.stderr
