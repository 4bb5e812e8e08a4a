"""Outcomes of trials, kept in the user's cache: what was faster on a machine is not timed again there.

An outcome holds for the machine, the devices and the versions that it was found with; with others the trial is made
anew. `compress cache --clear` forgets all of them.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras

from compress.artifact import user_cache
from compress.cache.machine import count_cores, read_processor
from compress.cache.store import Damaged, Store, require_seal_or_end
from compress.training.device import find_gpus

FOLDER = "precision"
"""Folder within the user's cache."""
_VARIABLES = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
)
"""Variables of the environment that change which arithmetic is faster."""

_Outcome = TypeVar("_Outcome", bound=str)
_log = logging.getLogger(__name__)


def kept_outcome(trial: Mapping[str, Any], outcomes: Sequence[_Outcome], choose: Callable[[], _Outcome]) -> _Outcome:
    """Return what a trial found on this machine before, or make it and keep what it finds.

    Args:
        trial: What is tried, JSON-ready: tells it from other trials.
        outcomes: What it may find; anything else in the cache is damaged.
        choose: Makes the trial.
    """
    key = json.dumps({**trial, **_describe_machine()}, sort_keys=True)
    name, store = f"{hashlib.sha256(key.encode()).hexdigest()}.json", Store(user_cache() / FOLDER)
    try:
        known = store.load(name, lambda path: _read(path, outcomes))
    except Damaged as damage:
        _log.debug("%s", damage)
        known = None
    if known is not None:
        _log.info("%s: %s, as a trial on this machine found before", trial["trial"], known)
        return known
    found = choose()
    try:
        store.keep(name, json.dumps({"found": found, "key": json.loads(key)}, indent=2).encode())
    # A full disk costs the next run a trial, this one nothing.
    except OSError as error:
        _log.debug("what the trial found is not kept: %s", error)
    return found


def _read(path: Path, outcomes: Sequence[_Outcome]) -> _Outcome:
    text = path.read_text(encoding="utf-8")
    record, end = json.JSONDecoder().raw_decode(text)
    require_seal_or_end(text[end:].encode())
    for outcome in outcomes:
        if outcome == record["found"]:
            return outcome
    raise ValueError(f"it found {record['found']}, expected one of {', '.join(outcomes)}")


def _describe_machine() -> dict[str, Any]:
    backend = keras.backend.backend()
    name, flags = read_processor()
    return {
        "processor": name,
        "flags": sorted(flags),
        "cores": count_cores(),
        "gpus": find_gpus(),
        "keras": keras.__version__,
        backend: getattr(sys.modules.get(backend), "__version__", None),
        "environment": {variable: os.environ.get(variable) for variable in _VARIABLES},
    }
