"""A Ray of one's own stays on this machine; what is not installed or does not answer is said at once."""

import os
import socket
from pathlib import Path

import pytest

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


def test_a_ray_started_here_is_this_machines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    with cluster.connected(workers=1, address=None) as ray:
        assert ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid()
        assert ray.cluster_resources()["CPU"] == 1
        assert {node["NodeManagerAddress"] for node in ray.nodes()} == {cluster.LOOPBACK}
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert not list(tmp_path.iterdir())
