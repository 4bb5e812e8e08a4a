"""Artifacts: written whole or not at all, read strictly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress import artifact
from compress.artifact import Cost, ImageSpec, Manifest
from compress.errors import UnusableArtifact, UnusableModel, UsageError
from compress.files.atomic import atomic_dir


def _make(out: Path, *, overwrite: bool = False, content: str = "weights") -> artifact.Artifact:
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / "model.keras").write_text(content)
        artifact.write_manifest(scratch, _manifest())
    return artifact.open_artifact(out)


def _manifest() -> Manifest:
    spec = ImageSpec(shape=(8, 8, 3))
    cost = Cost(params=1, macs=2, size_bytes=3)
    return Manifest(
        name="net", format="keras", stage="distill", parent=None, input=spec, cost=cost, config={"steps": 5}
    )


def test_a_written_artifact_reads_back_equal(tmp_path: Path) -> None:
    made = _make(tmp_path / "net")
    expected = _manifest()
    assert made.model_path.read_text() == "weights"
    assert (made.manifest.input, made.manifest.cost) == (expected.input, expected.cost)
    assert made.manifest.config == {"steps": 5}
    assert made.manifest.versions["numpy"]


def _interrupted(out: Path, reason: BaseException, *, overwrite: bool = False) -> None:
    with atomic_dir(out, overwrite=overwrite) as scratch:
        (scratch / "model.keras").write_text("half")
        raise reason


def test_a_stage_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="disk"):
        _interrupted(tmp_path / "net", RuntimeError("disk full"))
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_the_old_artifact_whole(tmp_path: Path) -> None:
    _make(tmp_path / "net", content="old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "net", KeyboardInterrupt(), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert (tmp_path / "net/model.keras").read_text() == "old"


def test_an_existing_output_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    _make(tmp_path / "net", content="old")
    with pytest.raises(UsageError, match="--overwrite"):
        _make(tmp_path / "net", content="new")
    assert _make(tmp_path / "net", overwrite=True, content="new").model_path.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "manifest.json").write_text("{"),
        lambda path: (path / "manifest.json").write_text("[]"),
        lambda path: (path / "model.keras").unlink(),
        lambda path: _edit(path, schema=99),
        lambda path: _edit(path, format="onnx"),
        lambda path: _edit(path, surprise=1),
    ],
    ids=["torn", "not an object", "no model", "newer schema", "unknown format", "unknown key"],
)
def test_a_damaged_artifact_is_refused_with_its_path(tmp_path: Path, damage) -> None:
    _make(tmp_path / "net")
    damage(tmp_path / "net")
    with pytest.raises(UnusableArtifact, match="net"):
        artifact.open_artifact(tmp_path / "net")


def test_a_manifest_of_before_a_rename_is_refused_with_its_key(tmp_path: Path) -> None:
    _make(tmp_path / "net")
    _edit(tmp_path / "net", kept_float=[])
    with pytest.raises(UnusableArtifact, match="unknown key 'kept_float'"):
        artifact.open_artifact(tmp_path / "net")


def _edit(path: Path, **changes: object) -> None:
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


def test_a_fingerprint_follows_content_and_names(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a").write_text("x")
    before = artifact.file_fingerprint(tmp_path / "one")
    assert artifact.file_fingerprint(tmp_path / "one") == before
    (tmp_path / "one/.DS_Store").touch()
    assert artifact.file_fingerprint(tmp_path / "one") == before
    (tmp_path / "one/a").rename(tmp_path / "one/b")
    assert artifact.file_fingerprint(tmp_path / "one") != before


@pytest.mark.parametrize(
    ("config", "network"),
    [
        ({"perceptual_weight": 1.0}, "efficientnet-lite2"),
        ({"statistics_weight": 0.5}, "efficientnet-lite2"),
        ({"adversarial_weight": 0.3, "discriminator": "projected"}, "efficientnet-lite2"),
        ({"adversarial_weight": 0.3, "discriminator": "patch"}, None),
        ({"adversarial_weight": 0.0, "discriminator": "projected", "perceptual_weight": 0.0}, None),
        ({"perceptual_weight": 1.0, "perceptual_network": "/home/me/own.keras"}, "own.keras"),
        ({"trained_with": "efficientnet-lite2"}, "efficientnet-lite2"),
    ],
)
def test_a_manifest_tells_which_network_its_losses_saw_images_through(config: dict[str, Any], network: str) -> None:
    manifest = replace(_manifest(), config={"perceptual_network": "efficientnet-lite2"} | config)
    assert manifest.trained_with == network


def test_a_manifest_of_before_such_losses_tells_of_none() -> None:
    assert replace(_manifest(), config={"l1_weight": 1.0, "adversarial_weight": 0.1}).trained_with is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": 7}, "'name' is 7, expected a string"),
        ({"schema": True}, "'schema' is True"),
        ({"cost": {"params": "1", "macs": 2, "size_bytes": 3}}, "'cost.params' is '1'"),
        ({"cost": {"params": -1, "macs": 2, "size_bytes": 3}}, "'cost.params' is -1"),
        ({"cost": None}, "'cost' is None"),
        ({"input": {"shape": [8, 8]}}, "'input.shape'"),
        ({"input": {"shape": [0, 8, 3]}}, "'input.shape"),
        ({"input": {"shape": [8, 8, 3], "range": [0]}}, "'input.range'"),
        ({"config": []}, "'config' is"),
        ({"config": {"other_sizes_px": 64}}, "other_sizes_px"),
        ({"config": {"other_sizes_px": ["64"]}}, "other_sizes_px"),
        ({"quantization": {"image": 1}}, "quantization"),
        ({"quantization": {"image": {"scale": 0, "zero_point": 0}}}, "expected scale > 0"),
        ({"quantization": {"image": {"scale": 1, "zero_point": 300}}}, "zero_point -128 to 255"),
        ({"quantization": {"image": {"scale": 1}}}, "zero_point"),
        ({"float_ops": [1]}, "float_ops"),
        ({"versions": {"numpy": 2}}, "versions"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_a_manifest_of_another_type_or_range_is_refused_by_its_key(tmp_path: Path, changes, words: str) -> None:
    _make(tmp_path / "net")
    _edit(tmp_path / "net", **changes)
    with pytest.raises(UnusableArtifact, match="cannot be read as a manifest") as caught:
        artifact.open_artifact(tmp_path / "net")
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 1000 + "]" * 1000, '{"schema": 1, "schema": 1}', '{"scores": NaN}', "\xff"])
def test_a_manifest_that_is_no_plain_json_is_refused(tmp_path: Path, text: str) -> None:
    _make(tmp_path / "net")
    (tmp_path / "net/manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(UnusableArtifact, match="cannot be read as a manifest"):
        artifact.open_artifact(tmp_path / "net")


def test_a_score_that_is_no_number_is_written_as_null(tmp_path: Path) -> None:
    scores = {"psnr_db": float("inf"), "parity": {"each": [1.0, float("nan")]}}
    artifact.write_manifest(tmp_path, replace(_manifest(), scores=scores))
    (tmp_path / "model.keras").write_text("weights")
    assert artifact.open_artifact(tmp_path).manifest.scores == {"psnr_db": None, "parity": {"each": [1.0, None]}}


@pytest.mark.parametrize(("content", "said"), [(None, "does not exist"), ("changed", "its SHA-256 is")])
def test_a_file_of_other_bytes_is_not_taken_for_what_was_expected(
    tmp_path: Path, content: str | None, said: str
) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_text("weights")
    expected = artifact.file_fingerprint(weights)
    artifact.require_content(weights, expected, what="the weights of a network", remedy="Get them anew.")
    weights.unlink() if content is None else weights.write_text(content)
    with pytest.raises(UnusableModel, match=said) as caught:
        artifact.require_content(weights, expected, what="the weights of a network", remedy="Get them anew.")
    assert "the weights of a network" in str(caught.value)
    assert str(caught.value).endswith("Get them anew.")
