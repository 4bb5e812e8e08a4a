"""The folder beside an output in which a training keeps what it resumes from: `NAME.training`."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from compress.errors import UsageError
from compress.files.atomic import atomic_dir, refuse_existing, replace_text
from compress.files.locks import absolute, locked
from compress.files.ownership import MARKER, fingerprint_written, is_empty, mark_folder

_ENDED = "ended.json"
"""Record of a training whose output is about to be put in place: its identity, and the output's fingerprint."""
_Trained = TypeVar("_Trained")


def place_of_training(out: Path) -> Path:
    """Return where a training that writes `out` keeps its folder, whatever lies there."""
    return out.parent / f"{out.name}.training"


def training_folder(out: Path) -> Path:
    """Return the folder of a training's checkpoint, logs and samples until `out` is finished; it may not exist yet.

    Raises:
        UsageError: If something of that name is there that no training made.
    """
    folder = place_of_training(out)
    if folder.exists() and not (folder / MARKER).is_file() and not (folder.is_dir() and is_empty(folder)):
        raise UsageError(
            f"{folder} is where the training of {out.name} would keep its checkpoints, and it holds something else. "
            "Pass another --out, or move it."
        )
    return folder


def make_training_folder(folder: Path) -> None:
    """Make the folder that `training_folder` named, and mark it as this tool's."""
    folder.mkdir(parents=True, exist_ok=True)
    mark_folder(folder)


def run_training(
    out: Path,
    run_identity: str,
    train: Callable[[Path], _Trained],
    write: Callable[[Path, _Trained], object],
    *,
    overwrite: bool,
) -> None:
    """Train in `out`'s training folder, write `out` atomically and remove the training folder, alone at that place.

    Whatever moment a kill comes at, the same command goes on from there: that a training has ended is written down
    before its output is in place, and a run that was killed after that is not trained again.

    Args:
        out: The folder to write.
        run_identity: Hash of everything that makes two runs the same run.
        train: Trains in the folder that it is given.
        write: Writes what was trained into the folder that it is given, which becomes `out`.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists, another command is writing it, or something else lies at the training folder's
            place.
    """
    out = absolute(out)
    with locked(out):
        work = training_folder(out)
        if _read_ended(out, work) != run_identity:
            refuse_existing(out, overwrite=overwrite)
            trained = train(work)
            with atomic_dir(out, overwrite=overwrite) as scratch:
                write(scratch, trained)
                mark_folder(scratch)
                ended = {"run_identity": run_identity, "output": fingerprint_written(scratch)}
                replace_text(work / _ENDED, json.dumps(ended) + "\n")
        _remove(out, work)


def refuse_existing_output(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists, as `refuse_existing` does, but for one whose training was killed at its very end.

    Raises:
        UsageError: See `refuse_existing`.
    """
    if _read_ended(out, training_folder(out)) is None:
        refuse_existing(out, overwrite=overwrite)


def _read_ended(out: Path, work: Path) -> str | None:
    """Return the identity of the run that wrote `out` and was killed before it removed `work`."""
    try:
        ended = json.loads((work / _ENDED).read_text(encoding="utf-8"))
        return ended["run_identity"] if out.is_dir() and ended["output"] == fingerprint_written(out) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(out: Path, work: Path) -> None:
    """Remove a training folder at once: a kill leaves it whole, or as a leftover that the next command removes."""
    retired = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    work.rename(retired / work.name)
    shutil.rmtree(retired)
