"""A Ray of one's own stays on this machine; what is not installed or does not answer is said at once."""

import os
import signal
import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from compress.console.exits import Ended
from compress.errors import UsageError
from compress.fleet import cluster


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None if name == "ray" else object())
    with pytest.raises(UsageError, match=r"compress sweep needs more packages \(ray\): .*fleet"):
        cluster.require_fleet("compress sweep")


@pytest.mark.parametrize("address", ["nowhere", "head:0", "head:99999", ":6379", "head:port"])
def test_an_address_is_a_host_and_a_port(address: str):
    with pytest.raises(UsageError, match=r"is no HOST:PORT"), cluster.connected(workers=None, address=address):
        pass


def test_a_cluster_that_does_not_answer_is_said_at_once():
    with socket.socket() as free:
        free.bind((cluster.LOOPBACK, 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(UsageError, match=rf"nothing answers at cluster = '127\.0\.0\.\d:{port}'.*ray start --head"),
        cluster.connected(workers=None, address=f"{cluster.LOOPBACK}:{port}"),
    ):
        pass


# Where a busy machine needs a second start, the processes of the first end with this one.
@pytest.mark.fleet
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ray_started_here_is_this_machines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with cluster.connected(workers=1, address=None) as ray:
        assert ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid()
        assert ray.cluster_resources()["CPU"] == 1
        assert {node["NodeManagerAddress"] for node in ray.nodes()} == {cluster.LOOPBACK}
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert signal.getsignal(signal.SIGTERM) is on_sigterm
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert not list(tmp_path.iterdir())
    with cluster.connected(workers=2, address=None) as again:
        assert again.cluster_resources()["CPU"] == 2


class _Busy(Exception):
    """What Ray raises where its processes took longer than it waits."""

    def __init__(self) -> None:
        super().__init__(
            "The current node timed out during startup. This could happen because some of the raylet failed"
        )


@pytest.mark.parametrize("address", [None, "head:6379"])
def test_ray_is_started_again_where_a_busy_machine_was_too_slow(address: str | None):
    ray = Mock(init=Mock(side_effect=[_Busy(), _Busy(), None]))
    cluster._start(ray, 2, address)
    assert ray.init.call_count == 3
    assert {call.kwargs["address"] for call in ray.init.call_args_list} == {address or "local"}


def test_a_machine_that_is_too_busy_for_ray_is_said():
    ray = Mock(init=Mock(side_effect=_Busy()))
    with pytest.raises(UsageError, match=r"did not start in 3 tries.*too busy"):
        cluster._start(ray, 2, None)
    assert ray.init.call_count == 3


def test_what_else_keeps_ray_from_starting_is_no_reason_to_try_again():
    ray = Mock(init=Mock(side_effect=OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        cluster._start(ray, 2, None)
    assert ray.init.call_count == 1


def test_a_signal_ends_what_waits_for_ray_as_it_ends_all_else(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "_start", lambda ray, workers, address: None)
    with pytest.raises(Ended) as raised, cluster.connected(workers=1, address=None):
        raise SystemError("wait returned a result with an exception set") from Ended(15)
    assert raised.value.number == 15
    with pytest.raises(SystemError), cluster.connected(workers=1, address=None):
        raise SystemError("something else")


def test_what_ray_says_of_its_nodes_is_not_among_the_results(monkeypatch: pytest.MonkeyPatch, capfd: Any):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "_start", lambda ray, workers, address: None)
    lost = {"lines": ["The node has been marked dead"], "pid": "raylet", "is_err": False}
    with cluster.connected(workers=1, address=None):
        ray._private.worker.print_to_stdstream(lost, ignore_prefix=False)
    print("result")
    written = capfd.readouterr()
    assert written.out == "result\n"
    assert "has been marked dead" in written.err


def test_a_cluster_that_refuses_the_connection_is_said_with_its_token():
    ray = Mock(init=Mock(side_effect=ConnectionError("Failed to connect to Ray cluster at head:6379")))
    with pytest.raises(UsageError, match=r"head:6379 answers, but lets nobody in .*RAY_AUTH_MODE=token.*auth_token"):
        cluster._start(ray, None, "head:6379")
    assert ray.init.call_count == 1
