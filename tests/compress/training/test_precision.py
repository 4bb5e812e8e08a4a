"""Precision of training: the faster policy, whatever the machine."""

import time
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from compress.training import precision
from compress.training.precision import dtype_policy_scope, fastest_policy, resolve_policy


@pytest.fixture(autouse=True)
def untried() -> Iterator[None]:
    fastest_policy.cache_clear()
    yield
    fastest_policy.cache_clear()


@pytest.mark.parametrize("slow", ["float32", "mixed_bfloat16"])
def test_the_faster_policy_is_found(slow: precision.Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    class Net:
        def __init__(self, policy: str) -> None:
            self.policy = policy

        def train_on_batch(self, *_: Any) -> None:
            time.sleep(0.02 if self.policy == slow else 0.001)

    monkeypatch.setattr(precision, "_trial_net", Net)
    assert {slow, resolve_policy("auto")} == {"float32", "mixed_bfloat16"}


def test_compiling_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net:
        def __init__(self, policy: str) -> None:
            self.waits = iter([0.2 if policy == "float32" else 0.001, *[0.001 if policy == "float32" else 0.01] * 99])

        def train_on_batch(self, *_: Any) -> None:
            time.sleep(next(self.waits))

    monkeypatch.setattr(precision, "_trial_net", Net)
    assert resolve_policy("auto") == "float32"


def test_what_was_asked_for_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_trial_net", lambda policy: pytest.fail("tried"))
    assert resolve_policy("float32") == "float32"
    assert resolve_policy("mixed_bfloat16") == "mixed_bfloat16"


def test_the_trial_trains_nets_in_both_and_leaves_the_policy_as_it_was() -> None:
    before = keras.config.dtype_policy()
    assert fastest_policy() in ("float32", "mixed_bfloat16")
    assert keras.config.dtype_policy() == before
    nets = [precision._trial_net(policy) for policy in ("float32", "mixed_bfloat16")]
    assert [net.layers[0].compute_dtype for net in nets] == ["float32", "bfloat16"]
    assert [net.layers[0].variable_dtype for net in nets] == ["float32", "float32"]


def test_the_policy_ends_with_the_block_even_when_it_fails() -> None:
    before = keras.config.dtype_policy()
    inside = []

    def fail() -> None:
        with dtype_policy_scope("mixed_bfloat16"):
            inside.append(keras.config.dtype_policy().name)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == ["mixed_bfloat16"]
    assert keras.config.dtype_policy() == before
