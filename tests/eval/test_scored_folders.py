"""The scoring stage: what its records hold, what is kept, what it refuses; against torch-fidelity: see torch_side."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress import console
from compress.errors import UnusableData
from compress.images import list_images, read_image
from eval import scores
from eval.cli import app
from eval.confidence import normal_interval, resample_counts
from eval.config import ScoreConfig
from eval.distribution.fid import resampled_frechet_distances
from eval.features import networks
from eval.features.extract import extract_features
from eval.features.litert import LitertExtractor
from eval.features.networks import choose_network
from eval.features.weights import find_weights
from eval.score_key import require_one_key
from eval.scores import score_folder
from eval.similarity.perceptual import perceptual_distances

Drawer = Callable[..., Path]

pytestmark = pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """`real`, `fake` of the same kind, `blurred` (fake out of focus) and `inputs`, all paired but `real`."""
    root = tmp_path_factory.mktemp("folders")
    draw(root / "real", 9, seed=1)
    draw(root / "fake", 8, seed=2)
    draw(root / "blurred", 8, seed=2, blur_px=3.0)
    draw(root / "inputs", 8, seed=2, blur_px=1.0, size_px=80)
    return root


@pytest.fixture(scope="module")
def blurred_scores(folders: Path) -> dict[str, Any]:
    return score_folder(config(folders))


def config(folders: Path) -> ScoreConfig:
    return ScoreConfig(
        real=folders / "real",
        fake=folders / "blurred",
        teacher=folders / "fake",
        control=folders / "inputs",
        network="efficientnet-lite0",
    )


def untimed(record: dict[str, Any]) -> dict[str, Any]:
    """A record but for the seconds that it took, which differ between equal runs, and the hash of all."""
    return {name: value for name, value in record.items() if name not in ("seconds", "content_sha256")}


def test_scores_in_lite0_features_are_not_called_fid(blurred_scores: dict[str, Any]) -> None:
    assert blurred_scores["key"]["network"] == "efficientnet-lite0"
    assert not {"fid", "kid"} & (blurred_scores.keys() | blurred_scores["control"].keys())


def test_blurred_images_score_worse_than_sharp_ones(folders: Path, blurred_scores: dict[str, Any]) -> None:
    sharp = score_folder(ScoreConfig(real=folders / "real", fake=folders / "fake", network="efficientnet-lite0"))
    assert blurred_scores["fd_efficientnet_lite0"] > 1.2 * sharp["fd_efficientnet_lite0"]
    blurred_kid, sharp_kid = blurred_scores["kid_efficientnet_lite0"], sharp["kid_efficientnet_lite0"]
    assert blurred_kid["mean"] - blurred_kid["spread"] > sharp_kid["mean"] + sharp_kid["spread"]
    assert sharp["key"] == blurred_scores["key"]


def test_record_holds_its_control_its_similarity_and_its_notes(blurred_scores: dict[str, Any]) -> None:
    control = blurred_scores["control"]
    # A light blur at the input's own size is nearer to the reference than the heavy one.
    assert control["fd_efficientnet_lite0"] < blurred_scores["fd_efficientnet_lite0"]
    assert len(blurred_scores["similarity"]["images"]) == 8
    assert blurred_scores["similarity"]["perceptual_efficientnet_lite0"]["min"] > 0
    assert "five scales need 161 px" in blurred_scores["notes"][-1]
    # What doing nothing gets stands beside every number, and the sentence says which of both is nearer the teacher.
    assert set(blurred_scores) - set(control) == {"schema", "key", "notes", "seconds", "control", "effect"}
    assert control["similarity"].keys() == blurred_scores["similarity"].keys()
    assert control["similarity"]["psnr_db"]["mean"] > blurred_scores["similarity"]["psnr_db"]["mean"]
    assert blurred_scores["effect"]["verdict"] == "worse than nothing"
    assert "100 subsets of 4 images, half of the 8" in blurred_scores["notes"][0]
    assert json.loads(json.dumps(blurred_scores, allow_nan=False)) == blurred_scores


def test_intervals_are_of_resamples_of_the_generated_images(folders: Path, blurred_scores: dict[str, Any]) -> None:
    network = choose_network("efficientnet-lite0", None)
    real, blurred = (extract_features(list_images(folders / name), (64, 64), network) for name in ("real", "blurred"))
    resampled = resampled_frechet_distances(real, blurred, resample_counts(len(blurred), seed=0))
    expected = normal_interval(blurred_scores["fd_efficientnet_lite0"], resampled)
    assert blurred_scores["intervals"]["fd_efficientnet_lite0"] == pytest.approx(asdict(expected), rel=1e-4)
    kernel = blurred_scores["intervals"]["kid_efficientnet_lite0"]
    assert kernel["low"] < blurred_scores["kid_efficientnet_lite0"]["mean"] < kernel["high"]
    assert blurred_scores["control"]["intervals"].keys() == blurred_scores["intervals"].keys()


def test_features_are_the_same_for_any_batch_size(folders: Path) -> None:
    network = choose_network("efficientnet-lite0", None)
    paths = list_images(folders / "fake")[:4]
    alone, together = (extract_features(paths, (64, 64), network, batch_size=size) for size in (1, 3))
    assert alone == pytest.approx(together, abs=1e-5)


def test_score_is_the_same_for_any_batch_size(
    folders: Path, blurred_scores: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_features, "__kwdefaults__", {"batch_size": 3})
    monkeypatch.setattr(perceptual_distances, "__kwdefaults__", {"batch_size": 5})
    record = score_folder(config(folders))
    for name in ("kid_efficientnet_lite0", "fd_efficientnet_lite0"):
        assert record[name] == pytest.approx(blurred_scores[name], rel=1e-4, abs=1e-6)
    found, expected = (
        [image["perceptual_efficientnet_lite0"] for image in scores["similarity"]["images"].values()]
        for scores in (record, blurred_scores)
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_second_score_against_a_reference_runs_no_network(
    folders: Path, blurred_scores: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score_folder(replace(config(folders), cache=tmp_path / "cache"))
    # The reference, the fakes, the control, and the distances of both to the teacher.
    assert len(list((tmp_path / "cache").iterdir())) == 5

    def load(*_: Any) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(networks, "_load_extractor", load)
    # As another process, which remembers nothing.
    scores._load_scorer.cache_clear()
    second = score_folder(replace(config(folders), cache=tmp_path / "cache"))
    for record in (first, second):
        assert untimed(record) == untimed(blurred_scores)
    assert second["seconds"]["features"] < first["seconds"]["features"]


def test_another_student_is_scored_with_the_kept_reference(
    folders: Path, tmp_path: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = ScoreConfig(real=folders / "real", fake=folders / "fake", network="efficientnet-lite0")
    both = replace(alone, cache=tmp_path / "cache")
    score_folder(replace(both, fake=folders / "blurred"))
    seen: list[int] = []
    run = LitertExtractor.features

    def features(self: Any, images: Sequence[np.ndarray]) -> np.ndarray:
        seen.append(len(images))
        return run(self, images)

    monkeypatch.setattr(LitertExtractor, "features", features)
    assert untimed(score_folder(both)) == untimed(score_folder(alone))
    # Eight fakes; without the cache, nine real images as well.
    assert sum(seen) == 8 + (9 + 8)
    # A process remembers them: another student, or other images of the same one, cost themselves alone.
    score_folder(replace(alone, fake=folders / "blurred"))
    assert sum(seen) == 8 + (9 + 8) + 8
    draw(tmp_path / "others", 9, seed=1)
    score_folder(replace(alone, real=tmp_path / "others"))
    assert sum(seen) == 8 + (9 + 8) + 8 + (9 + 8)


def test_truth_is_recorded_beside_the_teacher(folders: Path, blurred_scores: dict[str, Any]) -> None:
    record = score_folder(replace(config(folders), control=None, truth=folders / "inputs"))
    assert record["similarity"] == blurred_scores["similarity"]
    # The inputs are 80 px wide: they are fitted to the fakes' 64.
    assert record["truth"].keys() == record["similarity"].keys()
    assert record["truth"]["psnr_db"] != record["similarity"]["psnr_db"]
    assert record["truth"]["perceptual_efficientnet_lite0"]["min"] > 0


def test_command_prints_and_writes_the_same_json(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    flags = ["--real", str(folders / "real"), "--fake", str(folders / "fake"), "--network", "efficientnet-lite0"]
    assert console.run(app, ["score", *flags, "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(out.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_broken_image_of_the_reference_ends_with_3_and_nothing_is_written(
    folders: Path, tmp_path: Path, draw: Drawer, capsys: pytest.CaptureFixture[str]
) -> None:
    real = draw(tmp_path / "real", 5)
    (real / "004.png").write_bytes((real / "004.png").read_bytes()[:200])
    flags = ["--real", str(real), "--fake", str(folders / "fake"), "--network", "efficientnet-lite0"]
    written = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "scores.json")]
    assert console.run(app, ["score", *flags, *written]) == 3
    assert "004.png is broken" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["real"]


def write_16_bit_png(path: Path, image: np.ndarray) -> None:
    """Write RGB of 16 bits, each level times 257, which Pillow reads and cannot write."""
    rows = (image.astype(">u2") * 257).astype(">u2").reshape(len(image), -1)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 16, 2, 0, 0, 0)), (b"IDAT", content))
    with path.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in (*chunks, (b"IEND", b"")):
            stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def test_16_bit_images_score_like_the_8_bit_ones_that_they_show(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    for path in list_images(folders / "fake"):
        write_16_bit_png(deep / path.name, read_image(path))
    records = []
    for fake in (folders / "fake", deep):
        flags = ["--real", str(folders / "real"), "--fake", str(fake), "--network", "efficientnet-lite0", "--json"]
        assert console.run(app, ["score", *flags]) == 0
        records.append(json.loads(capsys.readouterr().out))
    assert untimed(records[0]) == untimed(records[1])


def test_text_for_people_names_every_measure(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--{name}={folders / folder}" for name, folder in (("real", "real"), ("fake", "blurred"))]
    compared = [f"--teacher={folders / 'fake'}", f"--truth={folders / 'inputs'}", "--network=efficientnet-lite0"]
    assert console.run(app, ["score", *flags, *compared]) == 0
    printed = capsys.readouterr().out
    for other in ("to the teacher", "to the truth"):
        for name in ("psnr_db", "ssim", "perceptual_efficientnet_lite0"):
            assert f"{name} {other}: " in printed
    assert "colour_offset from the teacher: R " in printed
    assert "precision_efficientnet_lite0: " in printed
    assert "recall_efficientnet_lite0: " in printed


@pytest.mark.parametrize(
    ("network", "trained_with", "sister"),
    [
        ("efficientnet-lite0", "efficientnet-lite2", True),
        ("squeezenet", "efficientnet-lite2", False),
        ("efficientnet-lite0", "own.keras", False),
    ],
)
def test_a_score_in_a_sisters_features_says_so_beside_the_number(
    network: str, trained_with: str, sister: bool, tmp_path: Path, draw: Drawer, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = draw(tmp_path / "fake", 4, seed=3)
    (fake / "translation.json").write_text(json.dumps({"model": "student", "trained_with": trained_with}))
    flags = [f"--real={draw(tmp_path / 'real', 4)}", f"--fake={fake}", f"--control={draw(tmp_path / 'inputs', 4)}"]
    written = ["--network", network, "--out", str(tmp_path / "scores.json")]
    assert console.run(app, ["score", *flags, f"--teacher={fake}", *written]) == 0
    record, lines = json.loads((tmp_path / "scores.json").read_text()), capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.endswith("; in a sister of efficientnet-lite2, which trained it")]
    assert lines[0].startswith("fake goes 100 % of the way from the untouched photo to the teacher")
    assert record.get("sister") == (trained_with if sister else None)
    assert "sister" not in record["control"]
    # Two distances, precision and recall, and the perceptual distance to the teacher's images.
    assert len(said) == (5 if sister else 0)
    assert any("trained with" in note for note in record["notes"]) == (network == "efficientnet-lite0")


_LOADED = """
import sys
from compress import console
from eval import scores
from eval.cli import app
code = console.run(app, sys.argv[1:])
print(sorted({"tensorflow", "keras", "torch", "torchvision", "torch_fidelity"} & sys.modules.keys()), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("command", ["score", "gate"])
def test_scoring_loads_neither_torch_nor_tensorflow(command: str, folders: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "testA").symlink_to(folders / "inputs")
    (data / "testB").symlink_to(folders / "real")
    flags = {
        "score": [f"--real={folders / 'real'}", f"--fake={folders / 'blurred'}", f"--teacher={folders / 'fake'}"],
        "gate": [f"--candidate={folders / 'fake'}", f"--baseline={folders / 'blurred'}", f"--data={data}"],
    }[command]
    line = [sys.executable, "-c", _LOADED, command, *flags, "--network", "efficientnet-lite0"]
    finished = subprocess.run(line, capture_output=True, text=True, check=False)
    assert finished.returncode in (0, 1), finished.stderr
    assert finished.stderr.splitlines()[-1] == "[]"


def test_features_kept_of_photos_before_their_profiles_were_followed_are_not_used(
    folders: Path, tmp_path: Path, swapping_profile: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    for path in list_images(folders / "real"):
        Image.fromarray(read_image(path)).save(tmp_path / "real" / path.name, icc_profile=swapping_profile)
    given = ScoreConfig(
        real=tmp_path / "real", fake=folders / "fake", network="efficientnet-lite0", cache=tmp_path / "cache"
    )
    with monkeypatch.context() as earlier:
        earlier.setattr("compress.images.colour.to_srgb", lambda image, profile: image)
        earlier.setattr("eval.score_key.has_colours_to_convert", lambda path: False)
        before = score_folder(given)
    # An earlier version is another process.
    scores._load_scorer.cache_clear()
    after, again = score_folder(given), score_folder(replace(given, cache=None))
    assert after["fd_efficientnet_lite0"] == pytest.approx(again["fd_efficientnet_lite0"], rel=1e-6)
    assert after["fd_efficientnet_lite0"] != pytest.approx(before["fd_efficientnet_lite0"], rel=1e-3)
    with pytest.raises(UnusableData, match=r"do not compare: they differ in reader\."):
        require_one_key({"before": before["key"], "after": after["key"]})
