"""Shards of many files, done by Ray's workers; their results come in the order of the files, whoever made them when.

Ray's tasks, and not Ray Data: 40 shards of nothing to do and 1,280 numbers for each of their 256 items took 1 s instead
of 6 to 8, workers of 165 MB instead of 240, and no three actors of 140 to 210 MB beside them.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from compress.console.progress import progress
from compress.errors import UnusableInput
from compress.fleet.cluster import connected, require_fleet
from compress.fleet.config import FleetConfig

LOST_WORKERS = 3
"""How many workers may be lost with one shard, killed or with their machine, before it is given up."""

_AHEAD = 4
"""Shards under way or waiting to be asked for, for each worker."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cut(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    """Cut items into shards of so many, in their order; the last one may be smaller."""
    return [items[start : start + size] for start in range(0, len(items), size)]


@contextmanager
def workers_started(config: FleetConfig) -> Iterator[Any]:
    """Connect to the workers that a command asks for, for as long as this lasts.

    Yields:
        The module `ray`, connected.

    Raises:
        UsageError: If the extra `fleet` is not installed, or nothing answers at the cluster's address.
    """
    require_fleet(config.flag or "--workers")
    with connected(workers=config.workers, address=config.cluster) as ray:
        yield ray


def map_shards(
    ray: Any,
    function: Callable[[Sequence[_Item]], _Result],
    shards: Sequence[Sequence[_Item]],
    *,
    name: str,
    unit: str = "image",
) -> Generator[_Result, None, None]:
    """Yield what a function makes of each shard, in their order, showing how far it is.

    A few shards for each worker are under way at once, so neither workers nor caller hold more for more shards. What a
    worker warns of is said here.

    Args:
        ray: From `workers_started`.
        function: Of a module, or a `partial` of such; run in other processes, each with one core.
        shards: From `cut`.
        name: What is done.
        unit: What a shard holds, in the singular.

    Raises:
        Exception: What the function raises, in place of its result.
        UnusableInput: If `LOST_WORKERS` and one more were lost with one shard.
    """
    task = ray.remote(num_cpus=1, max_retries=LOST_WORKERS)(_run)
    folder = os.getcwd()
    rest, under_way = iter(shards), deque[tuple[Any, Sequence[_Item]]]()
    with progress(name=name, unit=unit, total=sum(map(len, shards)), stays=False) as shown:
        while True:
            room = max(0, _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(under_way))
            under_way += ((task.remote(function, shard, folder), shard) for shard in islice(rest, room))
            if not under_way:
                return
            reference, shard = under_way.popleft()
            result, warnings = _fetch(ray, reference, shard)
            for logger, message in warnings:
                logging.getLogger(logger).warning("%s", message)
            shown.update(len(shard))
            yield result


def _fetch(ray: Any, reference: Any, shard: Sequence[Any]) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Without the lines of another process's stack, which Ray makes part of the message.
        raise error.cause from None
    except ray.exceptions.RayError as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnusableInput(
            f"{LOST_WORKERS + 1} workers were lost, one after the other, with the {len(shard)} items from {shard[0]} "
            f"on ({why}). Look for one that needs more memory than a worker has, or give fewer --workers."
        ) from error


def _run(
    function: Callable[[Sequence[_Item]], _Result], shard: Sequence[_Item], folder: str
) -> tuple[_Result, list[tuple[str, str]]]:
    """Do a shard, in a worker; return what it warned of, too, each with its logger's name."""
    # Where relative paths mean what they mean to the command.
    if os.path.isdir(folder):
        os.chdir(folder)
    warnings = _Warnings()
    root = logging.getLogger()
    root.addHandler(warnings)
    try:
        return function(shard), warnings.said
    finally:
        root.removeHandler(warnings)


class _Warnings(logging.Handler):
    """Keeps warnings for the process that started the worker."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((record.name, record.getMessage()))
