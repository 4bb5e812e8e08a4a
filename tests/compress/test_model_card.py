"""Model cards: what a manifest tells, and nothing that a stranger's name could smuggle in."""

import dataclasses
from pathlib import Path

import pytest

from compress.artifact import Artifact, Cost, ImageSpec, Manifest, file_fingerprint
from compress.files.ownership import is_ours
from compress.model_card import CardFacts, escape, render_card

_READING = {
    "said": {},
    "conventions": [
        {"topic": "norm", "value": "instance", "basis": "file"},
        {"topic": "value range in", "value": "-1..1", "basis": "assumed"},
    ],
}


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "model.tflite").write_bytes(b"model")
    manifest = Manifest(
        name="student_int8",
        format="tflite",
        stage="export",
        parent="ab" * 32,
        input=ImageSpec(shape=(96, 64, 3), dtype="uint8", range=(0.0, 255.0)),
        cost=Cost(params=1234, macs=5_600_000, size_bytes=205_000),
        config={"precision": "int8", "domain": "A", "teacher_reading": _READING, "trained_with": "efficientnet-lite2"},
        float_ops=["end"],
        scores={"parity": {"images": 4, "material": "photos", "psnr_db": 50.84}},
    )
    return Artifact(tmp_path, manifest)


def test_a_card_tells_what_the_manifest_knows(artifact: Artifact) -> None:
    card = render_card(CardFacts(model=artifact))
    assert card.startswith("# student_int8\n")
    for told in (
        f"SHA-256 `{file_fingerprint(artifact.model_path)}`",
        "| size, pixels | 64x96 |",
        "| type | uint8 |",
        "| a black and a white pixel | 0 and 255 |",
        "| teacher's norm | instance (the file says so) |",
        "| teacher's value range in | -1..1 (assumed) |",
        "Assumed of the teacher's file, which does not tell: value range in.",
        "205.0 kB, 1,234 parameters, 5.6 million multiply-accumulates",
        "50.8 dB PSNR over 4 image(s), photos",
        "domain A",
        "1 operation(s) stay in float32",
    ):
        assert told in card


def test_what_is_not_known_is_said_to_be(artifact: Artifact) -> None:
    card = render_card(CardFacts(model=artifact))
    for missing in ("## Licence\n\nNot stated.", "Not scored:", "Not timed:", "Not known here."):
        assert missing in card
    assert "## Licence\n\nCC0" in render_card(CardFacts(model=artifact, license="CC0"))
    stated = dataclasses.replace(artifact.manifest, config={**artifact.manifest.config, "license": "MIT"})
    assert "## Licence\n\nMIT" in render_card(CardFacts(model=Artifact(artifact.path, stated)))


def test_a_card_is_known_for_ours(artifact: Artifact, tmp_path: Path) -> None:
    card, note = tmp_path / "card.md", tmp_path / "note.md"
    card.write_text(render_card(CardFacts(model=artifact)))
    note.write_text("# a note of the user's")
    assert is_ours(card)
    assert not is_ours(note)


def test_names_of_strangers_stay_in_their_line_and_cell(artifact: Artifact) -> None:
    name = "a | b\n# c <img src=x> [d](e) `f` \x1b[31m"
    manifest = dataclasses.replace(artifact.manifest, name=name)
    card = render_card(CardFacts(model=Artifact(artifact.path, manifest), teacher=name))
    assert "<img" not in card.replace("\\<img", "")
    assert "\x1b" not in card
    assert "\n# c" not in card
    (row,) = (line for line in card.splitlines() if line.startswith("| teacher |"))
    assert row.replace("\\|", "").count("|") == 3
    assert escape("batch_size _a_") == r"batch_size \_a\_"


@pytest.mark.parametrize("reading", [None, 3, {"conventions": 3}, {"conventions": ["x", {"topic": 1}]}])
def test_a_damaged_record_of_the_reading_is_left_out(artifact: Artifact, reading: object) -> None:
    manifest = dataclasses.replace(artifact.manifest, config={"teacher_reading": reading})
    assert "## Limits" in render_card(CardFacts(model=Artifact(artifact.path, manifest)))
