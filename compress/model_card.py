"""Model card, `model_card.md`: what a phone's file is, where it comes from, what was measured of it and what was not.

The form follows Mitchell et al. 2019, Model Cards for Model Reporting, arXiv:1810.03993, as far as this tool knows the
answers. An export writes what its manifest tells; `compress eval card` adds the teacher, photos, scores and speed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from compress.artifact import Artifact, Manifest, file_fingerprint, find_conventions
from compress.files.ownership import CARD_SIGNATURE
from compress.printable import printable_name
from compress.text_table import format_markdown

CARD_NAME = "model_card.md"
_FORMATS = {"tflite": "LiteRT (TensorFlow Lite)", "mlpackage": "Core ML", "onnx": "ONNX", "keras": "Keras"}
_TRAINING = ("family", "width", "blocks", "steps", "batch_size", "holdout", "pruning_ratio", "max_bytes", "max_macs")
"""Entries of a training's configuration that a reader asks for first."""
_NO_LICENCE = (
    "Not stated. A student inherits the terms of its teacher, and of the photos that it was trained on: "
    "find them out before you ship it, and name the licence with `--license`."
)
_NO_SCORES = (
    "Not scored: `compress eval score` compares its images with others, `compress run` does so for every model."
)
_NO_SPEED = "Not timed: `compress bench host` does so on a computer, `compress bench android` and `ios` on a phone."


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card is written from; what is empty is not known, and the card says so."""

    model: Artifact
    license: str = ""
    """Licence of the model; its manifest's where empty."""
    teacher: str = ""
    """Name of the teacher's file."""
    teacher_sha256: str = ""
    trainings: Sequence[Manifest] = ()
    """Manifests of the trainings behind an export, in order."""
    photos: Mapping[str, int] = field(default_factory=dict)
    """How many photos there are of each kind, such as "in trainA"."""
    data: str = ""
    """Name of the data set."""
    scores: Sequence[str] = ()
    """Markdown paragraphs on its images."""
    speed: Sequence[str] = ()
    """Markdown paragraphs on its speed."""
    unmeasured: Sequence[str] = ()
    """Sentences on what nobody measured."""


def render_card(facts: CardFacts) -> str:
    """Render a model card as Markdown."""
    manifest = facts.model.manifest
    sections: Mapping[str, Sequence[str]] = {
        "Input and output": [_format_contract(manifest)],
        "Where it comes from": _describe_origin(facts),
        "Photos": _describe_photos(facts),
        "Licence": [escape(facts.license or str(manifest.config.get("license") or "")) or _NO_LICENCE],
        "Scores": [*(facts.scores or [_NO_SCORES]), *_describe_parity(manifest)],
        "Size and speed": [_format_size(manifest), *(facts.speed or [_NO_SPEED])],
        "Limits": ["\n".join(f"- {line}" for line in [*_describe_limits(manifest), *facts.unmeasured])],
    }
    body = [f"## {title}\n\n" + "\n\n".join(parts) for title, parts in sections.items() if parts]
    head = [f"# {escape(manifest.name)}", CARD_SIGNATURE, _summarize(facts.model)]
    return "\n\n".join([*head, *body]) + "\n"


def escape(text: str) -> str:
    """Return a stranger's text fit for a line or a cell of Markdown, which it cannot leave."""
    # An underscore within a word emphasises nothing.
    return re.sub(r"([\\`*\[\]<>|#]|(?<!\w)_|_(?!\w))", r"\\\1", printable_name(text).strip())


def _summarize(model: Artifact) -> str:
    manifest = model.manifest
    precision = str(manifest.config.get("precision", manifest.input.dtype))
    return (
        "An image-to-image generator for phones: a photo in, a picture of the same size out. "
        f"`{model.model_path.name}`, {_FORMATS[manifest.format]}, {escape(precision)}, "
        f"{manifest.cost.size_bytes / 1e3:,.1f} kB, SHA-256 `{file_fingerprint(model.model_path)}`."
    )


