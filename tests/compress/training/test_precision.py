"""Precision of training: the faster policy, whatever the machine."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from compress.cache.usage import measure_usage
from compress.training import device, precision
from compress.training.precision import dtype_policy_scope, fastest_policy, resolve_policy


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    # Waiting stands for work.
    monkeypatch.setattr(precision, "choose_trial_clock", lambda: time.perf_counter)
    fastest_policy.cache_clear()
    yield
    fastest_policy.cache_clear()


@pytest.mark.parametrize("slow", ["float32", "mixed_bfloat16"])
def test_the_faster_policy_is_found(slow: precision.Policy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Net:
        def __init__(self, policy: str) -> None:
            self.policy = policy

        def train_on_batch(self, *_: Any) -> None:
            time.sleep(0.02 if self.policy == slow else 0.001)

    monkeypatch.setattr(precision, "_trial_net", Net)
    assert {slow, resolve_policy("auto", tmp_path)} == {"float32", "mixed_bfloat16"}


def test_compiling_is_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Net:
        def __init__(self, policy: str) -> None:
            self.waits = iter([0.2 if policy == "float32" else 0.001, *[0.001 if policy == "float32" else 0.01] * 99])

        def train_on_batch(self, *_: Any) -> None:
            time.sleep(next(self.waits))

    monkeypatch.setattr(precision, "_trial_net", Net)
    assert resolve_policy("auto", tmp_path) == "float32"


def test_what_was_asked_for_is_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "_trial_net", lambda policy: pytest.fail("tried"))
    assert resolve_policy("float32", tmp_path) == "float32"
    assert resolve_policy("mixed_bfloat16", tmp_path) == "mixed_bfloat16"


def test_what_a_trial_found_is_kept_for_the_processes_after_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "_time_policies", lambda: "mixed_bfloat16")
    assert fastest_policy() == "mixed_bfloat16"
    fastest_policy.cache_clear()
    monkeypatch.setattr(precision, "_time_policies", lambda: pytest.fail("tried again"))
    assert fastest_policy() == "mixed_bfloat16"
    (usage,) = measure_usage(tmp_path / "cache")
    assert (usage.folder, usage.files) == ("precision", 1)


def test_a_run_that_resumes_keeps_its_policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a busy machine the trial of a run that was killed may end the other way round than the first one."""
    trials: list[precision.Policy] = ["mixed_bfloat16", "float32"]
    monkeypatch.setattr(precision, "fastest_policy", lambda: trials.pop(0))
    assert [resolve_policy("auto", tmp_path) for _ in range(3)] == ["mixed_bfloat16"] * 3
    assert resolve_policy("auto", tmp_path.parent) == "float32"


def test_a_damaged_record_of_the_policy_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "fastest_policy", lambda: "mixed_bfloat16")
    for damage in (b"", b"mixed_bf", b"\xff\xfe"):
        (tmp_path / "precision.txt").write_bytes(damage)
        assert resolve_policy("auto", tmp_path) == "mixed_bfloat16"
        assert (tmp_path / "precision.txt").read_text() == "mixed_bfloat16\n"


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


def test_waiting_is_not_counted_where_processors_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = device.choose_trial_clock()
    before = clock()
    time.sleep(0.2)
    assert clock() - before < 0.15
    monkeypatch.setattr(device, "find_gpus", lambda: ["GPU:0"])
    assert device.choose_trial_clock() is time.perf_counter
