"""Inputs of the commands that are crashed, so small that each runs in a second or two."""

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from faulty import Run
from harness import Starter

from compress.cache.store import Store
from compress.files.ownership import mark_folder
from compress.images import write_png

STUDENTS = Path(__file__).resolve().parents[2] / "benchmarks" / "students" / "horse2zebra"
KERAS = ("tensorflow", "keras", "compress.teach.stage", "compress.distill.stage", "compress.prune.stage")
"""Modules that commands need which train."""
SIZE = ("--image-size-px", "32")
TRAINING = (
    *("--steps", "2", "--sample-every", "1", "--checkpoint-every", "1", "--batch-size", "1"),
    *("--holdout", "2", "--precision", "float32"),
)
DISTILL = (
    *("distill", "--teacher", "g.h5", "--data", "data", "--recipe", "faithful", *SIZE, "--width", "8", "--blocks", "1"),
    *("--adversarial-weight", "0", "--perceptual-weight", "0", "--statistics-weight", "0", *TRAINING, "--no-watch-kid"),
)
TEACH = (
    "teach",
    "--data",
    "data",
    *SIZE,
    "--filters",
    "4",
    "--blocks",
    "1",
    "--decay-steps",
    "0",
    *TRAINING,
    "--no-watch-kid",
)
_SIDE_PX, _PHOTOS = 32, 8
Prepare = Callable[[Path], None]


def draw(folder: Path, seed: int) -> None:
    """Draw photos of noise."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for index in range(_PHOTOS):
        write_png(folder / f"{index}.png", chance.integers(0, 256, (_SIDE_PX, _SIDE_PX, 3), dtype=np.uint8))


def data(folder: Path) -> None:
    """Draw a data set."""
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        draw(folder / "data" / name, seed)


def photos(folder: Path) -> None:
    """Draw two folders of photos."""
    draw(folder / "photos", 0)
    draw(folder / "pictures", 1)


def cached(folder: Path) -> None:
    """Fill a cache with teacher's images."""
    store = Store(folder / "cache" / "teacher_images")
    for index in range(3):
        store.keep(f"{index:064x}.png", b"picture")


def candidate(folder: Path) -> None:
    """Draw a data set, and pictures of a teacher and of a candidate."""
    data(folder)
    draw(folder / "teacher", 4)
    draw(folder / "candidate", 4)
    draw(folder / "worse", 5)


def models(folder: Path) -> None:
    """Draw a data set and copy a teacher and a student of it."""
    for made in _trained().iterdir():
        (shutil.copytree if made.is_dir() else shutil.copy)(made, folder / made.name)


def recipe(folder: Path) -> None:
    """Draw a data set, copy a teacher and write a recipe of all student's stages."""
    models(folder)
    shutil.rmtree(folder / "student")
    losses = "adversarial_weight = 0.0\nperceptual_weight = 0.0\nstatistics_weight = 0.0\n"
    training = "steps = 1\nsample_every = 1\nholdout = 2\nbatch_size = 1\nwatch_kid = false\nprecision = 'float32'\n"
    net = "image_size_px = 32\nwidth = 8\nblocks = 1\n"
    (folder / "tiny.toml").write_text(
        f"[distill]\n{net}{losses}{training}\n[export]\nprecision = 'fp32'\n\n[measure]\nruns = 1\n", encoding="utf-8"
    )


def with_students(prepare: Prepare, *students: str) -> Prepare:
    """Return a function that prepares a folder and puts students of the repository into it."""

    def both(folder: Path) -> None:
        prepare(folder)
        for name in students:
            shutil.copy(STUDENTS / name, folder / name)

    return both


def replacing_folder(prepare: Prepare) -> Prepare:
    """Return a function that prepares a folder with an output of an earlier command in it."""

    def both(folder: Path) -> None:
        prepare(folder)
        draw(folder / "out", 9)
        mark_folder(folder / "out")

    return both


def replacing_record(prepare: Prepare, name: str) -> Prepare:
    """Return a function that prepares a folder with a record of an earlier command in it."""

    def both(folder: Path) -> None:
        prepare(folder)
        (folder / name).write_text(json.dumps({"kid": 1, "content_sha256": ""}), encoding="utf-8")

    return both


@cache
def _trained() -> Path:
    """Train a teacher and a student, once."""
    scratch = Path(tempfile.mkdtemp(prefix="pocketgan-crash-")).resolve()
    atexit.register(shutil.rmtree, scratch)
    folder = scratch / "here"
    data(folder)
    starter = Starter(KERAS)
    for line in ((*TEACH, "--out", "teachers"), (*DISTILL, "--out", "student")):
        ended = starter.run(Run("none", 0, str(folder), str(scratch / "said"), list(line), forks=False))
        if ended.exit_code:
            raise ValueError(f"{line[0]} fails: {ended.said}")
        if line[0] == "teach":
            (folder / "teachers" / "g_a2b.h5").rename(folder / "g.h5")
            shutil.rmtree(folder / "teachers")
    starter.close()
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return folder
