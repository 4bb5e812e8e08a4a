"""Latency of a student that nobody has trained yet: untrained and exported, timed against a reference in one run.

Latency depends on shapes, not on weights: a shape is timed once, in turns with the reference, on the cores that other
work leaves alone. What the run itself calls too noisy is timed again, and not kept.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from compress import images
from compress.bench_record import parse_bench
from compress.files.atomic import replace_text
from compress.fleet.budget.costs import FOLDER, NO_ACCELERATOR, build_students
from compress.fleet.budget.shape import ShippedShape
from compress.fleet.command import run_module
from compress.strict_json import load_json, parse_record

Reference = ShippedShape | Path
"""What latency is compared with: another untrained student, or a `.tflite` file or artifact that there is."""
_ROUNDS = 20
_ATTEMPTS = 3
_WATCHED_S = 0.5
"""How long cores are watched for other work."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency over a reference's."""

    ratio: float
    """Median of the rounds; below 1 is faster."""
    noise: float
    """Fraction by which it may be off."""
    withheld: str | None = None
    """Why it is not to be relied on."""


def time_ratio(shape: ShippedShape, reference: Reference, sweep_dir: Path) -> Latency:
    """Return a student's latency over a reference's, as is kept or as measured now.

    Args:
        shape: The student, which has no teacher's layers.
        reference: See `Reference`; a student is timed on the threads of `shape`, too.
        sweep_dir: The sweep's folder, where what is measured is kept.

    Raises:
        CommandFailed: If an untrained student cannot be exported, or the reference cannot be run.
    """
    if isinstance(reference, ShippedShape) and reference.key == shape.key:
        return Latency(ratio=1.0, noise=0.0)
    place = sweep_dir / FOLDER / f"latency-{shape.key}-{_name_reference(reference)}.json"
    if (kept := _read(place)) is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        measured = _measure(shape, reference, Path(scratch))
    if measured.withheld is None:
        replace_text(place, json.dumps(asdict(measured)) + "\n")
    return measured


def _measure(shape: ShippedShape, reference: Reference, scratch: Path) -> Latency:
    students = [reference, shape] if isinstance(reference, ShippedShape) else [shape]
    files = export_untrained(students, scratch)
    if isinstance(reference, Path):
        files = [reference, *files]
    measured = [_bench(files, shape.threads)]
    while measured[-1].withheld and len(measured) < _ATTEMPTS:
        measured.append(_bench(files, shape.threads))
    return measured[-1]


def export_untrained(shapes: Sequence[ShippedShape], out: Path) -> list[Path]:
    """Write untrained students as phone's files, as `compress run` would write them when trained.

    Args:
        shapes: The students.
        out: A folder for artifacts.

    Returns:
        The artifact of each.
    """
    models = [out / f"{number}.keras" for number in range(len(shapes))]
    build_students(shapes, models)
    artifacts = []
    for shape, model in zip(shapes, models, strict=True):
        photos, artifact = out / f"photos-{model.stem}", out / model.stem
        _write_photo(photos, shape.student.image_size_px)
        kind = ("--precision", shape.precision, "--io-type", shape.io_type)
        calibration = ("--data", str(photos), "--calibration-images", "1")
        command = ["export", "tflite", str(model), "--out", str(artifact), *kind, *calibration]
        run_module("compress", command, environment=NO_ACCELERATOR)
        artifacts.append(artifact)
    return artifacts


def _write_photo(folder: Path, side_px: int) -> None:
    """Write a picture of soft colours: integers of an untrained student need ranges, and any will do."""
    rows, columns = np.mgrid[0:side_px, 0:side_px] / side_px
    picture = np.stack([rows, columns, 0.5 + 0.5 * np.sin(8 * (rows + columns))], axis=-1)
    folder.mkdir()
    images.write_png(folder / "photo.png", (255 * picture).astype(np.uint8))


def _bench(files: Sequence[Path], threads: int) -> Latency:
    """Time the last of two files against the first."""
    baseline, candidate = map(str, files)
    effort = ("--threads", str(threads), "--runs", str(_ROUNDS))
    with _on_quiet_cores(threads):
        printed = run_module(
            "compress", ["bench", "host", "--baseline", baseline, "--candidate", candidate, *effort, "--json"]
        )
    entry = parse_bench(json.loads(printed)).entries[-1]
    return Latency(ratio=1 / entry.speedup, noise=entry.noise or 0.0, withheld=entry.withheld)


@contextmanager
def _on_quiet_cores(count: int) -> Iterator[None]:
    """Let what this thread starts run on the least busy cores; where the system cannot, on any."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    before = _read_busy_ticks()
    time.sleep(_WATCHED_S)
    after = _read_busy_ticks()
    busy = {core: after.get(core, 0) - before.get(core, 0) for core in allowed}
    try:
        os.sched_setaffinity(0, sorted(allowed, key=lambda core: busy[core])[:count])
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _read_busy_ticks() -> dict[int, int]:
    """Return for how many ticks of the clock each core has worked since the machine started."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    cores = [line.split() for line in lines if line.startswith("cpu") and not line.startswith("cpu ")]
    # user, nice, system, idle, iowait, irq, softirq, steal.
    return {int(name[3:]): sum(map(int, (*ticks[:3], *ticks[5:8]))) for name, *ticks in cores}


def _name_reference(reference: Reference) -> str:
    if isinstance(reference, ShippedShape):
        return reference.key
    return sha256(str(reference.absolute()).encode()).hexdigest()[:12]


def _read(path: Path) -> Latency | None:
    """Read what is kept; None where there is nothing, or it is torn: it is measured anew."""
    try:
        return parse_record(load_json(path), Latency)
    except (OSError, ValueError):
        return None
