"""The commands whose crashes are tried, on inputs so small that each runs in a second; those that train take longer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Case

from compress.files.ownership import mark_folder
from compress.images import write_png

_STUDENTS = Path(__file__).resolve().parents[2] / "benchmarks" / "students" / "horse2zebra"
_SIDE_PX, _PHOTOS = 32, 8


def _draw(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for index in range(_PHOTOS):
        write_png(folder / f"{index}.png", chance.integers(0, 256, (_SIDE_PX, _SIDE_PX, 3), dtype=np.uint8))


def _data(folder: Path) -> None:
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        _draw(folder / "data" / name, seed)


def _photos(folder: Path) -> None:
    _draw(folder / "photos", 0)
    _draw(folder / "pictures", 1)


def _with(prepare: Callable[[Path], None], *students: str) -> Callable[[Path], None]:
    """Return a function that prepares a folder and puts students into it."""

    def both(folder: Path) -> None:
        prepare(folder)
        for name in students:
            shutil.copy(_STUDENTS / name, folder / name)

    return both


def _replacing(prepare: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a function that prepares a folder with an output of an earlier run in it."""

    def both(folder: Path) -> None:
        prepare(folder)
        _draw(folder / "out", 9)
        mark_folder(folder / "out")

    return both


def _replacing_record(folder: Path) -> None:
    _photos(folder)
    (folder / "scores.json").write_text(json.dumps({"kid": 1, "content_sha256": ""}), encoding="utf-8")


_TRANSLATE = ("translate", "small_int8.tflite", "photos", "--out", "out")
_SCORE = ("eval", "score", "--real", "photos", "--fake", "pictures", "--network", "efficientnet-lite0")
_SIZE = ("--image-size-px", "32")
_TEACH = (
    "teach",
    "--data",
    "data",
    *_SIZE,
    "--out",
    "out",
    "--filters",
    "4",
    "--blocks",
    "1",
    "--steps",
    "2",
    "--decay-steps",
    "0",
)
_SHORT = ("--sample-every", "1", "--holdout", "2", "--no-watch-kid", "--precision", "float32", "--batch-size", "1")

QUICK = (
    Case("data photos", _data, ("data", "photos", "data", "--out", "out", "--image-size-px", "16")),
    Case(
        "data photos --overwrite",
        _replacing(_data),
        ("data", "photos", "data", "--out", "out", "--image-size-px", "16", "--overwrite"),
    ),
    Case("eval perturb", _photos, ("eval", "perturb", "photos", "--out", "out", "--image-size-px", "16")),
    Case("translate", _with(_photos, "small_int8.tflite"), _TRANSLATE),
    Case("translate --overwrite", _with(_replacing(_photos), "small_int8.tflite"), (*_TRANSLATE, "--overwrite")),
)
"""Commands that load neither TensorFlow nor PyTorch."""
SLOW = (
    Case("eval score", _photos, (*_SCORE, "--out", "scores.json"), varies=("scores.json",)),
    Case(
        "eval score --overwrite",
        _replacing_record,
        (*_SCORE, "--out", "scores.json", "--overwrite"),
        varies=("scores.json",),
    ),
    Case("export tflite", _with(_photos, "small_fp16.keras"), ("export", "tflite", "small_fp16.keras", "--out", "out")),
    Case("teach", _data, (*_TEACH, *_SHORT), varies=("teaching.json", ".png", ".h5"), resumes_from="out.training"),
    Case(
        "distill",
        _with(_data, "small_fp16.keras"),
        (
            *("distill", "--teacher", "small_fp16.keras", "--data", "data", "--recipe", "faithful", "--out", "out"),
            *("--image-size-px", "256", "--steps", "2", "--adversarial-weight", "0", "--perceptual-weight", "0"),
            *("--statistics-weight", "0", *_SHORT),
        ),
        varies=("training.json", "manifest.json", ".keras"),
        resumes_from="out.training",
    ),
)
"""Commands that load one of them."""
