"""Precision of training: mixed bfloat16 where this machine is faster in it, else float32."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from compress.config import TrainingPrecision
from compress.files.atomic import replace_text
from compress.files.training_folder import make_training_folder
from compress.training import replicas
from compress.training.device import choose_trial_clock
from compress.training.kept_outcomes import kept_outcome

Policy = Literal["mixed_bfloat16", "float32"]

POLICIES: tuple[Policy, ...] = ("float32", "mixed_bfloat16")
_RECORD = "precision.txt"
_SIDE_PX = 32
_CHANNELS = 32
_BATCH_SIZE = 4
_TIMED_STEPS = 5

_log = logging.getLogger(__name__)


def resolve_policy(precision: TrainingPrecision, work: Path) -> Policy:
    """Return the dtype policy of a run. `auto` draws random numbers: call it before seeding.

    Args:
        precision: What was asked for.
        work: The run's folder, which remembers what `auto` found: a run that resumes goes on in the same arithmetic,
            also where the two are about as fast and a busy machine would choose the other one now.
    """
    return precision if precision != "auto" else remembered(work / _RECORD, fastest_policy)


def remembered(record: Path, choose: Callable[[], Policy]) -> Policy:
    """Return the policy that a run's folder remembers, or choose one and have it remembered.

    Of processes that train together the chief chooses, for all.

    Args:
        record: File in the run's folder, which is made if missing.
        choose: Called where the file is missing or damaged.
    """
    policy = POLICIES[replicas.current().agree(lambda: POLICIES.index(_read(record) or choose()))]
    if _read(record) != policy:
        make_training_folder(record.parent)
        replace_text(record, f"{policy}\n")
    return policy


def _read(record: Path) -> Policy | None:
    text = record.read_text(encoding="utf-8", errors="replace").strip() if record.exists() else ""
    return next((policy for policy in POLICIES if policy == text), None)


@contextmanager
def dtype_policy_scope(policy: Policy) -> Iterator[None]:
    """Set the dtype policy of layers made inside the block; their weights are float32 either way."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@cache
def fastest_policy() -> Policy:
    """Return the policy in which this machine trains a small net faster; tried once, and kept in the user's cache."""
    return kept_outcome({"trial": "training step"}, POLICIES, _time_policies)


def _time_policies() -> Policy:
    """Time training steps of a small net in both policies, in turn, and return the faster policy.

    No property of the processor is asked for, since what counts is whether the backend's kernels use it: the same
    convolutions in bfloat16 are half as long as in float32 on one processor, and four times as long on another, which
    has to emulate them.
    """
    nets: dict[Policy, keras.Model] = {policy: _trial_net(policy) for policy in POLICIES}
    clock = choose_trial_clock()
    images = np.ones((_BATCH_SIZE, _SIDE_PX, _SIDE_PX, _CHANNELS), np.float32)
    seconds: dict[Policy, list[float]] = {policy: [] for policy in POLICIES}
    # The first step of each compiles it.
    for _ in range(1 + _TIMED_STEPS):
        for policy, net in nets.items():
            started = clock()
            net.train_on_batch(images, images)
            seconds[policy].append(clock() - started)
    fastest: dict[Policy, float] = {policy: min(seconds[policy][1:]) for policy in POLICIES}
    faster = "mixed_bfloat16" if fastest["mixed_bfloat16"] < fastest["float32"] else "float32"
    _log.info("training in %s: a trial step takes %s.", faster, _format_times(fastest))
    return faster


def _format_times(seconds: Mapping[Policy, float]) -> str:
    return " and ".join(f"{step * 1e3:.1f} ms in {policy}" for policy, step in seconds.items())


def _trial_net(policy: Policy) -> keras.Model:
    with dtype_policy_scope(policy):
        layers = [keras.layers.Conv2D(_CHANNELS, 3, padding="same", name=f"trial_{place}") for place in range(3)]
    net = keras.Sequential([keras.Input((_SIDE_PX, _SIDE_PX, _CHANNELS)), *layers])
    net.compile(optimizer="sgd", loss="mse", jit_compile=False)
    return net
