"""`compress eval card`: scores beside the untouched photos', speed with its machine, and where the model comes from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import Cost, ImageSpec, Manifest, file_fingerprint, write_manifest
from compress.errors import UnusableData
from eval.config import CardConfig
from eval.model_card import write_card

Drawer = Callable[..., Path]

KEY = {
    "real_sha256": "a" * 64, "real_images": 9, "fake_images": 4, "image_size_px": [64, 64], "layer": "1280",
    "network": "efficientnet-lite0", "weights_sha256": "b" * 64, "reader": "as it is", "resizer": "none",
    "kid_subsets": 100, "kid_subset_size": 4, "seed": 0, "versions": {"torch": "2.15"},
}  # fmt: skip


def _images(values: list[float]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    images = {f"{place:03d}": {"psnr_db": value, "ssim": 0.5} for place, value in enumerate(values)}
    return {"psnr_db": {"mean": mean}, "ssim": {"mean": 0.5}, "images": images}


def _distances(kid: float, frechet: float) -> dict[str, Any]:
    return {
        "kid_efficientnet_lite0": {"mean": kid, "spread": 0.01},
        "fd_efficientnet_lite0": frechet,
        "intervals": {
            "kid_efficientnet_lite0": {"low": kid - 0.25, "high": kid + 0.25},
            "fd_efficientnet_lite0": {"low": frechet - 2.5, "high": frechet + 2.5},
        },
    }


def _artifact(folder: Path, stage: str, config: dict[str, Any], *, is_exported: bool) -> Path:
    folder.mkdir()
    (folder / ("model.tflite" if is_exported else "model.keras")).write_bytes(b"model")
    manifest = Manifest(
        name=folder.name,
        format="tflite" if is_exported else "keras",
        stage=stage,
        parent="c" * 64,
        input=ImageSpec(shape=(64, 64, 3)),
        cost=Cost(params=10, macs=20, size_bytes=5),
        config=config,
        scores={"held_back_photos": 6} if stage == "distill" else {},
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def config(tmp_path: Path, draw: Drawer) -> CardConfig:
    teacher = tmp_path / "g_m2f.h5"
    teacher.write_bytes(b"teacher")
    for name, count in (("trainA", 3), ("testA", 2)):
        draw(tmp_path / "faces" / name, count)
    (tmp_path / "faces/testB").mkdir()
    record = {
        "schema": 2, "key": KEY, **_distances(0.125, 88.0), "similarity": _images([20.0, 22.0, 24.0, 26.0]),
        "control": {**_distances(0.5, 170.5), "similarity": _images([18.0, 18.0, 18.0, 18.0])}, "notes": [],
        "effect": {
            "verdict": "works", "share": 0.5, "interval": {"low": 0.25, "high": 0.75}, "goal": "the teacher",
            "distance_fell_by": None, "text": "goes 50 % of the way",
        },
    }  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps(record))
    entries = [
        {"name": "teacher", "speedup": 1.0, "size_bytes": 45_000_000, "latency_ms": {"median": 72.25, "p95": 75.0}},
        {"name": "other", "speedup": 2.0, "latency_ms": {"median": 36.0, "p95": 37.0}},
        {"name": "shipped", "speedup": 225.0, "size_bytes": 5, "latency_ms": {"median": 0.321, "p95": 0.4}},
    ]
    machine = {"cpu": "A <fast> CPU", "cores": 2, "os": "Linux", "litert": "2.3.0"}
    (tmp_path / "bench.json").write_text(json.dumps({"machine": machine, "threads": 3, "runs": 20, "entries": entries}))
    training = {"family": "unet", "steps": 40, "holdout": 64}
    return CardConfig(
        model=_artifact(tmp_path / "shipped", "export", {"precision": "int8", "domain": "A"}, is_exported=True),
        student=(_artifact(tmp_path / "student", "distill", training, is_exported=False),),
        teacher=teacher,
        data=tmp_path / "faces",
        scores=tmp_path / "scores.json",
        bench=tmp_path / "bench.json",
        license="CC0 1.0",
    )


def test_a_card_holds_every_number_with_its_control_and_interval(config: CardConfig) -> None:
    card = write_card(config)
    assert config.teacher is not None
    # The normal interval of the mean of 20, 22, 24, 26 over resamples: 1.96 standard errors, sqrt(5 / 4) = 1.118.
    (psnr,) = (line for line in card.splitlines() if line.startswith("| PSNR to the teacher"))
    mean, low, high = (
        float(part) for part in psnr.split("|")[2].replace("(", "").replace(")", "").replace("to", "").split()
    )
    assert mean == 23.0
    assert (high - low) / 2 == pytest.approx(1.96 * 1.118, rel=0.1)
    assert psnr.endswith("| 18.00 (18.00 to 18.00) |")
    for told in (
        f"| teacher | g_m2f.h5, SHA-256 `{file_fingerprint(config.teacher)}` |",
        "| made by distill | family unet, steps 40, holdout 64 |",
        "faces: 3 in trainA, 2 in testA, 0 in testB.",
        "Of the training photos 6 were held back, to choose the weights by.",
        "CC0 1.0",
        "It goes 50 % of the way.",
        "| kid_efficientnet_lite0 | 0.1250 (-0.1250 to 0.3750) | 0.5000 (0.2500 to 0.7500) |",
        "| fd_efficientnet_lite0 | 88.0 (85.5 to 90.5) | 170.5 (168.0 to 173.0) |",
        "Over 4 test images against 9",
        "| teacher | 45,000.0 kB | 72.25 ms | 75.00 ms | 1.0x |",
        "| shipped | 0.0 kB | 0.32 ms | 0.40 ms | 225.0x |",
        r"On 3 thread(s) of A \<fast\> CPU, Linux, 2 core(s), LiteRT 2.3.0; 20 interleaved runs.",
        "4 test images are few",
        "on a phone it was not",
    ):
        assert told in card, told
    assert "other" not in card.partition("## Size and speed")[2].partition("## Limits")[0]


def test_a_model_that_was_not_timed_is_said_so(config: CardConfig, tmp_path: Path) -> None:
    (tmp_path / "shipped").rename(tmp_path / "renamed")
    with pytest.raises(UnusableData, match="has no entry renamed; it timed teacher, other, shipped"):
        write_card(CardConfig(model=tmp_path / "renamed", bench=config.bench))


def test_a_flat_folder_is_counted_with_what_was_tested(config: CardConfig, tmp_path: Path, draw: Drawer) -> None:
    draw(tmp_path / "flat", 10)
    card = write_card(CardConfig(model=config.model, data=tmp_path / "flat", scores=config.scores))
    assert "flat: 10 photos, 4 of them kept for the test." in card


def test_command_writes_the_card_and_replaces_only_its_own(command, config: CardConfig, tmp_path: Path) -> None:
    out = tmp_path / "model_card.md"
    line = ("eval", "card", "--model", config.model, "--license", "MIT", "--out", out)
    assert command(*line).returncode == 0
    assert "## Licence\n\nMIT" in out.read_text(encoding="utf-8")
    assert command(*line).returncode == 2
    assert command(*line, "--overwrite").returncode == 0
    out.write_text("# mine")
    refused = command(*line, "--overwrite")
    assert refused.returncode == 2
    assert "not written by this tool" in refused.stderr
    assert out.read_text() == "# mine"
