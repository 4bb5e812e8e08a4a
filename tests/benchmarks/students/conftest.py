"""Students without a net, their task, and stand-ins for the commands of a comparison.

The commands themselves are tested where they belong; here they are read as the program reads them, and all but the
laying out of photos write made-up results.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from benchmarks.published.config import PublishedConfig
from benchmarks.students.config import StudentsConfig
from compress import images
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.cli import app
from compress.data.photos import prepare_photos
from compress.run import stages

SIDE = 16
KID, FD = "kid_efficientnet_lite0", "fd_efficientnet_lite0"
SIZES = {"teacher_fp32": 44_000_000, "teacher_dynamic": 11_000_000, "small_int8": 99_000, "large_int8": 236_976}
SPEEDUPS = {"teacher_fp32": 1.0, "teacher_dynamic": 2.5, "small_int8": 300.0, "large_int8": 150.0}
KIDS = {"inputs": 0.05, "teacher_fp32": 0.004, "small_int8": 0.0101, "large_int8": 0.0059}


def _artifact(path: Path, *, domain: str | None = "A", side: int | None = SIDE, form: str = "keras") -> Path:
    """A student without a net in it."""
    path.mkdir(parents=True)
    chosen: Literal["keras", "tflite"] = "tflite" if form == "tflite" else "keras"
    (path / f"model.{form}").write_text(path.name)
    manifest = Manifest(
        name=path.name,
        format=chosen,
        stage="distill",
        parent=None,
        input=ImageSpec(shape=(side, side, 3)),
        cost=Cost(params=169_536, macs=28_135_008, size_bytes=1),
        config={} if domain is None else {"domain": domain},
    )
    write_manifest(path, manifest)
    return path


@pytest.fixture
def artifact() -> Callable[..., Path]:
    """Write a student without a net in it."""
    return _artifact


@pytest.fixture
def data(photo_folders: Path, tmp_path: Path) -> Path:
    """Four test photos a domain; a test may add their truth."""
    return Path(shutil.copytree(photo_folders, tmp_path / "data"))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "g.h5"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [_artifact(tmp_path / name) for name in ("small", "large")]


@pytest.fixture
def config(teacher: Path) -> PublishedConfig:
    return PublishedConfig(teacher=teacher)


@pytest.fixture
def task(data: Path) -> StudentsConfig:
    return StudentsConfig(data=data)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines in the order they ran."""
    lines: list[list[str]] = []

    def pretend(command: list[str]) -> int:
        line = command[4:]
        lines.append(line)
        app.parse_args(line)
        out = Path(line[line.index("--out") + 1])
        {"data": _lay_out, "export": _export, "translate": _translate, "eval": _score, "bench": _bench}[line[0]](
            line, out
        )
        return 0

    monkeypatch.setattr(stages, "_run_to_end", pretend)
    return lines


def _flag(line: list[str], name: str) -> str:
    return line[line.index(name) + 1]


def _lay_out(line: list[str], out: Path) -> None:
    _, bound, *_ = app.parse_args(line)
    prepare_photos(Path(line[2]), bound.arguments["config"], out, overwrite=True)


def _export(line: list[str], out: Path) -> None:
    if out.exists():
        shutil.rmtree(out)
    _artifact(out, form="tflite")


def _translate(line: list[str], out: Path) -> None:
    """The float teacher's images are black, all others white."""
    out.mkdir(exist_ok=True)
    level = 0 if out.name == "teacher_fp32" else 255
    for path in images.list_images(Path(line[2])):
        images.write_png(out / path.name, np.full((SIDE, SIDE, 3), level, np.uint8))


def _score(line: list[str], out: Path) -> None:
    fakes = len(images.list_images(Path(_flag(line, "--fake"))))
    reals = len(images.list_images(Path(_flag(line, "--real"))))
    kid = KIDS.get(out.stem, 0.008)
    record: dict[str, Any] = {
        "key": {"real_images": reals, "fake_images": fakes, "network": "efficientnet-lite0"},
        FD: 32.44,
        KID: {"mean": kid, "spread": 0.001},
        "intervals": {FD: {"low": 30.0, "high": 35.0}, KID: {"low": kid - 0.002, "high": kid + 0.002}},
        "similarity": {"psnr_db": None if out.stem == "teacher_fp32" else {"mean": 24.125}, "ssim": {"mean": 0.884}},
        "notes": [f"{KID}: over subsets", "intervals: of resamples", "precision and recall: not shown here"],
    }
    if "--truth" in line:
        assert len(images.list_images(Path(_flag(line, "--truth")))) == fakes
        record["truth"] = {"psnr_db": {"mean": 28.08}}
    out.write_text(json.dumps(record))


def _bench(line: list[str], out: Path) -> None:
    if line[1] == "train-peer":
        _train_peer(line, out)
    else:
        _time(line, out)


def _train_peer(line: list[str], out: Path) -> None:
    """Write a peer that differs whenever its student does."""
    if out.exists():
        shutil.rmtree(out)
    _artifact(out)
    (out / "model.keras").write_text((Path(_flag(line, "--like")) / "model.keras").read_text())


def _time(line: list[str], out: Path) -> None:
    paths = [Path(_flag(line, "--baseline"))]
    paths += [Path(word.removeprefix("--candidate=")) for word in line if word.startswith("--candidate=")]
    assert all(path.is_dir() for path in paths)
    entries = [_entry(path.name) for path in paths]
    machine = {"cpu": "A processor", "isa": ["avx2"], "cores": 2, "load_average": 0.1, "litert": "2.3.0"}
    record = {"machine": machine, "threads": 1, "runs": 20, "peak_gmacs_per_s": {"int8": 300.0}, "entries": entries}
    out.write_text(json.dumps(record))


def _entry(key: str) -> dict[str, Any]:
    noisy = "the ratio may be off by 34%" if key == "large_fp32" else None
    return {
        "name": key,
        "threads": 1,
        "size_bytes": SIZES.get(key, 800_000),
        "input_shape": [1, SIDE, SIDE, 3],
        "latency_ms": {"min": 1.0, "median": 1.5, "p95": 2.0, "max": 2.0},
        "speedup": SPEEDUPS.get(key, 40.0),
        "noise": 0.0 if key == "teacher_fp32" else 0.05,
        "withheld": noisy,
    }
