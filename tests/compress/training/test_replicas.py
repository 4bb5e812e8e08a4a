"""What is said about devices that are not there, and that one device is what it was without replicas."""

import json
from contextlib import contextmanager

import keras
import pytest

from compress.cache.machine import count_cores
from compress.errors import UsageError
from compress.training import replicas


def test_one_device_is_training_as_it_is() -> None:
    with replicas.opened(1) as one:
        assert type(one) is replicas.Replicas
        assert (one.count, one.is_chief) == (1, True)
        replicas.require_divisible(7)
        value = object()
        assert replicas.mean(value) is replicas.gather(value) is replicas.share(value) is value
        assert replicas.total([value]) == [value]


@pytest.mark.parametrize("devices", [0, -1])
def test_no_device_is_an_error(devices: int) -> None:
    with pytest.raises(UsageError, match=rf"--devices {devices}, expected at least 1"), replicas.opened(devices):
        pass


def test_more_devices_than_there_are_is_an_error_that_tells_how_many_there_are() -> None:
    cores = count_cores() or 1
    with (
        pytest.raises(UsageError, match=rf"no GPU and {cores} processors?\. Pass --devices {cores} or less"),
        replicas.opened(cores + 1),
    ):
        pass


def test_a_backend_that_has_no_replicas_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(UsageError, match="backend torch does not train so"), replicas.opened(2):
        pass


@contextmanager
def _pretending(count: int):
    pretended = replicas.Replicas()
    pretended.count = count
    replicas._current.append(pretended)
    yield
    replicas._current.pop()


@pytest.mark.parametrize(("batch_size", "advice"), [(8, "6 or 9"), (2, "3")], ids=["above", "below"])
def test_a_batch_that_cannot_be_divided_is_told_what_could(batch_size: int, advice: str) -> None:
    with _pretending(3), pytest.raises(UsageError, match=rf"batch_size = {batch_size} .* 3 devices.*size {advice},"):
        replicas.require_divisible(batch_size)
    with _pretending(3):
        replicas.require_divisible(9)


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}),
    ],
    ids=["torn", "list", "no task", "no such worker", "parameter server"],
)
def test_a_list_of_processes_that_cannot_be_used_is_an_error(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match=r"TF_CONFIG=.*cannot be used"), replicas.opened(1):
        pass


def test_a_process_that_is_named_alone_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})
    )
    with replicas.opened(1) as one:
        assert type(one) is replicas.Replicas
