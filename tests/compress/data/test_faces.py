"""`compress data faces`: every face aligned, its photo's name kept, the template beside; nothing is lost unsaid."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from compress.data.config import FacesConfig
from compress.data.faces import cut_faces, read_alignment
from compress.data.folders import list_photos
from compress.errors import UnusableArtifact, UnusableData, UsageError
from compress.faces.find import find_faces
from compress.faces.template import ALIGNMENT, AlignmentTemplate
from compress.images import read_image, write_png

SIDE = 128


@pytest.fixture
def photos(draw_face, tmp_path: Path) -> Path:
    """One face, two faces, none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    one = np.full((240, 320, 3), 130, np.uint8)
    one[20:220, 90:290] = draw_face(200)
    two = np.full((360, 640, 3), 130, np.uint8)
    two[60:220, 20:180], two[40:320, 320:600] = draw_face(160), draw_face(280)
    for name, photo in (("one", one), ("two", two), ("none", np.full((90, 90, 3), 130, np.uint8))):
        write_png(folder / f"{name}.png", photo)
    return folder


def eyes_of(file: Path) -> np.ndarray:
    (face,) = find_faces(read_image(file))
    return face.points[:2] / SIDE


def test_faces_are_aligned_by_command_and_the_template_lies_beside(command, photos, tmp_path) -> None:
    out = tmp_path / "set"
    done = command("data", "faces", photos, "--out", out, "--image-size-px", SIDE, "--json")
    assert done.returncode == 0, done.stderr
    expected = {"out": str(out), "photos": 3, "faces": 2, "enlarged": 0, "without_face": 1}
    assert json.loads(done.stdout) == expected
    assert "no face taken in 1 of 3 photos: none.png" in done.stderr
    assert sorted(path.name for path in out.glob("*.png")) == ["one.png", "two.png"]
    for file in out.glob("*.png"):
        assert read_image(file).shape == (SIDE, SIDE, 3)
        # By 3 % of the square: what the finder sees anew in the square.
        np.testing.assert_allclose(eyes_of(file).mean(axis=0), (0.5, 0.43), atol=0.03)
    note = json.loads((out / "NOTE.json").read_text())
    assert note[ALIGNMENT] == {
        "eye_distance": 0.235, "eye_to_mouth": 0.265, "eyes_x": 0.5, "eyes_y": 0.43, "level_eyes": True,
    }  # fmt: skip
    assert note["without_face"] == ["none.png"]
    assert note["config"]["image_size_px"] == SIDE


def test_all_faces_are_numbered_by_size(photos, tmp_path) -> None:
    result = cut_faces(photos, FacesConfig(image_size_px=SIDE, all=True), tmp_path / "set")
    assert sorted(path.name for path in (tmp_path / "set").glob("*.png")) == ["one_1.png", "two_1.png", "two_2.png"]
    assert (result["faces"], result["without_face"]) == (3, 1)


def test_the_nth_face_is_taken_where_there_are_so_many(photos, tmp_path) -> None:
    result = cut_faces(photos, FacesConfig(image_size_px=SIDE, nth=2), tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").glob("*.png")] == ["two.png"]
    assert (result["faces"], result["without_face"]) == (1, 2)


def test_faces_that_had_to_be_enlarged_are_counted(photos, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = cut_faces(photos, FacesConfig(image_size_px=256), tmp_path / "set")
    assert result["enlarged"] == 2
    assert any("2 of 2 faces are smaller than 256 pixels" in message for message in caplog.messages)


def test_a_data_set_keeps_its_folders(photos, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("trainA", "testB"):
        (data / name).symlink_to(photos)
    cut_faces(data, FacesConfig(image_size_px=SIDE), tmp_path / "set")
    found = sorted(str(path.relative_to(tmp_path / "set")) for path in (tmp_path / "set").rglob("*.png"))
    assert found == ["testB/one.png", "testB/two.png", "trainA/one.png", "trainA/two.png"]
    assert json.loads((tmp_path / "set" / "NOTE.json").read_text())["without_face"] == [
        "trainA/none.png", "testB/none.png",
    ]  # fmt: skip
    assert [path.name for path in list_photos(tmp_path / "set", "A", "train")] == ["one.png", "two.png"]
    assert read_alignment(tmp_path / "set") == {
        ALIGNMENT: json.loads((tmp_path / "set/NOTE.json").read_text())[ALIGNMENT]
    }


def test_a_template_of_ones_own_is_followed_and_recorded(photos, tmp_path) -> None:
    template = AlignmentTemplate(eye_distance=0.35, eye_to_mouth=0.4, eyes_y=0.38)
    cut_faces(photos, FacesConfig(image_size_px=SIDE), tmp_path / "set", template=template)
    eyes = eyes_of(tmp_path / "set" / "one.png")
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(0.35, abs=0.03)
    np.testing.assert_allclose(eyes.mean(axis=0), (0.5, 0.38), atol=0.03)
    assert read_alignment(tmp_path / "set")[ALIGNMENT]["eye_distance"] == 0.35


def test_photos_without_any_face_are_refused(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    write_png(tmp_path / "photos" / "a.png", np.full((90, 90, 3), 130, np.uint8))
    with pytest.raises(UnusableData, match=r"no photo in .* holds a face"):
        cut_faces(tmp_path / "photos", FacesConfig(), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_note_is_not_said_to_be_left_out(photos, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    cut_faces(photos, FacesConfig(image_size_px=SIDE, all=True), tmp_path / "set")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        list_photos(tmp_path / "set", "A", "train")
    assert not any("NOTE.json" in message for message in caplog.messages)


def test_other_data_sets_record_no_alignment(tmp_path) -> None:
    assert read_alignment(tmp_path) == {}
    (tmp_path / "NOTE.json").write_text('{"what": "avatars"}')
    assert read_alignment(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", f'{{"{ALIGNMENT}": {{"eyes_x": 7}}}}', f'{{"{ALIGNMENT}": 1}}'])
def test_a_damaged_note_is_named(content: str, tmp_path) -> None:
    (tmp_path / "NOTE.json").write_text(content)
    with pytest.raises(UnusableArtifact, match=r"NOTE\.json"):
        read_alignment(tmp_path)


def test_what_goes_not_together_is_refused() -> None:
    with pytest.raises(UsageError, match="nth = 2"):
        FacesConfig(all=True, nth=2)
    with pytest.raises(UsageError, match="image_size_px = 8"):
        FacesConfig(image_size_px=8)