def _format_contract(manifest: Manifest) -> str:
    ends, others = manifest.input, manifest.config.get("other_sizes_px") or ()
    height, width, _ = ends.shape
    sizes = [f"{width or 'any'}x{height or 'any'}", *(f"{side}x{side}" for side in others)]
    rows = [
        ("", "input and output"),
        ("size, pixels", " or ".join(sizes)),
        ("layout", f"{ends.layout}, red green blue" if manifest.format != "mlpackage" else "a picture, sRGB"),
        ("type", ends.dtype),
        ("a black and a white pixel", f"{ends.range[0]:g} and {ends.range[1]:g}"),
    ]
    return format_markdown(rows)


def _describe_origin(facts: CardFacts) -> list[str]:
    """Describe the chain from the teacher's file to the model's."""
    manifest = facts.model.manifest
    rows = [("", "")]
    if facts.teacher:
        rows.append(("teacher", f"{escape(facts.teacher)}, SHA-256 `{facts.teacher_sha256}`"))
    for training in facts.trainings:
        told = ", ".join(f"{key} {training.config[key]}" for key in _TRAINING if training.config.get(key) is not None)
        rows.append((f"made by {escape(training.stage)}", escape(told)))
    if seen := manifest.trained_with:
        rows.append(("its losses saw images through", escape(seen)))
    if manifest.parent:
        rows.append((f"{escape(manifest.stage)} of", f"what has the SHA-256 `{escape(manifest.parent)}`"))
    rows += [
        (f"teacher's {escape(one['topic'])}", f"{escape(one['value'])} ({escape(_basis(one))})")
        for one in find_conventions(manifest.config)
    ]
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in manifest.versions.items())
    return [format_markdown([*rows, ("versions", versions)])]


def _basis(convention: Mapping[str, str]) -> str:
    return {"file": "the file says so", "assumed": "assumed"}.get(convention["basis"], "you said so")


def _describe_photos(facts: CardFacts) -> list[str]:
    config = facts.model.manifest.config
    lines = []
    if facts.photos:
        counts = ", ".join(f"{count} {escape(name)}" for name, count in facts.photos.items())
        lines.append(f"{escape(facts.data)}: {counts}.")
    if held := max((int(one.scores.get("held_back_photos") or 0) for one in facts.trainings), default=0):
        lines.append(f"Of the training photos {held} were held back, to choose the weights by.")
    if data := config.get("data"):
        calibrated = config.get("calibration_images")
        lines.append(f"Exported with {calibrated} or fewer photos of {escape(PurePath(str(data)).name)}.")
    return lines or ["Not known here."]


def _describe_parity(manifest: Manifest) -> list[str]:
    parity = manifest.scores.get("parity")
    if not isinstance(parity, Mapping) or "psnr_db" not in parity:
        return []
    return [
        f"The file against the network that it was exported from: {parity['psnr_db']:.1f} dB PSNR over "
        f"{parity.get('images')} image(s), {escape(str(parity.get('material')))}."
    ]


def _format_size(manifest: Manifest) -> str:
    cost = manifest.cost
    macs = "not known" if cost.macs is None else f"{cost.macs / 1e6:,.1f} million"
    return (
        f"{cost.size_bytes / 1e3:,.1f} kB, {cost.params:,} parameters, {macs} multiply-accumulates (1 MAC = 2 FLOPs) "
        "an image."
    )


def _describe_limits(manifest: Manifest) -> list[str]:
    height, width, _ = manifest.input.shape
    limits = []
    if height and width:
        limits.append(
            f"Photos have to be cropped and scaled to {width}x{height} pixels; larger pictures it cannot make."
        )
    if domain := manifest.config.get("domain"):
        limits.append(
            f"It was made for photos of domain {escape(str(domain))} of its data set; what it makes of others, and "
            "whether it treats groups of people alike, was not measured."
        )
    if assumed := [one for one in find_conventions(manifest.config) if one["basis"] == "assumed"]:
        topics = ", ".join(dict.fromkeys(escape(one["topic"]) for one in assumed))
        limits.append(f"Assumed of the teacher's file, which does not tell: {topics}.")
    if manifest.float_ops:
        limits.append(f"{len(manifest.float_ops)} operation(s) stay in float32.")
    return limits


def export_card(artifact: Artifact) -> str:
    """Return the card of an export that nothing was measured of yet but its parity."""
    return render_card(CardFacts(model=artifact))
