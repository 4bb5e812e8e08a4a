"""The gate with a feature network: planted regressions are found, what nobody sees is not."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from PIL import Image, ImageFilter
from PIL.PngImagePlugin import PngImageFile

from compress import console
from compress.errors import UnusableData
from compress.images import list_images, read_image, write_png
from eval.cli import app
from eval.config import AcceptConfig, GateConfig
from eval.gate.baseline import read_baseline, write_baseline
from eval.gate.outcome import Outcome
from eval.gate.stage import accept_baseline, run_gate

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
Drawer = Callable[..., Path]
Flaw = Callable[[np.ndarray, np.random.Generator], np.ndarray]

IMAGES = 48


def noise(image: np.ndarray, rng: np.random.Generator, *, levels: int) -> np.ndarray:
    grain = rng.integers(-levels, levels + 1, image.shape)
    return (image.astype(np.int64) + grain).clip(0, 255).astype(np.uint8)


def blur(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2.0)))


def shift(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return (image.astype(np.int64) + 4).clip(0, 255).astype(np.uint8)


FLAWS: Mapping[str, Flaw] = {
    "blurred": blur,
    "swapped": lambda image, _rng: image[..., ::-1],
    "shifted": shift,
    "noisy": lambda image, rng: noise(image, rng, levels=60),
    "speckled": lambda image, rng: noise(image, rng, levels=1),
    "equal": lambda image, _rng: image,
}


def alter(source: Path, folder: Path, flaw: Flaw) -> Path:
    """Write a folder's images anew with a flaw."""
    folder.mkdir()
    # Each folder draws its own noise: the same stream twice would make twice the noise, not its root.
    stream = crc32(folder.name.encode())
    for index, path in enumerate(list_images(source)):
        write_png(folder / path.name, flaw(read_image(path), np.random.default_rng([stream, index])))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """A data set, and beside it a `teacher`'s images, a good student's as `baseline`, and its flawed copies."""
    root = tmp_path_factory.mktemp("gate")
    draw(root / "testA", IMAGES, seed=1, size_px=72)
    draw(root / "testB", IMAGES, seed=2)
    draw(root / "teacher", IMAGES, seed=3)
    alter(root / "teacher", root / "baseline", lambda image, rng: noise(image, rng, levels=8))
    for name, flaw in FLAWS.items():
        alter(root / "baseline", root / name, flaw)
    return root


@pytest.fixture(scope="module")
def accepted(data: Path) -> Path:
    """The baseline file, with PSNR to the teacher."""
    config = AcceptConfig(
        candidate=data / "baseline",
        data=data,
        teacher=data / "teacher",
        network="efficientnet-lite0",
        cache=data / "cache",
    )
    write_baseline(accept_baseline(config), data / "baseline.json")
    return data / "baseline.json"


def compare(data: Path, candidate: str, baseline: Path | None = None, **flags: Any) -> Outcome:
    settings: dict[str, Any] = {"network": "efficientnet-lite0", "cache": data / "cache"} | flags
    folders = {"candidate": data / candidate, "baseline": baseline or data / "baseline", "data": data}
    return run_gate(GateConfig(**folders, **settings))


def verdicts(outcome: Outcome) -> dict[str, str]:
    return {check.name: check.verdict for check in outcome.checks}


@pytest.mark.parametrize(
    ("candidate", "found_by"),
    [
        ("blurred", {"max_fid_increase", "max_psnr_drop"}),
        ("swapped", {"max_colour_shift", "max_psnr_drop"}),
        ("shifted", {"max_colour_shift", "max_psnr_drop"}),
        ("noisy", {"max_fid_increase", "max_psnr_drop"}),
    ],
)
def test_planted_regression_is_found(data: Path, accepted: Path, candidate: str, found_by: set[str]) -> None:
    outcome = compare(data, candidate, accepted, teacher=data / "teacher")
    assert outcome.verdict == "regression"
    assert found_by <= {name for name, verdict in verdicts(outcome).items() if verdict == "regression"}


@pytest.mark.parametrize("candidate", ["blurred", "swapped", "shifted", "noisy"])
def test_planted_regression_is_found_without_a_teacher(data: Path, candidate: str) -> None:
    assert compare(data, candidate).verdict == "regression"


def test_what_nobody_sees_is_no_regression(data: Path, accepted: Path) -> None:
    outcome = compare(data, "speckled", accepted, teacher=data / "teacher")
    assert outcome.verdict == "pass", verdicts(outcome)


