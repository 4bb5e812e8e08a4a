"""Stands for `compress run` where what is tested is the sweep around it: as resumable, as deterministic, but quick.

It leaves what a run leaves: the history of the training and its checkpoint while it goes on, then the student and its
export. What it did is in `run/work.jsonl`, a line for each step and for the end.
"""

import hashlib
import json
import os
import sys
import time
import tomllib
from pathlib import Path

from compress.console.parent import follow_parent
from compress.distill.watch.history import History, Point
from compress.files.atomic import replace_text
from compress.files.locks import locked, wait_for_others
from compress.training.kid import Kid

_STEP_S = 0.02


def main(arguments: list[str]) -> None:
    config = tomllib.loads(Path(arguments[1]).read_text(encoding="utf-8"))["distill"]
    run = Path(arguments[arguments.index("--out") + 1])
    until = arguments[arguments.index("--until") + 1]
    wait_for_others("--wait" in arguments)
    with locked(run):
        if (run / until / "manifest.json").exists():
            return
        run.mkdir(exist_ok=True)
        _train(run, config)
        _export(run / until, config)
        _write_down(run, {"ended": True})


def _train(run: Path, config: dict[str, object]) -> None:
    steps, every, saved = (int(str(config[key])) for key in ("steps", "sample_every", "checkpoint_every"))
    work = run / "student.training"
    work.mkdir(exist_ok=True)
    checkpoint, history = work / "checkpoint.npz", work / "training.json"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    while done < steps:
        time.sleep(_STEP_S)
        done += 1
        _write_down(run, {"step": done})
        if done % every == 0:
            kid = Kid(metric="kid", network="none", mean=_draw(config, done), spread=0.01)
            point = Point(step=done, held_back_psnr_db=20.0, weights="raw", kid=kid)
            History.read(history).with_point(point).write(history)
        if done % saved == 0:
            replace_text(checkpoint, str(done))
    known = History.read(history)
    kept = {"step": known.chosen.step, "because": "it is"} if known.chosen else None
    replace_text(run / "student" / "training.json", json.dumps({**known.to_mapping(), "chosen": kept}))


def _draw(config: dict[str, object], step: int) -> float:
    """Return a KID that falls with the steps, and else depends on what the trial varies alone."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).digest()
    return round(digest[0] / 256 + 1 / step, 6)


def _export(folder: Path, config: dict[str, object]) -> None:
    record = {
        "name": "student", "format": "tflite", "stage": "export", "parent": None, "schema": 1,
        "input": {"shape": [32, 32, 3]}, "cost": {"params": 1, "macs": config["width"], "size_bytes": config["width"]},
    }  # fmt: skip
    replace_text(folder / "model.tflite", "model")
    replace_text(folder / "manifest.json", json.dumps(record))


def _write_down(run: Path, what: dict[str, object]) -> None:
    with (run / "work.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**what, "process": os.getpid()}) + "\n")


if __name__ == "__main__":
    follow_parent()
    main(sys.argv[1:])
