"""Cautions: what the commands that made the numbers warn of on the console, as sentences for the page."""

from collections.abc import Iterable, Mapping
from typing import Any

from compress.artifact import find_conventions
from eval.report.naming import CONTROL
from eval.report.sources import Sources

FEW_IMAGES = 50
"""Test images below which one of them is more than 2 % of every mean."""


def list_cautions(sources: Sources) -> list[str]:
    """List what a reader has to know before a number is trusted: of the images, the scores, the speeds, the teacher."""
    return [
        *_few_images(len(sources.similarity[CONTROL].images)),
        *_of_scores(sources.scores),
        *_of_speeds(sources),
        *_of_readings(sources),
    ]


def _few_images(images: int) -> list[str]:
    if images >= FEW_IMAGES:
        return []
    return [f"Only {images} test images: one of them is {1 / images:.0%} of every mean. Take {FEW_IMAGES} or more."]


def _of_scores(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not scores:
        return []
    keys = [record["key"] for record in scores.values() if "key" in record]
    said = []
    if keys and keys[0]["network"] != "inception":
        said.append(
            f"No FID: the distances are in the features of {keys[0]['network']}, and compare within this page only. "
            "FID and KID by their own names need the Inception network's weights (--inception-weights)."
        )
    if CONTROL not in scores:
        said.append("The distances have no control: compress eval score was run without --control.")
    sisters = _group((record["sister"], name) for name, record in scores.items() if "sister" in record)
    said += [
        f"The distances flatter {names}: trained with {sister}, a sister of the network that scores "
        "(arXiv:2203.06026). --network squeezenet is of another kind."
        for sister, names in sisters.items()
    ]
    kinship = [note for record in scores.values() for note in record.get("notes", []) if ".keras; where " in note]
    return said + [f"{note[0].upper()}{note[1:]}" for note in dict.fromkeys(kinship)]


def _of_speeds(sources: Sources) -> list[str]:
    entries = sources.entries
    noisy = _group((entry["withheld"], name) for name, entry in entries.items() if entry.get("withheld"))
    said = [f"No speed-up of {names}: {why}." for why, names in noisy.items()]
    sizes = {name: tuple(entry["input_shape"][1:3]) for name, entry in entries.items() if entry.get("input_shape")}
    first = sizes.get(sources.baseline)
    said += [
        f"{name} takes {_pixels(size)}, {sources.baseline} {_pixels(first)}: their speed-up is not that of equal work."
        for name, size in sizes.items()
        if first and size != first
    ]
    if sources.bench and not sources.bench.get("interleaved", True):
        said.append("The models were timed one after the other: what else the machine did may have met one of them.")
    return said


def _of_readings(sources: Sources) -> list[str]:
    """Say what was assumed of a teacher's file that does not tell it, and which models that concerns."""
    assumed = _group((text, name) for name, one in sources.manifests.items() if (text := _assumed(one.config)))
    return [
        f"Assumed of the teacher's file, which does not say so ({names}): {text}. A wrong one shows in the pictures; "
        "compress inspect lists them, and the flags that say otherwise."
        for text, names in assumed.items()
    ]


def _assumed(config: Mapping[str, Any]) -> str:
    assumed = [one for one in find_conventions(config) if one["basis"] == "assumed"]
    return "; ".join(f"{one['topic']}: {one['value']}" for one in assumed)


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join the names that share a reason, so that each reason is said once."""
    groups: dict[str, list[str]] = {}
    for reason, name in pairs:
        groups.setdefault(reason, []).append(name)
    return {reason: ", ".join(names) for reason, names in groups.items()}


def _pixels(size: Iterable[int]) -> str:
    return "x".join(map(str, size)) + " pixels"
