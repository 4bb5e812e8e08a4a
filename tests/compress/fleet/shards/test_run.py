"""Shards over workers: results in order, few under way, warnings and errors as if this process had done the work."""

import logging
import pickle
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from compress.errors import UnusableData, UnusableInput, UsageError
from compress.fleet.config import ALONE, FleetConfig
from compress.fleet.shards import run
from compress.fleet.shards.run import cut, map_shards, workers_started


class _TaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__("ray::_run() in another process, with all of its stack")
        self.cause = cause


class _Lost(Exception):
    pass


class _Ray:
    """Ray as far as shards know it: a task is done when its result is asked for; all goes through pickle."""

    exceptions = SimpleNamespace(RayTaskError=_TaskError, RayError=_Lost)

    def __init__(self) -> None:
        self.asked, self.most_under_way, self._under_way = 0, 0, 0
        self.options: dict[str, Any] = {}

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda function: SimpleNamespace(remote=lambda *arguments: self._submit(function, arguments))

    def _submit(self, function: Any, arguments: Any) -> bytes:
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        return pickle.dumps((function, arguments))

    def get(self, reference: bytes) -> Any:
        self._under_way -= 1
        self.asked += 1
        function, arguments = pickle.loads(reference)
        try:
            return pickle.loads(pickle.dumps(function(*arguments)))
        except _Lost:
            raise
        except Exception as error:
            raise _TaskError(error) from error


def _double(shard: Sequence[int]) -> list[int]:
    return [2 * item for item in shard]


def _fail(error: Exception, shard: Sequence[int]) -> None:
    if 5 in shard:
        raise error


def _warn(shard: Sequence[int]) -> int:
    logging.getLogger("eval.somewhere").warning("%d is odd", shard[0])
    logging.getLogger("eval.somewhere").info("nobody asked")
    return shard[0]


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_shards_hold_all_items_in_order(size: int):
    shards = cut(list(range(10)), size)
    assert [item for shard in shards for item in shard] == list(range(10))
    assert {len(shard) for shard in shards[:-1]} <= {size}


def test_results_come_in_order_with_few_under_way():
    ray = _Ray()
    results = map_shards(ray, _double, cut(list(range(100)), 2), name="doubling")
    assert next(results) == [0, 2]
    assert ray.asked == 1
    assert [item for part in results for item in part] == [2 * item for item in range(2, 100)]
    assert ray.most_under_way == 2 * run._AHEAD
    assert ray.options == {"num_cpus": 1, "max_retries": run.LOST_WORKERS}


def test_what_a_shard_raises_is_raised_here_in_the_order_of_the_shards():
    results = map_shards(_Ray(), partial(_fail, UnusableData("b.png is broken")), cut(list(range(10)), 2), name="x")
    assert next(results) is None
    with pytest.raises(UnusableData, match=r"^b\.png is broken$"):
        list(results)


def test_a_shard_that_ends_every_worker_is_named():
    results = map_shards(_Ray(), partial(_fail, _Lost("The worker died.\nmore")), cut(list(range(10)), 2), name="x")
    with pytest.raises(UnusableInput, match=r"4 workers were lost.*the 2 items from 4 on \(The worker died\.\)"):
        list(results)


def test_what_a_worker_warns_of_is_said_here(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    results = list(map_shards(_Ray(), _warn, cut([1, 3], 1), name="x"))
    assert results == [1, 3]
    # In the same process, the worker's own words are there, too.
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "1 is odd", "1 is odd", "3 is odd", "3 is odd",
    ]  # fmt: skip
    assert {record.name for record in caplog.records} == {"eval.somewhere"}


def test_what_is_missing_is_named_by_the_flag_that_needs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("compress.fleet.cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^--workers needs more packages"), workers_started(FleetConfig(workers=2)):
        pass
    with pytest.raises(UsageError, match=r"^--cluster needs more"), workers_started(FleetConfig(cluster="head:1")):
        pass


def test_workers_are_some_here_or_those_of_a_cluster():
    assert ALONE.flag is None
    with pytest.raises(UsageError, match="workers = 0, expected at least 1"):
        FleetConfig(workers=0)
    with pytest.raises(UsageError, match=r"Pass one of them"):
        FleetConfig(workers=2, cluster="head:6379")
