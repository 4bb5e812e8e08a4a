"""`compress teach`: two folders of images in, a CycleGAN's two generators out, each an ordinary teacher.

Errors in the command line are found before TensorFlow is loaded.
"""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import images
from compress.config import to_mapping
from compress.data.folders import find_paired_images, list_photos
from compress.files.training_folder import make_training_folder, refuse_existing_output, run_training
from compress.teach.config import TeachConfig
from compress.training import kid
from compress.training.replicas import require_divisible

if TYPE_CHECKING:
    from compress.teach.fit import FittedTeachers

RECORD = "teaching.json"
_NOT_SHOWN = ("history", "config")
"""Entries of the record that the terminal does without."""


def teach(data: Path, config: TeachConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train a CycleGAN from scratch.

    Beside `out` lies `NAME.training` while training runs: checkpoint, TensorBoard logs, sample sheets and the curve of
    KID. The same command resumes from there after a kill; it is removed when the teachers are finished.

    Args:
        data: A folder with `trainA` and `trainB`, and `trainA_paired` and `trainB_paired` where `paired_weight` > 0.
            `testA` and `testB` are never looked at.
        config: The nets and their training.
        out: The folder to write: `g_a2b.h5`, `g_b2a.h5`, `teaching.json`, `samples.png` and `kid.png`.
        overwrite: Whether `out` may exist.

    Returns:
        JSON-ready, what `teaching.json` holds: for each direction the file, its best step and KID; the configuration.

    Raises:
        UsageError: If `out` exists, KID is to be watched and cannot be, or another run was stopped at the same place.
        UnusableData: If the images cannot be used.
    """
    refuse_existing_output(out, overwrite=overwrite)
    require_divisible(config.batch_size)
    paths = {"A": list_photos(data, "A", "train"), "B": list_photos(data, "B", "train")}
    paired = {domain: find_paired_images(paths[domain]) for domain in paths} if config.paired_weight else {}
    if config.watch_kid:
        kid.check_scoring_available()

    # From here on Keras and its backend are needed.
    from compress.teach.batches import load_domain
    from compress.teach.fit import fit_teachers
    from compress.training import checkpoint
    from compress.training.device import require_device

    require_device()
    files = [checkpoint.identify_files(listed) for listed in (*paths.values(), *paired.values())]
    run_identity = checkpoint.run_identity(to_mapping(config), files)

    def train(work: Path) -> FittedTeachers:
        if not checkpoint.has_checkpoint(work, run_identity):
            # What a run left that was killed before its first checkpoint may have come from other settings.
            shutil.rmtree(work, ignore_errors=True)
        make_training_folder(work)
        a, b = (
            load_domain(
                paths[domain], work / f"{domain.lower()}.npy", config, seed=seed, paired_paths=paired.get(domain, ())
            )
            for domain, seed in (("A", 2 * config.seed), ("B", 2 * config.seed + 1))
        )
        return fit_teachers(a, b, config, work, run_identity)

    run_training(
        out,
        run_identity,
        train,
        lambda scratch, fitted: _write_teachers(scratch, fitted, config),
        overwrite=overwrite,
    )
    written = json.loads((out / RECORD).read_text(encoding="utf-8"))
    return {"out": str(out), **{key: value for key, value in written.items() if key not in _NOT_SHOWN}}


def _training_cost(fitted: FittedTeachers, config: TeachConfig) -> dict[str, Any]:
    """Return speed, memory and precision of the last steps, at full size; None where a run had no step left."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "images_per_s": None if fitted.step_s is None else round(config.batch_size / fitted.step_s, 3),
        "peak_memory_bytes": kib * 1024,
        "precision": fitted.precision,
    }


def _write_teachers(scratch: Path, fitted: FittedTeachers, config: TeachConfig) -> None:
    from compress.models import resnet_generator
    from compress.teach import convergence

    record: dict[str, Any] = {}
    for direction, generator in fitted.generators.items():
        name = f"g_{direction}.h5"
        resnet_generator.save_h5(generator, scratch / name)
        best = fitted.history.best(direction)
        scores = {best.kid.metric: {"mean": best.kid.mean, "spread": best.kid.spread}} if best else {}
        record[direction] = {"file": name, "step": fitted.steps[direction], **scores}
    record["verdict"] = fitted.history.verdict(config.patience)
    record |= _training_cost(fitted, config)
    images.write_png(scratch / "samples.png", fitted.sheet)
    if fitted.history.checks:
        convergence.plot_history(fitted.history, scratch / "kid.png")
    full = record | {"history": asdict(fitted.history), "config": to_mapping(config)}
    (scratch / RECORD).write_text(json.dumps(full, indent=2) + "\n", encoding="utf-8")
