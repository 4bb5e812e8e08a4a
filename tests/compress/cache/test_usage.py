"""`compress cache`: shows, bounds and clears what this tool keeps, and touches nothing else."""

import json
import os
import time
from pathlib import Path

import pytest

from compress.cache.usage import list_entries, measure_usage, shrink

DAY_S = 24 * 3600


def keep(path: Path, size_bytes: int, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    used = time.time() - days * DAY_S
    os.utime(path, (used, used))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two pictures of one teacher, one of another, an archive; and what others put beside them."""
    root = tmp_path / "cache"
    keep(root / "teacher_images/aaaa-128px" / f"{'1' * 64}.png", 1000, 30)
    keep(root / "teacher_images/aaaa-128px" / f"{'2' * 64}.png", 2000, 1)
    keep(root / "teacher_images/bbbb-256px" / f"{'3' * 64}.png", 4000, 10)
    keep(root / "litertjs/core-2.5.3.tgz", 8000, 20)
    for name in ("notes.txt", "teacher_images/holiday.png", "teacher_images/aaaa-128px/notes.txt", "photos/1.png"):
        keep(root / name, 500, 99)
    return root


def mine(root: Path) -> list[str]:
    """What others put there."""
    names = ("notes.txt", "photos/1.png", "teacher_images/aaaa-128px/notes.txt", "teacher_images/holiday.png")
    return [name for name in names if (root / name).is_file()]


def test_folders_are_shown_with_their_size_and_age(cache: Path) -> None:
    usage = {each.folder: (each.files, each.size_bytes, round(each.used_days_ago)) for each in measure_usage(cache)}
    assert usage == {
        "litertjs": (1, 8000, 20),
        "teacher_images/aaaa-128px": (2, 3000, 1),
        "teacher_images/bbbb-256px": (1, 4000, 10),
    }
    assert [round(each.oldest_days_ago) for each in measure_usage(cache)] == [20, 30, 10]


@pytest.mark.parametrize(
    ("max_bytes", "deleted", "left"),
    [(15000, 0, 15000), (14999, 1, 14000), (7000, 2, 6000), (0, 4, 0)],
)
def test_the_longest_unused_files_go_first(cache: Path, max_bytes: int, deleted: int, left: int) -> None:
    assert shrink(cache, max_bytes) == (deleted, 15000 - left)
    assert sum(entry.size_bytes for entry in list_entries(cache)) == left
    assert len(mine(cache)) == 4


def test_what_is_no_file_of_this_tool_stays_though_links_lead_there(cache: Path, tmp_path: Path) -> None:
    elsewhere = keep(tmp_path / "elsewhere" / f"{'4' * 64}.png", 100, 1)
    (cache / "teacher_images/linked").symlink_to(elsewhere.parent)
    (cache / "teacher_images" / f"{'5' * 64}.png").symlink_to(elsewhere)
    shrink(cache, 0)
    assert elsewhere.is_file()
    assert len(mine(cache)) == 4
    assert not (cache / "litertjs").exists()
    assert not (cache / "teacher_images/bbbb-256px").exists()


def test_the_command_shows_bounds_and_clears(cache: Path, command) -> None:
    environment = {**os.environ, "POCKETGAN_CACHE": str(cache)}
    shown = command("cache", env=environment)
    assert shown.returncode == 0, shown.stderr
    assert ["teacher_images/aaaa-128px", "2", "0.0", "MB", "1.0", "days", "ago", "30.0", "days", "ago"] in [
        line.split() for line in shown.stdout.splitlines()
    ]
    bounded = json.loads(command("cache", "--max-bytes", "7000", "--json", env=environment).stdout)
    assert (bounded["deleted_files"], bounded["freed_bytes"], bounded["size_bytes"]) == (2, 9000, 6000)
    cleared = json.loads(command("cache", "--clear", "--json", env=environment).stdout)
    assert (cleared["size_bytes"], cleared["folders"]) == (0, [])
    assert len(mine(cache)) == 4


def test_an_empty_cache_is_nothing_to_complain_of(command, tmp_path: Path) -> None:
    shown = command("cache", "--clear", env={**os.environ, "POCKETGAN_CACHE": str(tmp_path / "none")})
    assert (shown.returncode, shown.stdout) == (0, f"{tmp_path / 'none'}: 0.0 MB\n")
    assert list(tmp_path.iterdir()) == []


def test_both_flags_at_once_and_a_negative_bound_are_refused(command, tmp_path: Path) -> None:
    for flags in (("--clear", "--max-bytes", "5"), ("--max-bytes", "-1")):
        refused = command("cache", *flags, env={**os.environ, "POCKETGAN_CACHE": str(tmp_path)})
        assert refused.returncode == 2
        assert "--max-bytes" in refused.stderr
