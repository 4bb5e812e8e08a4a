"""Images shared by the workers of a real Ray: the same scores and pictures, a worker killed or not, in flat memory."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.fleet.cluster import LOOPBACK
from compress.fleet.config import FleetConfig
from compress.images import list_images, write_png
from eval.config import ScoreConfig
from eval.features.weights import find_weights
from eval.scorer import FolderScorer
from eval.sharded import OnWorkers, on_workers

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.timeout(600),
    pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed"),
    # Where a busy machine needs a second start of Ray, the processes of the first end with this one.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SIZE = (64, 64)
SIZE_FLAGS = ("--image-size-px", 64)
WORKERS = FleetConfig(workers=2)
MOST_GROWTH = 1.1
"""Of a worker's peak, from a quarter of the images to all of them."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of 64 px: 2,000 names of 500 files of noise over a colour."""
    folder = tmp_path_factory.mktemp("photos")
    draws = np.random.default_rng(0)
    for number in range(2000):
        path = folder / f"{number:04d}.png"
        if number < 500:
            colour = draws.integers(30, 225, 3)
            write_png(path, (colour + draws.integers(-30, 30, (*SIZE, 3))).astype(np.uint8))
        else:
            path.hardlink_to(folder / f"{number % 500:04d}.png")
    return list_images(folder)


def config(folder: Path) -> ScoreConfig:
    return ScoreConfig(real=folder, fake=folder, network="squeezenet")


def extract(work: OnWorkers, paths: list[Path], *, shards: int) -> np.ndarray:
    work.shard_images = -(-len(paths) // shards)
    return FolderScorer(config(paths[0].parent), paths[:4], SIZE, work).load_or_extract_features(paths)


@pytest.fixture(scope="module")
def alone(photos: list[Path]) -> np.ndarray:
    """Features of the first hundred, by this process."""
    return FolderScorer(config(photos[0].parent), photos[:4], SIZE).load_or_extract_features(photos[:100])


@contextmanager
def watching(look: Callable[[int], object]) -> Iterator[None]:
    """Call a function again and again with the process numbers of workers that do shards."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for process in _workers():
                look(process)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _workers() -> Iterator[int]:
    """Find workers of this process's own Ray that are at a shard."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes().startswith(b"ray::_run") and os.getpid() in _ancestors(int(entry.name)):
                yield int(entry.name)
        except (OSError, ValueError, IndexError):
            # It has ended.
            continue


def _ancestors(process: int) -> Iterator[int]:
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        yield process


def test_features_are_those_of_one_process_for_any_number_of_shards(photos: list[Path], alone: np.ndarray):
    with on_workers(WORKERS, config(photos[0].parent)) as work:
        found = {shards: extract(work, photos[:100], shards=shards) for shards in (1, 2, 5)}
    assert {shards: features.tobytes() == alone.tobytes() for shards, features in found.items()} == dict.fromkeys(
        found, True
    )


def test_a_killed_workers_shard_is_done_again(photos: list[Path], alone: np.ndarray):
    killed: list[int] = []

    def kill_one(process: int) -> None:
        if not killed:
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    with on_workers(WORKERS, config(photos[0].parent)) as work, watching(kill_one):
        found = extract(work, photos[:100], shards=8)
    assert len(killed) == 1
    assert found.tobytes() == alone.tobytes()


def test_a_lost_nodes_shards_are_done_by_the_others(photos: list[Path], alone: np.ndarray):
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.3")
        raylet = second.all_processes["raylet"][0].process

        def lose_node(process: int) -> None:
            if raylet.poll() is None and raylet.pid in _ancestors(process):
                raylet.kill()

        with on_workers(FleetConfig(cluster=cluster.address), config(photos[0].parent)) as work, watching(lose_node):
            found = extract(work, photos[:100], shards=20)
        assert raylet.poll() is not None
        assert found.tobytes() == alone.tobytes()
    finally:
        cluster.shutdown()


def test_a_workers_memory_does_not_grow_with_the_images(photos: list[Path]):
    peaks: dict[int, int] = {}

    def note(process: int) -> None:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        peaks[process] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    with on_workers(WORKERS, config(photos[0].parent)) as work, watching(note):
        extract(work, photos[:500], shards=10)
        # Those of both workers, since the second may have had its first shard late.
        before = max(peaks.values())
        assert len(extract(work, photos, shards=40)) == len(photos)
    assert max(peaks.values()) < MOST_GROWTH * before


def test_a_command_on_two_workers_writes_the_pictures_of_one(
    command: Callable[..., Any], photos: list[Path], teacher_file: Path, tmp_path: Path
):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in photos[:40]:
        (folder / path.name).hardlink_to(path)
    for name, flags in (("alone", ()), ("shared", ("--workers", 2))):
        finished = command("translate", teacher_file, folder, "--out", tmp_path / name, *flags, *SIZE_FLAGS)
        assert finished.returncode == 0, finished.stderr
    written = {name: {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.png")} for name in
               ("alone", "shared")}  # fmt: skip
    assert len(written["shared"]) == 40
    assert written["shared"] == written["alone"]


def test_a_command_that_is_told_to_end_leaves_nothing(
    start_command: Callable[..., Any], photos: list[Path], teacher_file: Path, tmp_path: Path
):
    running = start_command(
        "translate", teacher_file, photos[0].parent, "--out", tmp_path / "out", "--workers", 1, *SIZE_FLAGS
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.partial-*/*.png")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    running.terminate()
    assert running.wait(60) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("*out*"))
