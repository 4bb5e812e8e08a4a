"""`compress lens video` on films that the tests draw: frames, times and sound kept, kills survived, refusals named."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData, UsageError
from compress.images import psnr_db
from export.lens.config import LensConfig
from export.lens.segments import FRAMES
from export.lens.video import translate_film

EVEN = [index * 3000 for index in range(300)]
UNEVEN = np.cumsum(np.random.default_rng(0).integers(1500, 6000, 300)).tolist()


def read_film(path: Path) -> tuple[list[Any], list[np.ndarray]]:
    """Times and pictures of a film, upright."""
    with av.open(str(path)) as film:
        times, pictures = [], []
        for frame in film.decode(video=0):
            times.append((frame.pts, frame.time_base))
            pictures.append(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))
        return times, pictures


def read_sound(path: Path) -> tuple[str, list[Any]]:
    """Hash and times of a film's packets of sound."""
    digest, times = hashlib.sha256(), []
    with av.open(str(path)) as film:
        for packet in film.demux(audio=0):
            if packet.dts is not None:
                digest.update(bytes(packet))
                times.append((packet.pts, packet.time_base))
    return digest.hexdigest(), times


def length(path: Path) -> tuple[int | None, Fraction | None]:
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        return stream.duration, stream.time_base


@pytest.mark.parametrize(
    ("times", "rotation"), [pytest.param(EVEN, 0, id="constant rate"), pytest.param(UNEVEN, 90, id="uneven, turned")]
)
def test_300_frames_with_sound_come_out_as_many_as_long_and_at_the_same_times(
    times: list[int], rotation: int, identity, make_film, walk, tmp_path
) -> None:
    turned = [np.ascontiguousarray(np.rot90(frame, -rotation // 90)) for frame in walk(300)]
    film = make_film(tmp_path / "in.mp4", turned, times=times, rotation=rotation)
    result = translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    expected = {"frames": 300, "translated": 300, "without_face": 0, "height_px": 120, "width_px": 160}
    assert result == {"out": str(tmp_path / "out.mp4"), **expected}
    (before, pictures), (after, made) = read_film(film), read_film(tmp_path / "out.mp4")
    assert after == before
    assert length(tmp_path / "out.mp4") == length(film)
    assert read_sound(tmp_path / "out.mp4") == read_sound(film)
    assert made[0].shape == (120, 160, 3)
    assert min(psnr_db(one.astype(int) - two, peak=255) for one, two in zip(pictures, made, strict=True)) > 33
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_the_face_is_translated_where_it_lies_and_nothing_else(negative, make_film, walk, tmp_path) -> None:
    film = make_film(tmp_path / "in.mp4", walk(20), times=EVEN[:20], sound=None)
    translate_film(negative, film, tmp_path / "out.mp4", LensConfig())
    for index, (before, after) in enumerate(zip(read_film(film)[1], read_film(tmp_path / "out.mp4")[1], strict=True)):
        x = 30 + round(25 * np.sin(index / 20)) + 50
        change = np.abs(before[65, x].astype(int) + after[65, x] - 255)
        assert change.max() < 25, index
        assert np.abs(before[:, :8].astype(int) - after[:, :8]).mean() < 2


def test_frames_without_a_face_pass_through(negative, make_film, walk, tmp_path) -> None:
    empty = np.full((120, 160, 3), (120, 130, 110), np.uint8)
    film = make_film(tmp_path / "in.mp4", [*walk(6), *[empty] * 4, *walk(5)], times=EVEN[:15])
    result = translate_film(negative, film, tmp_path / "out.mp4", LensConfig())
    assert (result["translated"], result["without_face"]) == (11, 4)
    pictures = read_film(tmp_path / "out.mp4")[1]
    assert np.abs(pictures[7].astype(int) - empty).max() < 12


def test_side_by_side_shows_the_frame_at_the_left(negative, make_film, walk, tmp_path) -> None:
    film = make_film(tmp_path / "in.mp4", walk(5), times=EVEN[:5])
    result = translate_film(negative, film, tmp_path / "out.mp4", LensConfig(side_by_side=True))
    assert (result["height_px"], result["width_px"]) == (120, 320)
    before, after = read_film(film)[1][3], read_film(tmp_path / "out.mp4")[1][3]
    assert psnr_db(after[:, :160].astype(int) - before, peak=255) > 33
    assert np.abs(after[40:90, 220:260].astype(int) - before[40:90, 60:100]).mean() > 40


def test_a_whole_film_is_translated_without_looking_for_a_face(negative, make_film, tmp_path) -> None:
    frames = [np.full((64, 96, 3), (200, 90, 60), np.uint8)] * 3
    film = make_film(tmp_path / "in.mp4", frames, times=EVEN[:3])
    translate_film(negative, film, tmp_path / "out.mp4", LensConfig(region="whole"))
    np.testing.assert_allclose(read_film(tmp_path / "out.mp4")[1][1].mean(axis=(0, 1)), (55, 165, 195), atol=3)


@pytest.mark.parametrize("shape", [(121, 161), (120, 161)])
def test_a_film_of_odd_sides_keeps_them(shape: tuple[int, int], identity, make_film, tmp_path) -> None:
    frames = [np.full((*shape, 3), (200, 90, 60), np.uint8)] * 2
    film = make_film(tmp_path / "in.mp4", frames, times=EVEN[:2], pixel_format="yuv444p")
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert read_film(tmp_path / "out.mp4")[1][0].shape == (*shape, 3)


@pytest.mark.parametrize("matrix", [1, 5])
def test_colours_are_kept_by_whatever_matrix_the_film_has(matrix: int, identity, make_film, tmp_path) -> None:
    frames = [np.full((64, 64, 3), (200, 40, 90), np.uint8)] * 2
    film = make_film(tmp_path / "in.mp4", frames, times=EVEN[:2], colorspace=matrix)
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    before, after = (read_film(path)[1][0].astype(int) for path in (film, tmp_path / "out.mp4"))
    assert np.abs(before - after).max() <= 4
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert written.streams.video[0].codec_context.colorspace == matrix


def run_until_killed(arguments: list[str], segments: Path) -> None:
    """Run a command until it has finished a segment, and kill it."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(segments.glob("*.segment")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_after_sigkill_the_same_command_writes_the_same_bytes(command, identity, make_film, walk, tmp_path) -> None:
    film = make_film(tmp_path / "in.mp4", walk(300), times=UNEVEN)
    translate_film(identity, film, tmp_path / "undisturbed.mp4", LensConfig())
    out = tmp_path / "out.mp4"
    arguments = ["lens", "video", identity, film, "--out", out]
    run_until_killed([sys.executable, "-P", "-m", "compress", *map(str, arguments)], tmp_path / "out.mp4.segments")
    assert not out.exists()
    kept = (tmp_path / "out.mp4.segments" / "000000.segment").stat().st_mtime_ns
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 300
    assert kept < out.stat().st_mtime_ns
    assert out.read_bytes() == (tmp_path / "undisturbed.mp4").read_bytes()
    assert not (tmp_path / "out.mp4.segments").exists()


def test_finished_segments_are_not_made_again(identity, make_film, walk, tmp_path, monkeypatch) -> None:
    film = make_film(tmp_path / "in.mp4", walk(FRAMES + 10), times=EVEN[: FRAMES + 10])
    taken = []

    def fail_late(photo: np.ndarray) -> np.ndarray:
        taken.append(1)
        if len(taken) == FRAMES + 5:
            raise KeyboardInterrupt
        return photo / 127.5 - 1

    def open_counting(*_, **__):
        return (lambda photo: fail_late(photo)), (64, 64)

    monkeypatch.setattr("export.lens.lens.open_translator", open_counting)
    with pytest.raises(KeyboardInterrupt):
        translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert sorted(path.name for path in (tmp_path / "out.mp4.segments").glob("*.segment")) == ["000000.segment"]
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert len(taken) == FRAMES + 5 + 10
    # What another configuration began is of no use.
    taken.clear()
    with pytest.raises(KeyboardInterrupt):
        translate_film(identity, film, tmp_path / "other.mp4", LensConfig())
    translate_film(identity, film, tmp_path / "other.mp4", LensConfig(feather=0.3))
    assert len(taken) == FRAMES + 5 + FRAMES + 10
    assert len(read_film(tmp_path / "other.mp4")[0]) == FRAMES + 10


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_segment_is_made_again(place: int, identity, make_film, walk, tmp_path, monkeypatch) -> None:
    film = make_film(tmp_path / "in.mp4", walk(FRAMES + 2), times=EVEN[: FRAMES + 2])
    translate_film(identity, film, tmp_path / "undisturbed.mp4", LensConfig())

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("export.lens.video.join", interrupt)
        with pytest.raises(KeyboardInterrupt):
            translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    segment = tmp_path / "out.mp4.segments" / "000000.segment"
    content = bytearray(segment.read_bytes())
    content[place] ^= 1
    segment.write_bytes(content)
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "undisturbed.mp4").read_bytes()


def test_a_film_of_this_tool_is_overwritten_and_no_other(identity, make_film, walk, tmp_path) -> None:
    film = make_film(tmp_path / "in.mp4", walk(3), times=EVEN[:3])
    out = tmp_path / "out.mp4"
    translate_film(identity, film, out, LensConfig())
    with pytest.raises(UsageError, match="exists already"):
        translate_film(identity, film, out, LensConfig())
    translate_film(identity, film, out, LensConfig(), overwrite=True)
    foreign = make_film(tmp_path / "foreign.mp4", walk(3), times=EVEN[:3])
    content = foreign.read_bytes()
    with pytest.raises(UsageError, match="was not written by this tool"):
        translate_film(identity, film, foreign, LensConfig(), overwrite=True)
    assert foreign.read_bytes() == content


def test_a_folder_of_somebody_else_at_the_segments_place_is_left_alone(identity, make_film, walk, tmp_path) -> None:
    film = make_film(tmp_path / "in.mp4", walk(2), times=EVEN[:2])
    (tmp_path / "out.mp4.segments").mkdir()
    (tmp_path / "out.mp4.segments" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert (tmp_path / "out.mp4.segments" / "mine.txt").read_text() == "mine"


def test_what_is_no_film_is_named(identity, make_film, walk, tmp_path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no film")
    playlist = tmp_path / "list.m3u8"
    film = make_film(tmp_path / "in.mp4", walk(2), times=EVEN[:2])
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film.name}\n#EXT-X-ENDLIST\n")
    song = make_film(tmp_path / "song.mp4", [], times=[])
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path, said in (
        (tmp_path / "gone.mp4", "gone.mp4 does not exist"),
        (text, "notes.mp4 is no film that can be read"),
        (playlist, "list.m3u8 is no film that can be read"),
        (song, "no video stream|no film"),
        (pipe, "pipe.mp4 is no file"),
        (tmp_path, "is no file"),
    ):
        with pytest.raises(UnusableData, match=said):
            translate_film(identity, path, tmp_path / "out.mp4", LensConfig())


def test_sound_that_an_mp4_does_not_hold_is_refused_before_any_frame_is_made(identity, make_film, walk, tmp_path):
    film = make_film(tmp_path / "in.mkv", walk(2), times=EVEN[:2], sound="pcm_u8")
    with pytest.raises(UsageError, match="its sound is pcm_u8"):
        translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    assert not (tmp_path / "out.mp4.segments").exists()


def test_without_the_package_av_the_extra_is_named(identity, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"need the package av: .*video"):
        translate_film(identity, tmp_path / "in.mp4", tmp_path / "out.mp4", LensConfig())


def test_another_kind_of_output_is_refused(command, identity, tmp_path) -> None:
    done = command("lens", "video", identity, tmp_path / "in.mp4", "--out", tmp_path / "out.avi")
    assert (done.returncode, "ends in .mp4" in done.stderr) == (2, True)


def test_a_folder_at_the_outputs_place_is_refused_before_any_frame_is_read(identity, tmp_path, monkeypatch) -> None:
    (tmp_path / "out.mp4").mkdir()
    monkeypatch.setattr("export.lens.video.check_sound", lambda film: pytest.fail("the film was opened"))
    with pytest.raises(UsageError, match=r"out\.mp4 is a folder"):
        translate_film(identity, tmp_path / "in.mp4", tmp_path / "out.mp4", LensConfig(), overwrite=True)


def test_a_film_comes_out_no_darker_than_it_was(identity, make_film, tmp_path) -> None:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(30, 220, (6, 8, 3), dtype=np.uint8))
    frames = [np.asarray(coarse.resize((160, 120), Image.Resampling.BICUBIC))] * 2
    film = make_film(tmp_path / "in.mp4", frames, times=EVEN[:2], crf="1")
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())

    def planes(path: Path) -> np.ndarray:
        with av.open(str(path)) as opened:
            return np.stack([frame.to_ndarray(format="yuv420p") for frame in opened.decode(video=0)]).astype(int)

    difference = planes(tmp_path / "out.mp4")[:, :120] - planes(film)[:, :120]
    # Without exact conversions, -1.2; a level of 255 is 0.86 of a film's.
    assert abs(difference.mean()) < 0.25


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (1, None)])
def test_a_film_of_high_dynamic_range_is_told(transfer: int, name: str | None, identity, make_film, tmp_path, caplog):
    frames = [np.full((64, 96, 3), (200, 90, 60), np.uint8)] * 2
    film = make_film(
        tmp_path / "in.mp4", frames, times=EVEN[:2], pixel_format="yuv420p10le", color_trc=transfer, colorspace=1
    )
    translate_film(identity, film, tmp_path / "out.mp4", LensConfig())
    told = [record.getMessage() for record in caplog.records if "high dynamic range" in record.getMessage()]
    assert [f"({name})" in message for message in told] == ([True] if name else [])
