"""The scoring stage: folders of images in, a record of scores and of what they were measured against out."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import UnusableData, UsageError
from compress.files.remote import explain_remote, is_remote
from compress.fleet.config import ALONE, FleetConfig
from compress.images import list_images
from eval.config import ScoreConfig, ScorerConfig
from eval.effect import measure_effect, measure_effect_by_distance
from eval.flicker.scores import score_flicker
from eval.image_work import IN_PROCESS, ImageWork
from eval.score_key import content_sha256
from eval.similarity import FolderSimilarity, Lister, pair_by_stem
from eval.sisters import explain_kinship, is_sister

if TYPE_CHECKING:
    from eval.scorer import FolderScorer

SCHEMA = 2
FEWEST_IMAGES = 4
"""Fewest images of a folder: a subset of KID is half of them and needs two."""
NO_CONTROL = "control: --control names none, so it is not told what doing nothing would get."


def score_folder(config: ScoreConfig, fleet: FleetConfig = ALONE) -> dict[str, Any]:
    """Score a folder of generated images.

    Args:
        config: The folders, and the network whose features are compared.
        fleet: The processes that read the images and run the network; the scores are the same ones.

    Returns:
        JSON-ready: `schema`, `key` (see `ScoreKey`), the kernel and Fréchet distance under the names of `metric_name`
        and their 95 % `intervals`, where asked for `similarity` (to the teacher) and `truth`, all of them once more for
        the untouched photos as `control`, and what the student does beyond them as `effect`; `notes` on how to read the
        numbers, `sister` where the network that scores is a sister of one that trained the model, and the `seconds`
        that `features` and `statistics` took, and with a fleet its `start` and the `merge` of shards, which is a part
        of `features`. Where `config.flicker` is given, `schema` and what `score_flicker` returns instead.

    Raises:
        UnusableData: If a folder is missing or too small, an image broken or of the wrong size, or a pair incomplete.
        UnusableModel: If the feature network's weights cannot be used.
        UsageError: If a package that scoring needs is not installed, or a folder is remote and no fleet reads it.
    """
    if fleet.flag is None:
        _require_local(config)
        return _score(config, IN_PROCESS)
    from eval.sharded import on_workers

    with on_workers(fleet, config) as work:
        return _score(config, work)


def _require_local(config: ScoreConfig) -> None:
    for item in fields(ScoreConfig):
        if isinstance(value := getattr(config, item.name), Path) and is_remote(value):
            raise UsageError(explain_remote(value))


def _score(config: ScoreConfig, work: ImageWork) -> dict[str, Any]:
    if config.flicker is not None:
        return {"schema": SCHEMA, **score_flicker(config.flicker, config)}
    real, fake = (list_enough_images(each, work.list_images) for each in (config.require_real(), config.fake))
    # Paired, so that what doing nothing gets is scored on as many images, and on the same ones.
    pairs = pair_by_stem(config.fake, config.control, work.list_images) if config.control else {}
    control = [path for _, path in pairs.values()]
    # Decoded in full, so that a broken image is named before anything is computed.
    image_size_px = require_common_size(dict(zip(fake, work.read_sizes(fake), strict=True)))
    trained_with = work.read_trained_with(config.fake)
    similarities = _compare_with_others(config, config.fake, image_size_px, work)
    untouched = _compare_with_others(config, config.control, image_size_px, work) if config.control else {}
    scorer = load_scorer(config, real, image_size_px, work)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "key": scorer.build_score_key(len(fake)).to_mapping(),
        **scorer.score_distances(fake),
    }
    notes = scorer.explain_scores(len(fake))
    if trained_with:
        record |= {"sister": trained_with} if is_sister(scorer.network.name, trained_with) else {}
        notes += filter(None, [explain_kinship(scorer.network.name, trained_with)])
    record |= _score_similarities(scorer, config.fake, similarities)
    if config.control and control:
        record["control"] = scorer.score_distances(control) | _score_similarities(scorer, config.control, untouched)
        record |= _judge_effect(record, similarities, untouched, config.seed)
    else:
        notes.append(NO_CONTROL)
    notes += dict.fromkeys(note for _, similarity in similarities.values() for note in similarity.notes)
    seconds = {**scorer.seconds, **work.seconds}
    return record | {"notes": notes, "seconds": {part: round(spent, 2) for part, spent in seconds.items()}}


def load_scorer(
    config: ScorerConfig, real: Sequence[Path], image_size_px: tuple[int, int], work: ImageWork = IN_PROCESS
) -> "FolderScorer":
    """Load a scorer, or take the last one where it has the same network and reference: whatever scores several folders
    in one process loads the network and computes the features of the reference once.

    Raises:
        UsageError, UnusableModel: As `FolderScorer`.
    """
    if work is not IN_PROCESS:
        # Its workers end with the command; one that scores several folders asks for none.
        from eval.scorer import FolderScorer

        return FolderScorer(config, real, image_size_px, work)
    plain = ScorerConfig(**{item.name: getattr(config, item.name) for item in fields(ScorerConfig)})
    scorer = _load_scorer(plain, tuple(real), image_size_px, content_sha256(real))
    scorer.seconds = dict.fromkeys(scorer.seconds, 0.0)
    return scorer


@lru_cache(maxsize=1)
def _load_scorer(
    config: ScorerConfig, real: tuple[Path, ...], image_size_px: tuple[int, int], _content_sha256: str
) -> "FolderScorer":
    # Here, since it loads LiteRT, which reports and gates of broken folders do not need.
    from eval.scorer import FolderScorer

    return FolderScorer(config, real, image_size_px)


def list_enough_images(folder: Path, listed: Lister = list_images) -> list[Path]:
    """List the images of a folder, sorted by name.

    Args:
        folder: The folder.
        listed: Lists the images of a folder.

    Raises:
        UnusableData: If they are too few for a score.
    """
    paths = listed(folder)
    if len(paths) < FEWEST_IMAGES:
        raise UnusableData(f"{folder} holds {len(paths)} images; a score needs at least {FEWEST_IMAGES}.")
    return paths


def require_common_size(sizes: Mapping[Path, tuple[int, int]]) -> tuple[int, int]:
    """Return height and width of generated images, all of which must be equal.

    Args:
        sizes: Height and width of each image, by its file; at least one.

    Raises:
        UnusableData: If two differ.
    """
    (first, (height, width)), *others = sizes.items()
    for path, size in others:
        if size != (height, width):
            raise UnusableData(
                f"{path} is {size[1]}x{size[0]} px, but {first.name} is {width}x{height}; "
                "generated images must be of one size."
            )
    return height, width


_Similarities = Mapping[str, tuple[Path, FolderSimilarity]]
"""By its name in the record: the folder that images are compared with, and their similarity to it."""


def _compare_with_others(
    config: ScoreConfig, folder: Path, image_size_px: tuple[int, int], work: ImageWork
) -> _Similarities:
    """Compare a folder, of the fakes or of the untouched photos, with those that the configuration names."""
    similarities = {}
    if config.teacher:
        # The fakes must have been made at the size of the teacher's images; photos are cut and resized to it.
        size = None if folder == config.fake else image_size_px
        similarities["similarity"] = (config.teacher, work.compare_folders(folder, config.teacher, size=size))
    if config.truth:
        # Photos of any size, as the untouched ones may be.
        similarities["truth"] = (config.truth, work.compare_folders(folder, config.truth, size=image_size_px))
    return similarities


def _score_similarities(scorer: "FolderScorer", folder: Path, similarities: _Similarities) -> dict[str, Any]:
    """Add the distances in features to what was compared by pixels."""
    return {
        name: similarity.to_mapping({scorer.perceptual_name: scorer.score_perceptual(folder, other)})
        for name, (other, similarity) in similarities.items()
    }


def _judge_effect(
    record: Mapping[str, Any], similarities: _Similarities, untouched: _Similarities, seed: int
) -> dict[str, Any]:
    """Return what the student does beyond the untouched photos, where that can be told."""
    if "similarity" in similarities:
        (_, student), (_, photos) = similarities["similarity"], untouched["similarity"]
        effect = measure_effect(student, photos, distances=record, control=record["control"], seed=seed)
    else:
        effect = measure_effect_by_distance(record, record["control"])
    return {"effect": effect.to_mapping()} if effect else {}
