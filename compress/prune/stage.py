"""`compress prune`: a student, its teacher and photos in, a student with fewer channels out.

Everything that can be wrong with the command line is found before TensorFlow is loaded, and a budget that cannot be
met before the teacher is.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import artifact
from compress.artifact import Artifact, Manifest
from compress.distill.inputs import StageInputs, resolve_inputs
from compress.distill.stage import write_student
from compress.files.training_folder import run_training
from compress.prune.config import PruneConfig
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

if TYPE_CHECKING:
    import keras

    from compress.distill.fit import FittedStudent
    from compress.prune.groups import Group

_log = logging.getLogger(__name__)


def prune(
    student: Path,
    teacher: Path,
    data: Path,
    config: PruneConfig,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> Artifact:
    """Remove a student's least important channels, then train the rest by distillation.

    The losses and the discriminator are those that the student was distilled with. Beside `out` lies `NAME.training`
    while this runs, as for `distill`; the same command resumes there.

    Args:
        student: The artifact of a student, distilled or pruned before.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: The budget, the criterion and the fine-tuning.
        out: The artifact to write.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If `out` exists, the teacher takes another size, the budget is impossible or met already, or another
            run was stopped at the same place.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If the student has a layer that cannot be pruned around.
    """
    inputs = resolve_inputs(student, teacher, data, config, out, overwrite=overwrite, reading=reading)

    # From here on Keras and its backend are needed.
    from compress.prune.groups import find_groups
    from compress.teachers.student import load_student
    from compress.training import checkpoint
    from compress.training.device import require_device

    require_device()
    model = load_student(inputs.student.model_path)
    groups = find_groups(model)
    _require_possible(model, groups, config)
    identity = inputs.identity()

    def train(work: Path) -> _Pruned:
        # Asked before the photos are translated and anything in the folder is replaced: it may belong to another run.
        checkpoint.has_checkpoint(work, identity)
        return _prune_and_fit(model, groups, inputs, work, identity)

    def write(scratch: Path, pruned: _Pruned) -> None:
        write_student(scratch, pruned.fitted)
        artifact.write_manifest(scratch, _manifest(out.name, pruned, inputs))

    run_training(out, identity, train, write, overwrite=overwrite)
    return artifact.open_artifact(out)


@dataclasses.dataclass(frozen=True)
class _Pruned:
    """A pruned and fine-tuned student, and how it came to be."""

    fitted: FittedStudent
    groups: list[dict[str, Any]]
    """Entries of `choice.Choice.as_json`."""
    unpruned_psnr_db: float
    """Held-back PSNR of the student before pruning, dB."""
    untuned_psnr_db: float
    """Held-back PSNR of the pruned student before fine-tuning, dB."""


def _require_possible(model: keras.Model, groups: list[Group], config: PruneConfig) -> None:
    from compress.prune.budget import Budget, CostModel, require_possible

    limits = Budget(max_bytes=config.max_bytes, max_macs=config.max_macs)
    require_possible(CostModel(model, groups), limits, config.channel_multiple)


def _prune_and_fit(
    model: keras.Model, groups: list[Group], inputs: StageInputs[PruneConfig], work: Path, identity: str
) -> _Pruned:
    from compress.distill.fit import fit
    from compress.distill.watch.pictures import held_back_psnr_db
    from compress.models.io import clone
    from compress.prune.choice import choose, load_or_choose
    from compress.prune.surgery import remove_channels

    config, training_data = inputs.config, inputs.training_data(work)
    training_pairs, held_back = training_data.pairs.split(config.holdout, config.seed)
    training_part = dataclasses.replace(training_data, pairs=training_pairs)
    choice = load_or_choose(work, identity, lambda: choose(model, groups, training_part, config, inputs.fit_config))
    pruned = remove_channels(model, choice.removed(groups))
    unpruned, untuned = held_back_psnr_db(model, held_back), held_back_psnr_db(pruned, held_back)
    _log.info("held-back PSNR to the teacher: %.2f dB, pruned %.2f dB", unpruned, untuned)
    fitted = fit(training_data, inputs.fit_config, work, identity, start=lambda: clone(pruned), name="prune")
    return _Pruned(fitted, choice.as_json(groups, config.channel_multiple), unpruned, untuned)


def _manifest(name: str, pruned: _Pruned, inputs: StageInputs[PruneConfig]) -> Manifest:
    from compress.cost import predict_int8_bytes
    from compress.models import cost

    student, source = pruned.fitted.student, inputs.student
    return Manifest(
        name=name,
        format="keras",
        stage="prune",
        parent=source.fingerprint,
        input=source.manifest.input,
        cost=cost.measure_cost(student),
        config=inputs.recorded_config()
        | {"groups": pruned.groups, "predicted_int8_bytes": predict_int8_bytes(cost.layer_costs(student))},
        seed=inputs.config.seed,
        scores={
            "held_back_photos": pruned.fitted.held_back_photos,
            "held_back_psnr_db": round(pruned.fitted.held_back_psnr_db, 3),
            "held_back_psnr_db_untuned": round(pruned.untuned_psnr_db, 3),
            "held_back_psnr_db_unpruned": round(pruned.unpruned_psnr_db, 3),
        },
    )