def test_equal_images_pass_every_limit_of_nothing(data: Path, accepted: Path) -> None:
    none = {"max_fid_increase": "0", "max_kid_increase": "0", "max_psnr_drop": 0.0, "max_colour_shift": 0.0}
    none |= {"max_worst_drop": 0.0, "max_photo_ssim_drop": 0.0}
    outcome = compare(data, "equal", accepted, teacher=data / "teacher", **none)
    assert outcome.verdict == "pass"
    # The worst pictures are these ones, whichever others might have been drawn.
    assert {check.name: check.smallest_visible for check in outcome.checks} == {
        **dict.fromkeys(("max_fid_increase", "max_kid_increase", "max_psnr_drop"), 0.0),
        "max_worst_drop": None,
        "max_photo_ssim_drop": 0.0,
        "max_colour_shift": 0.0,
    }


def test_folder_and_its_baseline_file_give_one_verdict(data: Path, accepted: Path) -> None:
    from_file, from_folder = (
        compare(data, "blurred", baseline, teacher=data / "teacher") for baseline in (accepted, data / "baseline")
    )
    assert from_file.checks == from_folder.checks


def test_scores_of_another_network_are_never_called_fid(data: Path, accepted: Path) -> None:
    outcome = compare(data, "equal", accepted, teacher=data / "teacher", max_kid_increase="0.002")
    assert [check.metric for check in outcome.checks][:2] == ["fd_efficientnet_lite0", "kid_efficientnet_lite0"]
    assert set(read_baseline(accepted).distances) == {"fd_efficientnet_lite0", "kid_efficientnet_lite0"}


def test_network_is_the_baseline_files_where_none_is_asked_for(data: Path, accepted: Path) -> None:
    assert compare(data, "equal", accepted, network="auto").candidate.key["network"] == "efficientnet-lite0"


def test_baseline_folder_stands_in_for_the_teacher(data: Path) -> None:
    outcome = compare(data, "speckled", min_psnr=40.0)
    assert verdicts(outcome)["min_psnr"] == "pass"
    worst = outcome.worst[0]
    assert np.array_equal(worst.reference, read_image(data / "baseline" / f"{worst.stem}.png"))
    assert verdicts(compare(data, "blurred", min_psnr=40.0))["min_psnr"] == "regression"


def test_every_image_is_decoded_once_with_the_network_in_the_same_pass(
    tmp_path: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, folder in enumerate(("testA", "testB", "teacher", "old", "new")):
        draw(tmp_path / folder, 6, seed=seed)
    decoded: list[str] = []
    # Pillow calls it where the pixels of a file are decoded, and not where they are in memory already.
    prepare = PngImageFile.load_prepare
    monkeypatch.setattr(
        PngImageFile, "load_prepare", lambda image: (decoded.append(str(image.fp.name)), prepare(image))
    )
    compare(tmp_path, "new", tmp_path / "old", teacher=tmp_path / "teacher", cache=None)
    generated = [str(path) for folder in ("testB", "teacher", "old", "new") for path in (tmp_path / folder).iterdir()]
    assert sorted(decoded) == sorted(generated)


def test_candidate_of_other_inputs_is_refused(data: Path, accepted: Path, tmp_path: Path) -> None:
    for folder in ("testA", "testB", "equal"):
        shutil.copytree(data / folder, tmp_path / folder)
    write_png(tmp_path / "testA" / "007.png", np.zeros((72, 72, 3), np.uint8))
    with pytest.raises(UnusableData, match=r"do not compare: they differ in inputs_sha256"):
        compare(tmp_path, "equal", accepted)


def test_command_prints_writes_and_ends_with_1(
    command: CommandLine, data: Path, accepted: Path, tmp_path: Path
) -> None:
    folders = ["--candidate", data / "blurred", "--baseline", accepted, "--data", data]
    cached = ["--teacher", data / "teacher", "--cache", data / "cache"]
    finished = command("gate", *folders, *cached, "--out", tmp_path / "gate", "--json", module="eval")
    assert finished.returncode == 1
    assert json.loads(finished.stdout) == json.loads((tmp_path / "gate" / "gate.json").read_text())
    assert "--max-fid-increase 5% allows" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert sorted(path.name for path in (tmp_path / "gate" / "worst").iterdir()) == [f"{n}.png" for n in range(1, 6)]


def test_accept_says_what_it_replaces(
    data: Path, accepted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "baseline.json"
    shutil.copy(accepted, out)
    flags = ["--data", str(data), "--teacher", str(data / "teacher"), "--network", "efficientnet-lite0"]
    flags += ["--cache", str(data / "cache"), "--out", str(out), "--overwrite"]
    assert console.run(app, ["accept", "--candidate", str(data / "equal"), *flags]) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert out.read_bytes() == accepted.read_bytes()
    assert console.run(app, ["accept", "--candidate", str(data / "blurred"), *flags, "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["changes"]
    assert changed["fd_efficientnet_lite0"]["to"] > changed["fd_efficientnet_lite0"]["from"]
    assert not [name for name in changed if name.startswith("key.")]
