"""Every JSON that a gate or a page reads, damaged at random: never a traceback, never another verdict.

Bytes are changed, spans lost and doubled; and, with the content hash made anew as someone would who edits a file on
purpose, values are replaced by others of every kind, keys are lost and added. The commands run in this process.
"""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cli import app as bench_app
from benchmarks.timing.baseline import read_benchmark, write_speed_baseline
from compress import console
from compress.errors import UnusableData
from compress.strict_json import SEAL, seal_record
from eval.cli import app as eval_app
from eval.confidence import RESAMPLES
from eval.gate import stage
from eval.gate.baseline import write_baseline
from eval.gate.collector import MeasuredFolder
from eval.gate.measurement import CHANNELS, Measurement, ResampledDistance
from eval.score_file import read_scores

IMAGES, MUTANTS = 6, 60
REFUSED = 3
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**40, 10**30, 0.5, -2.5, 1e-300, 1e308, float("nan"), float("inf")),
    *("", "1", "x" * 5000, "\x1b[2J", "\udfff", [], [1.0], [[[]]], {}, {"a": {}}, [None] * 1000),
]
KEY = {
    "real_sha256": "a" * 64,
    "real_images": 9,
    "fake_images": IMAGES,
    "image_size_px": [64, 48],
    "network": "inception",
    "layer": "2048",
    "weights_sha256": "b" * 64,
    "reader": "as it is",
    "resizer": "none",
    "kid_subsets": 100,
    "kid_subset_size": 3,
    "seed": 0,
    "versions": {"torch": "2.15"},
}


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change a byte, cut, lose a span, or double one."""
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.randrange(1, 40))
    changed = bytes([content[start] ^ (1 << rng.randrange(8))])
    kinds = (
        content[:start] + changed + content[start + 1 :],
        content[:start],
        content[:start] + content[end:],
        content[:end] + content[start:],
    )
    return rng.choice(kinds)


def damage_values(record: Any, rng: random.Random) -> Any:
    """Replace a value, lose one, or add one, somewhere."""
    damaged = deepcopy(record)
    holders = [damaged, *(holder for holder in _walk(damaged) if isinstance(holder, dict | list) and holder)]
    # Lists of numbers are long: each counts as one place.
    holder = rng.choice(holders)
    place = rng.choice(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
    kind = rng.randrange(4)
    if kind == 0:
        del holder[place]
    elif kind == 1 and isinstance(holder, dict):
        holder[f"{place}_2"] = holder[place]
    else:
        holder[place] = deepcopy(rng.choice(VALUES))
    return damaged


def _walk(value: Any) -> Iterator[Any]:
    for held in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield held
        yield from _walk(held)


def mutants(path: Path, seed: int) -> Iterator[tuple[str, bool]]:
    """Damage a file in place again and again; yields which damage it is, and whether the content is as it was."""
    original, rng = path.read_bytes(), random.Random(seed)
    record = json.loads(original)
    for number in range(MUTANTS):
        damaged = damage_bytes(original, rng)
        path.write_bytes(damaged)
        yield f"bytes {number}", _is_equal(damaged, record)
        content = damage_values({name: value for name, value in record.items() if name != SEAL}, rng)
        try:
            sealed = seal_record(content) if SEAL in record else content
            path.write_text(json.dumps(sealed))
        except (ValueError, UnicodeError):
            continue
        yield f"values {number}", content == {name: value for name, value in record.items() if name != SEAL}
    path.write_bytes(original)


def _is_equal(damaged: bytes, record: Any) -> bool:
    try:
        return json.loads(damaged) == record
    except ValueError:
        return False


def measure(psnr_db: float) -> Measurement:
    draws = np.random.default_rng(0).normal(size=(2, RESAMPLES)) * 0.01
    return Measurement(
        key=KEY | {"inputs_sha256": "c" * 64, "resamples": RESAMPLES},
        distances={
            "fid": ResampledDistance(value=50.0, resampled=50 + draws[0]),
            "kid": ResampledDistance(value=0.02, resampled=0.02 + draws[1]),
        },
        paired={name: np.full(IMAGES, 100.0) for name in CHANNELS}
        | {"psnr_db": np.full(IMAGES, psnr_db), "ssim": np.full(IMAGES, 0.9)}
        | {"patch_psnr_db": np.full(IMAGES, psnr_db - 8)},
        teacher_sha256="d" * 64,
    )


def bench_record(speedup: float = 2.0) -> dict[str, Any]:
    machine = {"cpu": "A processor", "isa": ["avx2"], "litert": "2.3.0"}
    common = {"size_bytes": 9, "input_shape": [1, 8, 8, 3], "noise": 0.01, "withheld": None}
    first = common | {"name": "teacher", "speedup": 1.0, "speedup_range": [1.0, 1.0]}
    other = common | {"name": "student", "speedup": speedup, "speedup_range": [speedup * 0.99, speedup * 1.01]}
    return {"machine": machine, "threads": 1, "runs": 30, "entries": [first, other]}


@pytest.fixture
def exit_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`exit_of(app, *words)` runs a command and returns its exit code and what it printed."""

    def run(app: Any, *words: object) -> tuple[int, str]:
        code = console.run(app, [str(word) for word in words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        return code, printed.out

    return run


Exit = Callable[..., tuple[int, str]]


def hold(path: Path, seed: int, run: Callable[[], tuple[int, str]]) -> None:
    """Run a command on every mutant of a file: refused, or with a verdict, which is the old one if nothing changed."""
    sound, refused = run(), 0
    for name, is_equal in mutants(path, seed):
        found = run()
        assert found[0] in (0, 1, 2, 3), (name, found)
        # A key that comes twice is refused, though both are equal; so is 1 for true, which Python calls equal.
        assert not is_equal or found == sound or found[0] == REFUSED, (name, found)
        # Bytes that change the content belong to no hash, so nobody can tell what was meant.
        assert is_equal or not name.startswith("bytes") or found[0] == REFUSED, (name, found)
        refused += found[0] in (2, REFUSED)
    assert refused > MUTANTS
    assert run() == sound


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_of: Exit) -> Callable[..., tuple[int, str]]:
    """`gate(psnr_db)` runs the gate on a candidate of that PSNR, whose images need no measuring."""
    write_baseline(measure(30.0), tmp_path / "baseline.json")
    (tmp_path / "bench.json").write_text(json.dumps(seal_record(bench_record())))

    def run(psnr_db: float) -> tuple[int, str]:
        measured = MeasuredFolder(measure(psnr_db), [], np.full((3, IMAGES), 100.0))
        monkeypatch.setattr(stage, "_measure", lambda config, targets: [measured])
        flags = ["--candidate", "new", "--data", "data", "--teacher", "teacher", "--max-latency-ratio", 1.1]
        files = ["--baseline", tmp_path / "baseline.json", "--bench", tmp_path / "bench.json"]
        return exit_of(eval_app, "gate", *flags, *files, "--json")

    return run


@pytest.mark.parametrize("name", ["baseline.json", "bench.json"])
@pytest.mark.parametrize(("psnr_db", "code"), [(30.0, 0), (20.0, 1)])
def test_gate_refuses_what_is_damaged_or_decides_as_before(
    tmp_path: Path, gate: Callable[..., tuple[int, str]], name: str, psnr_db: float, code: int
) -> None:
    assert gate(psnr_db)[0] == code
    hold(tmp_path / name, seed=code, run=lambda: gate(psnr_db))


@pytest.mark.parametrize("name", ["accepted.json", "measured.json"])
@pytest.mark.parametrize(("speedup", "code"), [(2.0, 0), (1.0, 1)])
def test_speed_check_refuses_what_is_damaged_or_decides_as_before(
    tmp_path: Path, exit_of: Exit, name: str, speedup: float, code: int
) -> None:
    accepted, measured = tmp_path / "accepted.json", tmp_path / "measured.json"
    measured.write_text(json.dumps(bench_record()))
    write_speed_baseline(read_benchmark(measured), accepted)
    measured.write_text(json.dumps(seal_record(bench_record(speedup))))
    assert exit_of(bench_app, "check", measured, "--baseline", accepted)[0] == code
    hold(tmp_path / name, seed=code, run=lambda: exit_of(bench_app, "check", measured, "--baseline", accepted))


def test_scores_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    record = {
        "schema": 2,
        "key": KEY,
        "kid": {"mean": 0.01, "spread": 0.001, "subsets": 100, "subset_size": 3},
        "fid": 40.0,
        "precision_inception": 0.5,
        "recall_inception": 0.5,
        "intervals": {name: {"low": 0.0, "high": 99.0} for name in ("fid", "kid")},
        "similarity": {
            "psnr_db": {"mean": 25.0, "median": 25.0, "min": 20.0, "max": 30.0},
            "ms_ssim": None,
            "colour_offset": {"mean": [0.1, 0.2, 0.3]},
            "equal_images": 0,
            "images": {"001": {"psnr_db": 25.0, "ssim": None, "colour_offset": [0.1, 0.2, 0.3]}},
        },
        "notes": ["read with care"],
        "seconds": {"features": 1.0},
    }
    path.write_text(json.dumps(seal_record(record)))
    assert read_scores(path) == record
    refused = 0
    for name, is_equal in mutants(path, seed=5):
        try:
            assert is_equal == (read_scores(path) == record) or name.startswith("values")
        except UnusableData:
            refused += 1
    assert refused > MUTANTS


@pytest.mark.parametrize("limit", ["--max-bytes", "--min-psnr", "--max-photo-ssim-drop"])
def test_limit_that_a_file_cannot_serve_stops_the_gate(
    tmp_path: Path, gate: Callable[..., tuple[int, str]], exit_of: Exit, limit: str
) -> None:
    gate(30.0)
    flags = ["--candidate", "new", "--data", "data", "--baseline", tmp_path / "baseline.json"]
    code, printed = exit_of(eval_app, "gate", *flags, limit, 1, "--json")
    assert (code, printed) == (2, "")
    old = replace(measure(30.0), paired={name: np.full(IMAGES, 100.0) for name in CHANNELS}, teacher_sha256=None)
    write_baseline(old, tmp_path / "old.json")
    code, printed = exit_of(eval_app, "gate", *flags[:4], "--baseline", tmp_path / "old.json", "--max-worst-drop", 2)
    assert (code, printed) == (2, "")
