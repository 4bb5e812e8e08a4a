"""Sizes that a generator keeps, and the nearest ones."""

import pytest

from compress import teachers
from compress.errors import UsageError
from compress.teachers.interpretation.sizes import require_keeps_size


@pytest.fixture(scope="module")
def description(teacher_file):
    return teachers.describe(teacher_file)


@pytest.mark.parametrize("side", [32, 36, 64])
def test_a_size_that_can_be_halved_twice_is_kept(description, side) -> None:
    require_keeps_size(description, "tiny.pth", (side, side), advice="")


@pytest.mark.parametrize(("side", "nearest"), [(66, "64 and 68"), (33, "32 and 36")])
def test_another_is_refused_with_the_nearest(description, side, nearest) -> None:
    with pytest.raises(UsageError, match=f"cannot keep {side}x{side} pixels.*{nearest}"):
        require_keeps_size(description, "tiny.pth", (side, side), advice="")


@pytest.mark.parametrize(
    "line",
    [
        "inspect {teacher}",
        "translate {teacher} {data}/testA --out {out}",
        "export tflite {teacher} --out {out}",
    ],
)
def test_every_command_refuses_before_it_works(command, teacher_file, photo_folders, tmp_path, line) -> None:
    out = tmp_path / "out"
    words = line.format(teacher=teacher_file, data=photo_folders, out=out).split()
    ended = command(*words, "--image-size-px", 66)
    assert ended.returncode == 2
    assert "cannot keep 66x66 pixels: it makes 68x68" in ended.stderr
    assert not out.exists()
